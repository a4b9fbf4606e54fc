package terraformcli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
)

// enginesVariable lists commands in place of those that are found.
const enginesVariable = "ENGINES"

// Feature is what not every command can do.
type Feature struct {
	Name string
	// Terraform and OpenTofu are the least versions that can, "" for none.
	Terraform, OpenTofu string
}

// What commands learnt one after the other.
var (
	// Protocol is what the provider speaks, so nothing works without it.
	Protocol           = Feature{"Plugin protocol 6", "1.0.0", "1.6.0"}
	Moved              = Feature{"`moved` blocks", "1.1.0", "1.6.0"}
	Checks             = Feature{"`check` blocks", "1.5.0", "1.6.0"}
	ImportBlocks       = Feature{"`import` blocks", "1.5.0", "1.6.0"}
	PlanTimestamp      = Feature{"`plantimestamp()`", "1.5.0", "1.6.0"}
	ImportForEach      = Feature{"`import` blocks with `for_each`", "1.7.0", "1.7.0"}
	Functions          = Feature{"Functions", "1.8.0", "1.7.0"}
	LoneFunctions      = Feature{"Functions without credentials", "1.8.0", "1.12.0"}
	MovedTypes         = Feature{"`moved` blocks from another resource type", "1.8.0", "1.10.0"}
	EphemeralVariables = Feature{"`ephemeral` variables", "1.10.0", "1.11.0"}
	WriteOnly          = Feature{"Write-only attributes", "1.11.0", "1.11.0"}
	Identity           = Feature{"`import` blocks with `identity`", "1.12.0", "1.12.0"}
	Query              = Feature{"`terraform query`", "1.14.0", ""}

	// Features are those that the provider or its pages use.
	Features = []Feature{
		Protocol, Moved, Checks, ImportBlocks, PlanTimestamp, ImportForEach, Functions, LoneFunctions, MovedTypes,
		EphemeralVariables, WriteOnly, Identity, Query,
	}
)

// Only the tests use these.
var (
	// GroupSignals is to count a signal once that all processes get. Terraform 1.0
	// runs itself as its own child, which takes it for a second one and gives up.
	GroupSignals  = Feature{"SIGTERM to all processes", "1.1.0", "1.6.0"}
	TerraformData = Feature{"`terraform_data`", "1.4.0", "1.6.0"}
)

// String names the feature and what it needs.
func (f Feature) String() string {
	text := f.Name + " (Terraform " + f.Terraform
	if f.OpenTofu != "" {
		text += " or OpenTofu " + f.OpenTofu
	}
	return text + ")"
}

// FindAll returns the commands that ENGINES names, separated by spaces, else
// terraform and tofu from PATH and from the cache folder, one of each version.
func FindAll(ctx context.Context) ([]CLI, error) {
	named := os.Getenv(enginesVariable) != ""
	names := strings.Fields(os.Getenv(enginesVariable))
	if named && len(names) == 0 {
		return nil, fmt.Errorf("%s names no command", enginesVariable)
	}
	if !named {
		cache, err := cacheFolder()
		if err != nil {
			return nil, err
		}
		names = []string{"terraform", "tofu", filepath.Join(cache, "terraform"), filepath.Join(cache, "tofu")}
	}
	var all []CLI
	seen := map[string]bool{}
	for _, name := range names {
		cli, err := inspect(ctx, name)
		switch {
		case err != nil && named:
			return nil, fmt.Errorf("%s names what is no Terraform or OpenTofu command: %w", enginesVariable, err)
		case err == nil && !seen[cli.String()]:
			seen[cli.String()] = true
			all = append(all, cli)
		}
	}
	return all, nil
}

// Bring builds OpenTofu into the cache folder, unless it is there.
func Bring(ctx context.Context) (CLI, error) {
	cache, err := cacheFolder()
	if err != nil {
		return CLI{}, err
	}
	if cli, err := inspect(ctx, filepath.Join(cache, "tofu")); err == nil {
		return cli, nil
	}
	return install(ctx, cache, buildOpenTofu)
}

// Has tells whether the command is new enough for a feature.
func (c CLI) Has(feature Feature) bool {
	least := feature.Terraform
	if c.OpenTofu {
		least = feature.OpenTofu
	}
	has, err := version.NewVersion(c.Version)
	return least != "" && err == nil && has.Core().GreaterThanOrEqual(version.Must(version.NewVersion(least)))
}

// Lacks returns the features that it is too old for.
func (c CLI) Lacks() []Feature {
	return slices.DeleteFunc(slices.Clone(Features), c.Has)
}
