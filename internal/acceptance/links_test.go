package acceptance

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// registry is the address of the pages of docs in the Terraform registry. The index has no
// slash at its end there, so a relative link would lead to another page from the index than
// from a guide.
const registry = "https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs"

var (
	codeBlock   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inlineCode  = regexp.MustCompile("`[^`\n]*`")
	heading     = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchorTag   = regexp.MustCompile(`<a id="([^"]+)">`)
	linkPattern = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// markdown is a page without its code.
type markdown struct {
	text    string
	anchors map[string]bool
}

func readMarkdown(t *testing.T, file string) markdown {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := markdown{codeBlock.ReplaceAllString(string(content), ""), map[string]bool{}}
	for _, match := range heading.FindAllStringSubmatch(page.text, -1) {
		anchor := anchorOf(match[1])
		for n := 1; page.anchors[anchor]; n++ {
			anchor = fmt.Sprintf("%s-%d", anchorOf(match[1]), n)
		}
		page.anchors[anchor] = true
	}
	for _, match := range anchorTag.FindAllStringSubmatch(page.text, -1) {
		page.anchors[match[1]] = true
	}
	return page
}

// anchorOf returns the anchor of a heading, as GitHub and the registry make it.
func anchorOf(heading string) string {
	heading = linkPattern.ReplaceAllString(heading, "]")
	var anchor strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			anchor.WriteRune('-')
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			anchor.WriteRune(r)
		}
	}
	return anchor.String()
}

// links returns the targets of all links of a page.
func (m markdown) links() []string {
	var targets []string
	for _, match := range linkPattern.FindAllStringSubmatch(inlineCode.ReplaceAllString(m.text, ""), -1) {
		targets = append(targets, match[1])
	}
	return targets
}

// Each link between pages of the registry leads to a page and a heading that exist, from
// wherever it is followed.
func TestLinks_registry(t *testing.T) {
	t.Parallel()
	pages := map[string]markdown{} // By their address in the registry.
	docs := filepath.Join(root, "docs")
	if err := fs.WalkDir(os.DirFS(docs), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".md" {
			address := registry + "/" + strings.TrimSuffix(name, ".md")
			pages[strings.TrimSuffix(address, "/index")] = readMarkdown(t, filepath.Join(docs, name))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for address, page := range pages {
		for _, link := range page.links() {
			target, anchor, _ := strings.Cut(link, "#")
			switch {
			case target == "":
				target = address
			case strings.HasPrefix(target, registry):
			case strings.HasPrefix(target, "https://"):
				continue
			default:
				t.Errorf("%s links to %s, which is not an address of the registry", address, link)
				continue
			}
			checked++
			if found, ok := pages[target]; !ok || anchor != "" && !found.anchors[anchor] {
				t.Errorf("%s links to %s, which does not exist", address, link)
			}
		}
	}
	if checked == 0 {
		t.Error("no link was checked")
	}
}

// Each relative link in a file of the repository leads to a file and a heading that exist.
func TestLinks_repository(t *testing.T) {
	t.Parallel()
	files := []string{"README.md", "CHANGELOG.md", "DESIGN.md", "SECURITY.md", ".github/CONTRIBUTING.md", "internal/bitbucket/testdata/recorded/README.md"}
	for _, file := range files {
		for _, link := range readMarkdown(t, filepath.Join(root, file)).links() {
			target, anchor, _ := strings.Cut(link, "#")
			if strings.HasPrefix(target, "https://") {
				continue
			}
			linked := filepath.Join(root, file)
			if target != "" {
				linked = filepath.Join(root, path.Dir(file), target)
			}
			if _, err := os.Stat(linked); err != nil {
				t.Errorf("%s links to %s: %v", file, link, err)
			} else if anchor != "" && !readMarkdown(t, linked).anchors[anchor] {
				t.Errorf("%s links to %s: there is no such heading", file, link)
			}
		}
	}
}
