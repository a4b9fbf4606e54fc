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

// enginesVariable names the environment variable that lists the commands to use.
const enginesVariable = "ENGINES"

// Feature is a feature that older commands lack.
type Feature struct {
	Name string
	// Terraform and OpenTofu are the first versions with the feature, or "" if no
	// version has it.
	Terraform, OpenTofu string
}

// The features in the order in which Terraform added them.
var (
	// Protocol is required, because the provider does not start without it.
	Protocol      = Feature{"Plugin protocol 6", "1.0.0", "1.6.0"}
	Moved         = Feature{"`moved` blocks", "1.1.0", "1.6.0"}
	Checks        = Feature{"`check` blocks", "1.5.0", "1.6.0"}
	ImportBlocks  = Feature{"`import` blocks", "1.5.0", "1.6.0"}
	PlanTimestamp = Feature{"`plantimestamp()`", "1.5.0", "1.6.0"}
	ImportForEach = Feature{"`import` blocks with `for_each`", "1.7.0", "1.7.0"}
	// GeneratedSets fails in older versions, which crash on a computed nested attribute.
	GeneratedSets      = Feature{"`-generate-config-out` for exclusive sets", "1.7.0", "1.10.0"}
	Functions          = Feature{"Functions", "1.8.0", "1.7.0"}
	LoneFunctions      = Feature{"Functions without credentials", "1.8.0", "1.12.0"}
	MovedTypes         = Feature{"`moved` blocks from another resource type", "1.8.0", "1.10.0"}
	EphemeralVariables = Feature{"`ephemeral` variables", "1.10.0", "1.11.0"}
	WriteOnly          = Feature{"Write-only attributes", "1.11.0", "1.11.0"}
	Identity           = Feature{"`import` blocks with `identity`", "1.12.0", "1.12.0"}
	Query              = Feature{"`terraform query`", "1.14.0", ""}
	Store              = Feature{"`terraform_data` with `store`", "1.16.0", ""}

	// Features lists the features that the provider or its documentation uses.
	Features = []Feature{
		Protocol, Moved, Checks, ImportBlocks, PlanTimestamp, ImportForEach, GeneratedSets, Functions, LoneFunctions, MovedTypes,
		EphemeralVariables, WriteOnly, Identity, Query, Store,
	}
)

// Only the tests use these features.
var (
	// GroupSignals means that the command is one process. Terraform 1.0 runs a child
	// process of itself, which survives if the parent is killed, and receives a signal
	// to the whole process group twice.
	GroupSignals = Feature{"SIGTERM to all processes", "1.1.0", "1.6.0"}
	// DeletePlans means that the command asks the provider to plan a delete.
	DeletePlans   = Feature{"Plans of deletes", "1.3.0", "1.6.0"}
	TerraformData = Feature{"`terraform_data`", "1.4.0", "1.6.0"}
)

// String returns the name of the feature and the versions that it needs.
func (f Feature) String() string {
	text := f.Name + " (Terraform " + f.Terraform
	if f.OpenTofu != "" {
		text += " or OpenTofu " + f.OpenTofu
	}
	return text + ")"
}

// FindAll returns the commands in ENGINES, which separates them by spaces. If
// ENGINES is not set, FindAll returns terraform and tofu from PATH and from the
// cache folder. It returns each version once.
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
			return nil, fmt.Errorf("%s must list Terraform or OpenTofu commands: %w", enginesVariable, err)
		case err == nil && !seen[cli.String()]:
			seen[cli.String()] = true
			all = append(all, cli)
		}
	}
	return all, nil
}

// InstallOpenTofu builds OpenTofu into the cache folder, unless the same
// version is already there.
func InstallOpenTofu(ctx context.Context) (CLI, error) {
	cache, err := cacheFolder()
	if err != nil {
		return CLI{}, err
	}
	if cli, err := inspect(ctx, filepath.Join(cache, "tofu")); err == nil && cli.OpenTofu && cli.Version == openTofuVersion {
		return cli, nil
	}
	return install(ctx, cache, buildOpenTofu)
}

// Has reports whether the command has a feature.
func (c CLI) Has(feature Feature) bool {
	first := feature.Terraform
	if c.OpenTofu {
		first = feature.OpenTofu
	}
	actual, err := version.NewVersion(c.Version)
	return first != "" && err == nil && actual.Core().GreaterThanOrEqual(version.Must(version.NewVersion(first)))
}

// Lacks returns the features in Features that the command lacks.
func (c CLI) Lacks() []Feature {
	return slices.DeleteFunc(slices.Clone(Features), c.Has)
}
