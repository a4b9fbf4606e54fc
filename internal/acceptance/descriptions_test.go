package acceptance

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// The registry and search engines show the description of a page as plain text, so it must
// be one line without Markdown.
func TestDescriptions_plainText(t *testing.T) {
	t.Parallel()
	checked := 0
	if err := fs.WalkDir(os.DirFS(root+"/docs"), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".md" {
			return err
		}
		checked++
		_, frontMatter, _ := strings.Cut(acctest.ReadFile(t, filepath.Join(root, "docs", name)), "---\n")
		frontMatter, _, _ = strings.Cut(frontMatter, "\n---\n")
		_, description, found := strings.Cut(frontMatter, "description: |-\n  ")
		switch {
		case !found || strings.TrimSpace(description) == "":
			t.Errorf("docs/%s has no description", name)
		case strings.Contains(description, "\n"):
			t.Errorf("docs/%s has a description of several lines", name)
		case !strings.HasSuffix(description, "."):
			t.Errorf("docs/%s has a description that does not end with a period: %s", name, description)
		}
		for _, markup := range []string{"`", "**", "](", "~>", "!>", "->", "http"} {
			if strings.Contains(description, markup) {
				t.Errorf("docs/%s has %q in its description: %s", name, markup, description)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("no page was checked")
	}
}
