package acctest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Parent is the repository or the project of the deploy keys in a test. Most tests are the
// same for both.
type Parent struct {
	Kind     string // Kind is "repository" or "project", the attribute that holds the name.
	TypeName string // TypeName is the type of the resource for one key.
	Name     string // Name is the slug of a repository or the key of a project, in acme.
	UUID     string
	Other    string // Other is the name of another parent of this kind in acme.
	Path     string // Path is the path in the API.
	Page     string // Page is the address of the settings in the browser.
	Resource string // Resource is the name of the resource that DeployKey declares.
}

// The parents that tests use.
var (
	Website = Parent{"repository", "bitbucket_deploy_key", "website", WebsiteUUID, "api", "/2.0/repositories/acme/website", "https://bitbucket.org/acme/website/admin", "test"}
	WEB     = Parent{"project", "bitbucket_project_deploy_key", "WEB", ProjectUUID, "API", "/2.0/workspaces/acme/projects/WEB", "https://bitbucket.org/acme/workspace/projects/WEB/settings", "test"}
)

// ForEachParent runs a test for the keys of a repository, and for the keys of a
// project.
func ForEachParent(t *testing.T, test func(t *testing.T, parent Parent)) {
	t.Helper()
	for _, parent := range []Parent{Website, WEB} {
		t.Run(parent.Kind, func(t *testing.T) {
			t.Parallel()
			test(t, parent)
		})
	}
}

// IsProject reports whether the parent is a project.
func (p Parent) IsProject() bool { return p.Kind == "project" }

// Named returns a parent of the same kind with another name.
func (p Parent) Named(name string) Parent {
	p.Path, p.Page = strings.Replace(p.Path, p.Name, name, 1), strings.Replace(p.Page, p.Name, name, 1)
	p.Name, p.UUID = name, ""
	return p
}

// Reworded adapts a text about repositories to this kind of parent.
func (p Parent) Reworded(text string) string {
	if p.IsProject() {
		return strings.NewReplacer("website", "WEB", "api", "API", "secret", "SECRET", "empty", "EMPTY", "repositories", "projects", "repository", "project").Replace(text)
	}
	return text
}

// String returns the name of the parent as errors show it.
func (p Parent) String() string {
	if p.IsProject() {
		return "project acme/" + p.Name
	}
	return "acme/" + p.Name
}

// Address returns the address of the resource that DeployKey declares.
func (p Parent) Address() string { return p.TypeName + "." + p.Resource }

// ImportID returns the import ID of the key with this ID.
func (p Parent) ImportID(id int64) string { return fmt.Sprintf("acme/%s/%d", p.Name, id) }

// Collection returns the path of all keys, as Sent returns it.
func (p Parent) Collection() string { return sentPath(p.Path) + "/deploy-keys" }

// FirstKey returns the path of the first key that a test adds, as Sent returns it.
func (p Parent) FirstKey() string { return fmt.Sprintf("%s/%d", p.Collection(), FirstID) }

// SecondKey returns the path of the second key that a test adds, as Sent returns it.
func (p Parent) SecondKey() string { return fmt.Sprintf("%s/%d", p.Collection(), FirstID+1) }

// DeployKey returns a resource with these lines. It is for this parent, unless the lines
// name another parent.
func (p Parent) DeployKey(lines ...string) string {
	body := strings.Join(lines, "\n  ")
	for name, value := range map[string]string{"workspace": "acme", p.Kind: p.Name} {
		if !regexp.MustCompile(`(?m)^\s*` + name + `\s*=`).MatchString(body) {
			body = fmt.Sprintf("%s = %q\n  ", name, value) + body
		}
	}
	return fmt.Sprintf("\nresource %q %q {\n  %s\n}\n", p.TypeName, p.Resource, body)
}

// Line returns the line of a configuration that names another parent of this kind.
func (p Parent) Line(name string) string { return fmt.Sprintf("%s = %q", p.Kind, name) }

// Data returns a data source for one key of this parent.
func (p Parent) Data(lines ...string) string {
	return strings.Replace(p.DeployKey(lines...), "resource", "data", 1)
}
