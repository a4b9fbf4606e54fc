package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// results is the content of results.json.
type results struct {
	Date  time.Time `json:"date"`
	CLI   string    `json:"cli"`
	Go    string    `json:"go"`
	OS    string    `json:"os"`
	Cores int       `json:"cores"`
	// Startup is nil if it was not measured.
	Startup *startup `json:"startup,omitempty"`
	Rows    []row    `json:"rows"`
	// Overhead is nil if it was not measured.
	Overhead *overhead `json:"overhead,omitempty"`
	// Hourly is nil if it was not measured.
	Hourly *hourly `json:"hourly,omitempty"`
}

// row is the usage of one shape at one latency. A field is nil if it was not
// measured.
type row struct {
	Repositories int    `json:"repositories"`
	KeysInEach   int    `json:"keys_in_each"`
	LatencyMS    int64  `json:"latency_ms"`
	Create       *usage `json:"create,omitempty"`
	Plan         *usage `json:"plan,omitempty"`
	Label        *usage `json:"one_label,omitempty"`
	Destroy      *usage `json:"destroy,omitempty"`
	// Builtin is the plan of the same number of terraform_data resources.
	Builtin *usage `json:"plan_terraform_data,omitempty"`
}

// usage is the usage of one command.
type usage struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	// CPUSeconds is the processor time of Terraform and the provider together. It
	// depends less than Seconds on the load of the machine.
	CPUSeconds float64 `json:"cpu_seconds"`
	// MemoryMB is the peak of a provider process, or 0 if it is unknown.
	MemoryMB float64 `json:"memory_mb,omitempty"`
}

func (r row) shape() shape { return shape{r.Repositories, r.KeysInEach} }

func readResults(path string) (results, error) {
	var r results
	content, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r results) write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, string(content)+"\n")
}

// writeFile writes a file and creates its folder if needed.
func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
