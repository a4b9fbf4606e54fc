package terraformcli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-version"
)

// enginesVariable lists commands in place of those that are found.
const enginesVariable = "ENGINES"

// features are what not every command can do, by the least version that can:
// "" for none.
var features = []struct{ name, terraform, openTofu string }{
	{"provider functions", "1.8.0", "1.7.0"},
	{"resource identity", "1.12.0", "1.12.0"},
	{"terraform query", "1.14.0", ""},
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

// Lacks names the features that the command is too old for, each with the
// version that it needs.
func (c CLI) Lacks() []string {
	has, err := version.NewVersion(c.Version)
	var lacks []string
	for _, feature := range features {
		least, product := feature.terraform, "Terraform"
		if c.OpenTofu {
			least, product = feature.openTofu, "OpenTofu"
		}
		switch {
		case least == "":
			lacks = append(lacks, feature.name+" (no "+product+" has it)")
		case err != nil || has.Core().LessThan(version.Must(version.NewVersion(least))):
			lacks = append(lacks, feature.name+" ("+product+" "+least+")")
		}
	}
	return lacks
}
