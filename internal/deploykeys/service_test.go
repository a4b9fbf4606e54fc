package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	keysPath = "/2.0/repositories/mleu/test/deploy-keys"
	keyPath  = keysPath + "/1234"
	keyLine  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq"
	oneKey   = `{"id": 1234, "key": "` + keyLine + `", "label": "ci"}`

	// page1 is the request for the first page of the deploy keys.
	page1 = "GET " + keysPath + "?pagelen=100"

	testUUID    = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
	projectUUID = "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}"
)

var (
	repository = bitbucket.Parent{Workspace: "mleu", Repository: "test"}
	// repositoryWithUUID is the same repository with its UUID.
	repositoryWithUUID = bitbucket.Parent{Workspace: "mleu", Repository: "test", UUID: testUUID}

	// input creates the key in oneKey.
	input = bitbucket.DeployKeyInput{Key: keyLine, Label: "ci"}

	errUnusable = bitbucket.ErrUnusable
)

// newTestService returns a service that sends its requests to this handler, without a
// network. If requests are retried, the test must run in a synctest bubble.
func newTestService(t testing.TB, handler http.Handler, options ...func(*transport.Options)) *Service {
	t.Helper()
	o := transport.Options{MaxRetries: 3, RetryWait: time.Second, MaxRateLimitWait: 10 * time.Minute, Base: httpfake.InMemory{Handler: handler}}
	for _, set := range options {
		set(&o)
	}
	client, err := bitbucket.NewClient("http://localhost/2.0", o)
	if err != nil {
		t.Fatal(err)
	}
	return New(client)
}

func withRetries(retries int) func(*transport.Options) {
	return func(o *transport.Options) { o.MaxRetries = retries }
}

func asUser(o *transport.Options) {
	o.Credentials = transport.Basic{Username: "ada@example.com", Token: "token"}
}

// newEmulator returns an emulator with mleu/test, and a service that uses it. If the test
// runs in a synctest bubble, both must be created in the bubble.
func newEmulator(t *testing.T) (*emulator.Emulator, *Service) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "mleu", Repositories: []emulator.Repository{{Slug: "test", UUID: testUUID}}},
		{Slug: "other", Repositories: []emulator.Repository{{Slug: "thing"}}},
	}})
	return e, newTestService(t, e, asUser, withRetries(2), func(o *transport.Options) { o.RequestTimeout = 5 * time.Second })
}

// newProject returns an emulator with the project WEB, which has this many keys.
func newProject(t *testing.T, keys int) (*emulator.Emulator, *Service, bitbucket.Parent, []int64) {
	t.Helper()
	e, s := newEmulator(t)
	e.AddProject("mleu", emulator.Project{Key: "WEB", UUID: projectUUID})
	var ids []int64
	for i := range keys {
		ids = append(ids, e.AddProjectDeployKey("mleu", "WEB", publicKey(i), "").ID)
	}
	return e, s, bitbucket.Parent{Workspace: "mleu", Project: "WEB", UUID: projectUUID}, ids
}

// publicKey returns one of 26 public keys.
func publicKey(i int) string {
	return keyLine[:len(keyLine)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i])
}

// methods returns the requests since the last call, as "METHOD status".
func methods(e *emulator.Emulator) string {
	var all []string
	for _, r := range e.Requests() {
		all = append(all, fmt.Sprint(r.Method, " ", r.Status))
	}
	e.ForgetRequests()
	return strings.Join(all, ", ")
}

// pageOf sends a page of keys with these IDs.
func pageOf(next string, ids ...int64) http.HandlerFunc {
	var keys []string
	for _, id := range ids {
		keys = append(keys, fmt.Sprintf(`{"id": %d, "key": %q}`, id, keyLine))
	}
	return httpfake.Page(next, keys...)
}

func idsOf(keys []bitbucket.DeployKey) []int64 {
	var ids []int64
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// asError returns the *bitbucket.Error in err.
func asError(t *testing.T, err error) *bitbucket.Error {
	t.Helper()
	e, ok := errors.AsType[*bitbucket.Error](err)
	if !ok {
		t.Fatalf("got error %v (%T), want a *bitbucket.Error", err, err)
	}
	return e
}

// The UUID of a project is not used as its name, because Bitbucket does not accept it.
func TestService_requests(t *testing.T) {
	t.Parallel()
	byUUID := bitbucket.Parent{Workspace: "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}", Repository: testUUID}
	const uuidPath = "/2.0/repositories/%7B3b3e510b-7f2b-414d-a2b7-76c4e405c1c0%7D/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"
	project := bitbucket.Parent{Workspace: "standard", Project: "TEST_PROJECT", UUID: projectUUID}
	const projectPath = "/2.0/workspaces/standard/projects/TEST_PROJECT/deploy-keys"
	for name, tc := range map[string]struct {
		parent bitbucket.Parent
		path   string
	}{
		"repository":    {repository, keysPath},
		"known":         {repositoryWithUUID, keysPath},
		"by UUID":       {byUUID, uuidPath},
		"project":       {project, projectPath},
		"any workspace": {bitbucket.Parent{Workspace: anyWorkspace, Repository: testUUID, UUID: testUUID}, "/2.0/repositories/%7B%7D/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"},
	} {
		for operation, exchange := range map[string]struct {
			reply http.HandlerFunc
			call  func(context.Context, *Service) error
			line  string
		}{
			"list": {httpfake.Page("", oneKey), func(ctx context.Context, s *Service) error {
				_, err := s.ListComplete(ctx, tc.parent)
				return err
			}, "GET " + tc.path + "?pagelen=100"},
			"get": {httpfake.Page("", oneKey), func(ctx context.Context, s *Service) error {
				_, err := s.Get(ctx, tc.parent, 1234)
				return err
			}, "GET " + tc.path + "?pagelen=100"},
			"create": {httpfake.Reply(200, oneKey), func(ctx context.Context, s *Service) error {
				return s.Create(ctx, tc.parent, input).Err
			}, "POST " + tc.path},
			"update": {httpfake.Reply(200, oneKey), func(ctx context.Context, s *Service) error {
				return s.Update(ctx, tc.parent, 1234, input).Err
			}, "PUT " + tc.path + "/1234"},
			"delete": {httpfake.Reply(204, ""), func(ctx context.Context, s *Service) error {
				return s.Delete(ctx, tc.parent, 1234, keyLine).Err
			}, "DELETE " + tc.path + "/1234"},
		} {
			t.Run(name+" "+operation, func(t *testing.T) {
				t.Parallel()
				api := httpfake.NewScript(t, exchange.reply)
				if err := exchange.call(t.Context(), newTestService(t, api)); err != nil {
					t.Fatal(err)
				}
				api.Expect(exchange.line)
			})
		}
	}
}

// A 404 for a key can have several causes. The listing shows the cause.
func TestGet_notFound(t *testing.T) {
	t.Parallel()
	keyGone := httpfake.Reply(404, `{"type": "error", "error": {"message": "Not found"}}`)
	hasMore := httpfake.Page("ORIGIN/2.0/more")
	hidden := httpfake.Reply(404, `{"error": {"message": "You may not have access to this repository"}}`)
	forbidden := httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`)
	get := "GET " + keyPath
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		lines   []string
		// status is the status of the error, 0 for ErrGone.
		status  int
		message string
	}{
		"gone":            {[]http.HandlerFunc{httpfake.Page(""), keyGone}, []string{page1, get}, 0, ""},
		"gone, has more":  {[]http.HandlerFunc{hasMore, keyGone, hasMore}, []string{page1, get, page1}, 0, ""},
		"list refused":    {[]http.HandlerFunc{forbidden}, []string{page1}, 403, "Forbidden"},
		"repository gone": {[]http.HandlerFunc{hidden}, []string{page1}, 404, "You may not have access to this repository"},
		// The permission is lost between one request and the next.
		"hidden meanwhile": {[]http.HandlerFunc{hasMore, keyGone, hidden}, []string{page1, get, page1}, 404, "You may not have access to this repository"},
		"key refused":      {[]http.HandlerFunc{httpfake.Page(""), forbidden}, []string{page1, get}, 403, "Forbidden"},
		// If the key is listed, the 404 proves nothing.
		"listed meanwhile": {[]http.HandlerFunc{hasMore, keyGone, pageOf("", 1234)}, []string{page1, get, page1}, 404, "Not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.replies...)
			key, err := newTestService(t, api).Get(t.Context(), repository, 1234)
			if key != nil {
				t.Errorf("got key %+v", key)
			}
			api.Expect(tc.lines...)
			if tc.status == 0 {
				if !errors.Is(err, ErrGone) {
					t.Errorf("got error %v, want ErrGone", err)
				}
				return
			}
			if e := asError(t, err); e.Status != tc.status || e.Message != tc.message || errors.Is(err, ErrGone) {
				t.Errorf("got error %v, want %d %s", err, tc.status, tc.message)
			}
		})
	}
}

// A listing that cannot be read does not prove that the key is gone.
func TestGet_notFoundAndListUnusable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html></html>", "{}", `{"values": null}`, `{"values": {}}`} {
		api := httpfake.NewScript(t, httpfake.Reply(200, body), httpfake.Page("?page=2"), httpfake.Reply(404, ""), httpfake.Reply(200, body))
		s := newTestService(t, api)
		for range 2 {
			if _, err := s.Get(t.Context(), repository, 1234); !errors.Is(err, errUnusable) || errors.Is(err, ErrGone) {
				t.Errorf("%q: got error %v", body, err)
			}
		}
		api.Expect(page1, page1, "GET "+keyPath, page1)
	}
}

// A 404 for the access token does not mean that the key is gone.
func TestService_tokenNotFound(t *testing.T) {
	t.Parallel()
	consumer := func(o *transport.Options) {
		o.Credentials = transport.OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"}
	}
	for name, call := range map[string]func(context.Context, *Service) error{
		"get": func(ctx context.Context, s *Service) error {
			_, err := s.Get(ctx, repositoryWithUUID, 1234)
			return err
		},
		"list": func(ctx context.Context, s *Service) error {
			_, err := s.ListComplete(ctx, repositoryWithUUID)
			return err
		},
		"create": func(ctx context.Context, s *Service) error { return s.Create(ctx, repositoryWithUUID, input).Err },
		"update": func(ctx context.Context, s *Service) error { return s.Update(ctx, repositoryWithUUID, 1234, input).Err },
		"delete": func(ctx context.Context, s *Service) error {
			return s.Delete(ctx, repositoryWithUUID, 1234, keyLine).Err
		},
	} {
		api := httpfake.NewScript(t, httpfake.Reply(404, ""))
		err := call(t.Context(), newTestService(t, api, consumer))
		if e := asError(t, err); !e.ForToken() || e.Status != 404 || bitbucket.IsNotFound(err) || errors.Is(err, ErrGone) {
			t.Errorf("%s: got error %v, want an error about the token", name, err)
		}
		api.Expect("POST " + transport.TokenPath)
	}
}

// A caller may change the key that it gets. The listing is not affected.
func TestGet_returnsCopies(t *testing.T) {
	t.Parallel()
	s := newTestService(t, pageOf("", 1))
	for range 2 {
		key, err := s.Get(t.Context(), repository, 1)
		if err != nil || key.Label != "" {
			t.Fatalf("got %+v, %v", key, err)
		}
		key.Label = "changed"
		keys, err := s.ListComplete(t.Context(), repository)
		if err != nil || len(keys) != 1 || keys[0].Label != "" {
			t.Fatalf("got %+v, %v", keys, err)
		}
		keys[0].Label = "changed"
	}
}

// If the key of a project now belongs to a different project, the deploy keys show this. No
// deploy key of the different project is returned or removed.
func TestProject_anotherHasItsKey(t *testing.T) {
	t.Parallel()
	e, s, web, ids := newProject(t, 2)
	e.RenameProject("mleu", "WEB", "SITE")
	e.AddProject("mleu", emulator.Project{Key: "WEB"})
	e.AddProjectDeployKey("mleu", "WEB", keyLine, "of another project")
	if keys, err := s.ListComplete(t.Context(), web); !errors.Is(err, ErrNameReused) || keys != nil {
		t.Errorf("list: got %v, %v", keys, err)
	}
	if key, err := s.Get(t.Context(), web, ids[0]); !bitbucket.IsNotFound(err) || errors.Is(err, ErrGone) {
		t.Errorf("get: got %v, %v", key, err)
	}
	if result := s.Delete(t.Context(), web, ids[0], keyLine); !bitbucket.IsNotFound(result.Err) || result.Outcome != Refused {
		t.Errorf("delete: got %+v", result)
	}
	if len(e.ProjectDeployKeys("mleu", "WEB")) != 1 || len(e.ProjectDeployKeys("mleu", "SITE")) != 2 {
		t.Error("a key is gone")
	}
	// Without the UUID, the keys belong to the parent with this name.
	if keys, err := s.ListComplete(t.Context(), bitbucket.Parent{Workspace: "mleu", Project: "WEB"}); err != nil || len(keys) != 1 {
		t.Errorf("list without a UUID: got %v, %v", keys, err)
	}
}

// If Bitbucket lists a project without keys, each key of the project is gone, because there
// is no alias to try.
func TestProject_empty(t *testing.T) {
	t.Parallel()
	e, s, web, ids := newProject(t, 1)
	e.RemoveProjectDeployKey("mleu", "WEB", ids[0])
	if keys, err := s.ListComplete(t.Context(), web); err != nil || len(keys) > 0 || methods(e) != "GET 200" {
		t.Errorf("list: got %v, %v", keys, err)
	}
	if _, err := s.Get(t.Context(), web, ids[0]); !errors.Is(err, ErrGone) {
		t.Errorf("get: got %v", err)
	}
	if got := methods(e); got != "GET 404" { // The listing is still used.
		t.Errorf("get sent %s", got)
	}
	if result := s.Delete(t.Context(), web, ids[0], keyLine); result != done(nil) {
		t.Errorf("delete: got %+v", result)
	}
	if got := methods(e); got != "DELETE 404, GET 200" {
		t.Errorf("delete sent %s", got)
	}
}

// A new project with the same key and without deploy keys cannot be distinguished from the
// first project.
func TestProject_emptyOneHasItsKey(t *testing.T) {
	t.Parallel()
	e, s, web, ids := newProject(t, 1)
	e.RenameProject("mleu", "WEB", "SITE")
	e.AddProject("mleu", emulator.Project{Key: "WEB"})
	if _, err := s.Get(t.Context(), web, ids[0]); !errors.Is(err, ErrGone) {
		t.Errorf("get: got %v", err)
	}
	if keys, err := s.ListComplete(t.Context(), web); err != nil || len(keys) > 0 {
		t.Errorf("list: got %v, %v", keys, err)
	}
}

// After any lost reply to a create, exactly one key exists. After any lost reply to a
// delete, the key is gone.
func TestProject_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lostReplies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s, web, _ := newProject(t, 0)
				fault := fault
				fault.Method, fault.Times = http.MethodPost, 1
				e.Inject(fault)
				result := s.Create(t.Context(), web, bitbucket.DeployKeyInput{Key: keyLine + " ada@host", Label: "ci"})
				keys := e.ProjectDeployKeys("mleu", "WEB")
				if result.Outcome != Done || result.Err != nil || len(keys) != 1 || keys[0].ID != result.Key.ID || result.Key.ParentUUID() != projectUUID {
					t.Fatalf("got %+v of %+v after %s", result, keys, methods(e))
				}
			})
		})
	}
	for _, fault := range []emulator.Fault{{Cut: true, CarryOut: true}, emulator.BadGateway(), carriedOut(emulator.ServerError()), {Status: 202, CarryOut: true}} {
		synctest.Test(t, func(t *testing.T) {
			e, s, web, ids := newProject(t, 2)
			fault.Method, fault.Times = http.MethodDelete, 1
			e.Inject(fault)
			if result := s.Delete(t.Context(), web, ids[0], keyLine); result != done(nil) || len(e.ProjectDeployKeys("mleu", "WEB")) != 1 {
				t.Errorf("got %+v after %s", result, methods(e))
			}
		})
	}
}
