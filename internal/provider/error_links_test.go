package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// A detail ends with one link, on a line of its own. A link that the provider has set stays.
func TestErrorLinks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ summary, detail, want string }{
		"summary":            {"Private key given", "Remove it.\n", "Remove it.\n\n" + guides + "errors-public-key#private-key-given"},
		"summary of a place": {"Same deploy key twice in acme/website", "Remove it.", "Remove it.\n\n" + guides + "errors-deploy-keys#same-deploy-key-twice"},
		"longest beginning":  {"Unable to read deploy key", "It failed.", "It failed.\n\n" + guides + "errors#unable-to-read-deploy-key"},
		"own link":           {"Unable to read deploy key", "It failed.\n\n" + linkTo("errors#x"), "It failed.\n\n" + guides + "errors#x"},
		"of Terraform":       {"Plugin did not respond", "It failed.", "It failed."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			diagnostics := []*tfprotov6.Diagnostic{{Summary: tc.summary, Detail: tc.detail}}
			addLinks(diagnostics)
			addLinks(diagnostics) // The second call must change nothing.
			if got := diagnostics[0].Detail; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// No summary belongs to two headings.
func TestErrorLinks_explained(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, entry := range explained {
		for _, summary := range entry.summaries {
			if seen[summary] || summary == "" || strings.TrimLeft(summary, " ") != summary {
				t.Errorf("%q is there twice, or begins with a space", summary)
			}
			seen[summary] = true
		}
	}
}
