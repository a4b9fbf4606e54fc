package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// made are the places in pages that tell of the results.
var made = []struct {
	page  string
	place *regexp.Regexp
	text  func([]result) string
}{
	{"README.md", regexp.MustCompile(`To use it: .* To develop it:`), requirement},
	{"templates/index.md.tmpl", regexp.MustCompile(`(?s)\{\{/\* make test-engines \*/ -\}\}\n.*\{\{- /\* end \*/\}\}\n`), tables},
}

// pages are the pages as they should be, by name.
func pages(root string) (map[string]string, error) {
	all, err := stored(root)
	if err != nil {
		return nil, err
	}
	contents := map[string]string{}
	for _, made := range made {
		content, err := os.ReadFile(filepath.Join(root, made.page))
		if err != nil {
			return nil, err
		}
		if !made.place.Match(content) {
			return nil, fmt.Errorf("%s has no place for the results", made.page)
		}
		contents[made.page] = made.place.ReplaceAllLiteralString(string(content), made.text(all))
	}
	return contents, nil
}

func writePages(root string) error {
	contents, err := pages(root)
	for page, content := range contents {
		if err := os.WriteFile(filepath.Join(root, page), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return err
}

// requirement is what the README says, of the oldest commands that passed.
func requirement(all []result) string {
	oldest := map[bool]string{}
	for _, r := range all {
		oldest[r.OpenTofu] = cmp.Or(oldest[r.OpenTofu], minor(r.Version))
	}
	return fmt.Sprintf("To use it: Terraform %s or later, or OpenTofu %s or later ([tested with both, and newer ones](docs/index.md#compatibility)). To develop it:", oldest[false], oldest[true])
}

// tables are what the index page shows: the commands, and what they can.
func tables(all []result) string {
	var b strings.Builder
	b.WriteString("{{/* make test-engines */ -}}\n| Tested with | Tests passed | Skipped | Too old for |\n|-------------|--------------|---------|-------------|\n")
	for _, r := range all {
		var lacks []string
		for _, feature := range r.cli().Lacks() {
			lacks = append(lacks, feature.Name)
		}
		fmt.Fprintf(&b, "| %s, %s | %d | %d | %s |\n", r.cli(), r.Date, r.Passed, r.Skipped, cmp.Or(strings.Join(lacks, ", "), "—"))
	}
	b.WriteString("\n| What | Terraform | OpenTofu |\n|------|-----------|----------|\n")
	for _, feature := range terraformcli.Features {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", feature.Name, minor(feature.Terraform), cmp.Or(minor(feature.OpenTofu), "—"))
	}
	b.WriteString("{{- /* end */}}\n")
	return b.String()
}
