package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// watchMemory watches every process of an executable until stop is called. stop
// returns the highest memory peak of a single process, in MB. It returns 0 on
// systems without Linux's /proc.
//
// Terraform starts and stops these processes, so watchMemory searches for them
// repeatedly. The kernel records the peak of each process, so only memory that a
// process allocates after the last search is missed.
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

// memoryOf returns the highest memory peak of the processes that run now.
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

// highWater returns VmHWM, the peak of a process's resident memory, in MB.
func highWater(process string) float64 {
	status, err := os.ReadFile(process + "/status")
	if err != nil {
		return 0 // The process has ended.
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
