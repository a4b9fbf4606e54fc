package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// watchMemory looks at every process that runs an executable until stop is
// called, which returns the most memory that one of them held, in MB. It is 0
// where the system has no /proc as Linux does.
//
// The processes are Terraform's children and come and go with it, so they are
// looked for all the time. The kernel keeps the peak: only what is gained in the
// very last moment can be missed.
func watchMemory(executable string) (stop func() float64) {
	done, peak := make(chan struct{}), make(chan float64)
	go func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		most := 0.0
		for {
			select {
			case <-ticker.C:
				most = max(most, memoryOf(executable))
			case <-done:
				peak <- most
				return
			}
		}
	}()
	return func() float64 {
		close(done)
		return <-peak
	}
}

// memoryOf is the peak of the process that holds the most at this moment.
func memoryOf(executable string) float64 {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	most := 0.0
	for _, entry := range entries {
		process := "/proc/" + entry.Name()
		if target, err := os.Readlink(process + "/exe"); err == nil && target == executable {
			most = max(most, highWater(process))
		}
	}
	return most
}

// highWater reads VmHWM, the peak of a process's resident memory.
func highWater(process string) float64 {
	status, err := os.ReadFile(process + "/status")
	if err != nil {
		return 0 // It has ended.
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0
	}
	line, _, _ := strings.Cut(rest, " kB")
	kB, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		return 0
	}
	return kB / 1024
}
