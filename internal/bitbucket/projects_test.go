package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	projectUUID     = "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}"
	projectKeysPath = "/2.0/workspaces/standard/projects/TEST_PROJECT/deploy-keys"
)

// project is that of the documented bodies.
var project = Place{Workspace: "standard", Project: "TEST_PROJECT"}

func TestProjectDeployKey_decodes(t *testing.T) {
	t.Parallel()
	projectKey := func(id int64, comment, label, createdOn string) DeployKey {
		k := DeployKey{ID: id, Comment: comment, Label: label, CreatedOn: createdOn}
		k.Project.UUID = projectUUID
		return k
	}
	c := newTestClient(t, answers(t, answer(200, readTestdata(t, "project_deploy_keys.json")), answer(200, readTestdata(t, "project_deploy_key_created.json"))))
	keys, err := c.DeployKeys(t.Context(), project)
	if err != nil || len(keys) != 1 {
		t.Fatalf("got %v, %v", keys, err)
	}
	created, err := c.CreateDeployKey(t.Context(), project, DeployKeyInput{Key: recordedKey, Label: "myprojectkey"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ got, want DeployKey }{
		{keys[0], projectKey(1234, "thakseth@C02W454JHTD8", "test", "2021-07-28T21:20:19.491721+00:00")},
		{*created, projectKey(5, "mleu@C02W454JHTD8", "myprojectkey", "2021-08-10T05:28:00.570859+00:00")},
	} {
		if !strings.HasPrefix(tc.got.Key, "ssh-rsa AAAA") || tc.got.PlaceUUID() != projectUUID {
			t.Errorf("got the key %q of %q", tc.got.Key, tc.got.PlaceUUID())
		}
		if tc.got.Key = ""; tc.got != tc.want {
			t.Errorf("got  %+v\nwant %+v", tc.got, tc.want)
		}
	}
}

// The UUID of a project is no name of it.
func TestProjectDeployKey_requests(t *testing.T) {
	t.Parallel()
	known := Place{Workspace: "standard", Project: "TEST_PROJECT", UUID: projectUUID}
	byUUID := Place{Workspace: "{85d08b4e-571d-44e9-a507-fa476535aa98}", Project: "TEST_PROJECT"}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		call   func(context.Context, *Client) error
		lines  []string
	}{
		"list": {answer(200, `{"values": []}`), func(ctx context.Context, c *Client) error {
			_, err := c.DeployKeys(ctx, known)
			return err
		}, []string{"GET " + projectKeysPath + "?pagelen=100"}},
		"get": {answer(200, `{"values": [`+oneKey+`]}`), func(ctx context.Context, c *Client) error {
			_, err := c.DeployKey(ctx, known, 1234)
			return err
		}, []string{"GET " + projectKeysPath + "?pagelen=100"}},
		"find": {answer(200, oneKey), func(ctx context.Context, c *Client) error {
			_, err := c.FindDeployKey(ctx, byUUID, 1234)
			return err
		}, []string{"GET " + strings.Replace(projectKeysPath, "standard", url.PathEscape(byUUID.Workspace), 1) + "/1234"}},
		"create": {answer(200, oneKey), func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, known, input)
			return err
		}, []string{"POST " + projectKeysPath}},
		"delete": {answer(204, ""), func(ctx context.Context, c *Client) error {
			return c.DeleteDeployKey(ctx, known, 1234)
		}, []string{"DELETE " + projectKeysPath + "/1234"}},
		"get where it is not found": {answer(404, ""), func(ctx context.Context, c *Client) error {
			if _, err := c.DeployKey(ctx, known, 1234); !IsNotFound(err) || errors.Is(err, ErrDeployKeyGone) {
				return fmt.Errorf("got %w", err)
			}
			return nil
		}, []string{"GET " + projectKeysPath + "?pagelen=100"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, tc.answer)
			if err := tc.call(t.Context(), newTestClient(t, api)); err != nil {
				t.Fatal(err)
			}
			api.expect(tc.lines...)
		})
	}
}

// newProject returns an emulator with the project WEB that has keys, and its place.
func newProject(t *testing.T, keys int) (*emulator.Emulator, *Client, Place, []int64) {
	t.Helper()
	e, c := newBitbucket(t)
	e.AddProject("mleu", emulator.Project{Key: "WEB", UUID: projectUUID})
	var ids []int64
	for i := range keys {
		ids = append(ids, e.AddProjectDeployKey("mleu", "WEB", key(i), "").ID)
	}
	return e, c, Place{Workspace: "mleu", Project: "WEB", UUID: projectUUID}, ids
}

// A project that has the key of another now shows that by its deploy keys, and
// none of them is taken for one of the other's.
func TestProjectDeployKey_anotherHasItsKey(t *testing.T) {
	t.Parallel()
	e, c, known, ids := newProject(t, 2)
	e.RenameProject("mleu", "WEB", "SITE")
	e.AddProject("mleu", emulator.Project{Key: "WEB"})
	e.AddProjectDeployKey("mleu", "WEB", keyLine, "of another project")
	if keys, err := c.DeployKeys(t.Context(), known); !errors.Is(err, errAnothers) || keys != nil {
		t.Errorf("list: got %v, %v", keys, err)
	}
	if key, err := c.DeployKey(t.Context(), known, ids[0]); !IsNotFound(err) || errors.Is(err, ErrDeployKeyGone) {
		t.Errorf("read: got %v, %v", key, err)
	}
	if err := c.DeleteDeployKey(t.Context(), known, ids[0]); !IsNotFound(err) {
		t.Errorf("delete: got %v", err)
	}
	if len(e.ProjectDeployKeys("mleu", "WEB")) != 1 || len(e.ProjectDeployKeys("mleu", "SITE")) != 2 {
		t.Error("a key is gone")
	}
	// Without the UUID, they are what was asked for.
	if keys, err := c.DeployKeys(t.Context(), Place{Workspace: "mleu", Project: "WEB"}); err != nil || len(keys) != 1 {
		t.Errorf("list without a UUID: got %v, %v", keys, err)
	}
}

// A project without keys answers, so what is not on it is gone: nothing else can
// be asked.
func TestProjectDeployKey_empty(t *testing.T) {
	t.Parallel()
	e, c, known, ids := newProject(t, 1)
	e.RemoveProjectDeployKey("mleu", "WEB", ids[0])
	if keys, err := c.DeployKeys(t.Context(), known); err != nil || len(keys) > 0 || methods(e) != "GET 200" {
		t.Errorf("list: got %v, %v", keys, err)
	}
	if _, err := c.DeployKey(t.Context(), known, ids[0]); !errors.Is(err, ErrDeployKeyGone) {
		t.Errorf("read: got %v", err)
	}
	if got := methods(e); got != "GET 404" { // Its listing is still good.
		t.Errorf("reading took %s", got)
	}
	if err := c.DeleteDeployKey(t.Context(), known, ids[0]); err != nil {
		t.Errorf("delete: got %v", err)
	}
	if got := methods(e); got != "DELETE 404, GET 200" {
		t.Errorf("deleting took %s", got)
	}
}

// A new project of its key that has no deploy key cannot be told from it.
func TestProjectDeployKey_emptyOneHasItsKey(t *testing.T) {
	t.Parallel()
	e, c, known, ids := newProject(t, 1)
	e.RenameProject("mleu", "WEB", "SITE")
	e.AddProject("mleu", emulator.Project{Key: "WEB"})
	if _, err := c.DeployKey(t.Context(), known, ids[0]); !errors.Is(err, ErrDeployKeyGone) {
		t.Errorf("read: got %v", err)
	}
	if keys, err := c.DeployKeys(t.Context(), known); err != nil || len(keys) > 0 {
		t.Errorf("list: got %v, %v", keys, err)
	}
}

// However the answer to a write is lost, there is one key afterwards, or none.
func TestProjectDeployKey_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lost {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, c, known, _ := newProject(t, 0)
				fault := fault
				fault.Method, fault.Times = http.MethodPost, 1
				e.Inject(fault)
				key, err := c.CreateDeployKey(t.Context(), known, DeployKeyInput{Key: keyLine + " ada@host", Label: "ci"})
				if keys := e.ProjectDeployKeys("mleu", "WEB"); err != nil || len(keys) != 1 || keys[0].ID != key.ID || key.PlaceUUID() != projectUUID {
					t.Fatalf("got %+v, %v of %+v after %s", key, err, keys, methods(e))
				}
			})
		})
	}
	for _, fault := range []emulator.Fault{{Cut: true, CarryOut: true}, emulator.BadGateway(), done(emulator.ServerError()), {Status: 202, CarryOut: true}} {
		synctest.Test(t, func(t *testing.T) {
			e, c, known, ids := newProject(t, 2)
			fault.Method, fault.Times = http.MethodDelete, 1
			e.Inject(fault)
			if err := c.DeleteDeployKey(t.Context(), known, ids[0]); err != nil || len(e.ProjectDeployKeys("mleu", "WEB")) != 1 {
				t.Errorf("got %v after %s", err, methods(e))
			}
		})
	}
}

func TestNames_project(t *testing.T) {
	t.Parallel()
	var n names
	for _, place := range []Place{project, {Workspace: "standard", Project: "TEST_PROJECT", UUID: projectUUID}, {Workspace: "{1}", Project: "WEB", UUID: projectUUID}} {
		if got := n.of(place); !slices.Equal(got, []Place{place}) {
			t.Errorf("%+v is asked for as %+v", place, got)
		}
	}
}

// A write makes forget what it may have changed: a repository's listing or a
// project's, never the other's.
func TestProjectDeployKey_listings(t *testing.T) {
	t.Parallel()
	e, c, web, _ := newProject(t, 1)
	e.AddProject("mleu", emulator.Project{Key: "TEST"}) // As the repository.
	test := Place{Workspace: "mleu", Project: "TEST"}
	lists := map[string]Place{"repository": repository, "project": web, "project of its name": test}
	for name, tc := range map[string]struct {
		write Place
		again []string
	}{
		"repository":         {repository, []string{"repository"}},
		"repository by UUID": {Place{Workspace: "mleu", Repository: testUUID}, []string{"repository"}},
		"anywhere":           {Place{Workspace: anyWorkspace, Repository: testUUID}, []string{"repository"}},
		"project":            {web, []string{"project"}},
		"without its UUID":   {Place{Workspace: "MLEU", Project: "WEB"}, []string{"project"}},
		"workspace by UUID":  {Place{Workspace: "{w}", Project: "WEB"}, []string{"project"}},
		"another workspace":  {Place{Workspace: "other", Project: "WEB"}, nil},
		"another project":    {test, []string{"project of its name"}},
	} {
		read := func() (asked []string) {
			for name, place := range lists {
				e.ForgetRequests()
				if _, err := c.DeployKeys(t.Context(), place); err != nil {
					t.Fatal(err)
				}
				if len(e.Requests()) > 0 {
					asked = append(asked, name)
				}
			}
			return asked
		}
		read()
		if asked := read(); len(asked) > 0 {
			t.Fatalf("listed again: %v", asked)
		}
		c.listings.drop(tc.write)
		if asked := read(); !slices.Equal(asked, tc.again) {
			t.Errorf("%s: listed again: %v, want %v", name, asked, tc.again)
		}
	}
}

// walkedProjects are the projects of a walk, as walked tells them.
func walkedProjects(ctx context.Context, c *Client) (found []string, err error) {
	for one, err := range c.WorkspaceProjectDeployKeys(ctx, "acme") {
		if err != nil {
			return found, err
		}
		name := one.Place.Project
		if one.Hidden {
			name += "!"
		}
		for _, key := range one.Keys {
			name += fmt.Sprintf("=%d", key.ID)
		}
		found = append(found, name)
	}
	return found, nil
}

func TestWorkspaceProjectDeployKeys(t *testing.T) {
	t.Parallel()
	const projects = "/2.0/workspaces/acme/projects"
	page := func(next string, values ...string) http.HandlerFunc {
		return answer(200, `{"values": [`+strings.Join(values, ", ")+`]`+next+`}`)
	}
	second := `, "next": "ORIGIN` + projects + `?page=2"`
	for name, tc := range map[string]struct {
		// answers are by the paths below the projects.
		answers map[string]http.HandlerFunc
		found   []string
		check   func(error) bool
	}{
		"pages": {
			map[string]http.HandlerFunc{"?fields=next%2Cvalues.key&pagelen=100": page(second, `{"key": "WEB"}`, `{"key": "API"}`), "?page=2": page("", `{"key": "API"}`, `{"key": "W_1"}`)},
			[]string{"WEB=7", "API=7", "W_1=7"},
			nil,
		},
		"none": {map[string]http.HandlerFunc{"": page("")}, nil, nil},
		"hidden": {
			map[string]http.HandlerFunc{
				"/A/": answer(403, `{"error": {"message": "Forbidden"}}`), "/C/": answer(404, `{"error": {"message": "Project not found"}}`),
				"": page("", `{"key": "A"}`, `{"key": "B"}`, `{"key": "C"}`),
			},
			[]string{"A!", "B=7", "C!"},
			nil,
		},
		"empty": {map[string]http.HandlerFunc{"/A/": page(""), "": page("", `{"key": "A"}`)}, []string{"A"}, nil},
		"scope": {
			map[string]http.HandlerFunc{
				"/A/": answer(403, `{"error": {"message": "no", "detail": {"required": ["admin:project:bitbucket"], "granted": []}}}`), "": page("", `{"key": "A"}`, `{"key": "B"}`),
			},
			nil, func(err error) bool { return HasStatus(err, 403) },
		},
		"no workspace":  {map[string]http.HandlerFunc{"": answer(404, "")}, nil, IsNotFound},
		"no list":       {map[string]http.HandlerFunc{"": answer(200, "{}")}, nil, isUnusable},
		"no key":        {map[string]http.HandlerFunc{"": page("", `{"key": "A"}`, `{"name": "B"}`)}, []string{"A=7"}, isUnusable},
		"key of a path": {map[string]http.HandlerFunc{"": page("", `{"key": "../A"}`)}, nil, isUnusable},
		"lower case":    {map[string]http.HandlerFunc{"": page("", `{"key": "web"}`)}, nil, isUnusable},
		"endless":       {map[string]http.HandlerFunc{"": page(second, `{"key": "A"}`)}, []string{"A=7"}, isUnusable},
		"keys":          {map[string]http.HandlerFunc{"/B/": answer(400, ""), "": page("", `{"key": "A"}`, `{"key": "B"}`)}, []string{"A=7"}, func(err error) bool { return HasStatus(err, 400) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				below := strings.TrimPrefix(r.RequestURI, projects)
				longest, handler := -1, pageOf("", 7) // Of the deploy keys of any project.
				for prefix, one := range tc.answers {
					isList := !strings.HasPrefix(below, "/")
					if strings.HasPrefix(below, prefix) && len(prefix) > longest && (prefix != "" || isList) {
						longest, handler = len(prefix), one
					}
				}
				handler(w, r)
			}), withRetries(0))
			found, err := walkedProjects(t.Context(), c)
			if !slices.Equal(found, tc.found) || (err == nil) != (tc.check == nil) || err != nil && !tc.check(err) {
				t.Errorf("found %v, then %v", found, err)
			}
		})
	}
}
