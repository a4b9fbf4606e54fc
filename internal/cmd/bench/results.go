package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// results is what results.json holds.
type results struct {
	Date  time.Time `json:"date"`
	CLI   string    `json:"cli"`
	Go    string    `json:"go"`
	OS    string    `json:"os"`
	Cores int       `json:"cores"`
	// Startup is absent where it was not measured.
	Startup *startup `json:"startup,omitempty"`
	Rows    []row    `json:"rows"`
}

// row is one shape at one latency. What was not measured is absent.
type row struct {
	Repositories int    `json:"repositories"`
	KeysInEach   int    `json:"keys_in_each"`
	LatencyMS    int64  `json:"latency_ms"`
	Create       *usage `json:"create,omitempty"`
	Plan         *usage `json:"plan,omitempty"`
	// OneGET is Plan with one GET for each key.
	OneGET  *usage `json:"plan_one_get,omitempty"`
	Label   *usage `json:"one_label,omitempty"`
	Destroy *usage `json:"destroy,omitempty"`
	// Floor is the plan of as many terraform_data resources.
	Floor *usage `json:"plan_terraform_data,omitempty"`
}

// usage is what one command took.
type usage struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	// CPUSeconds is what Terraform and the providers computed together, which
	// depends less than Seconds on what else the machine does.
	CPUSeconds float64 `json:"cpu_seconds"`
	// MemoryMB is the peak of a provider process, 0 where it is not known.
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

// writeFile writes a file, in a folder that need not exist.
func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
