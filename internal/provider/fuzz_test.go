package provider

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// targetRecorder is a transport that records the target of the last request, as it would be
// sent. It returns no reply.
type targetRecorder struct{ target string }

func (a *targetRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	a.target = r.URL.RequestURI()
	return nil, io.EOF
}

// newEndpointCheck returns a function that requests a key. The function fails the test
// unless the request is for the endpoint of that key.
func newEndpointCheck(f *testing.F) (to func(t *testing.T, parent bitbucket.Parent, id int64)) {
	f.Helper()
	recorder := &targetRecorder{}
	client, err := bitbucket.NewClient("", transport.Options{Base: recorder})
	if err != nil {
		f.Fatal(err)
	}
	return func(t *testing.T, parent bitbucket.Parent, id int64) {
		t.Helper()
		recorder.target = ""
		if _, err := client.GetDeployKey(t.Context(), parent, id); !errors.Is(err, io.EOF) {
			t.Fatalf("%+v: %v", parent, err)
		}
		var segments []string
		for segment := range strings.SplitSeq(recorder.target, "/") {
			unescaped, err := url.PathUnescape(segment)
			if err != nil {
				t.Errorf("%q: %v", recorder.target, err)
			}
			segments = append(segments, unescaped)
		}
		want := []string{"", "2.0", "repositories", parent.Workspace, parent.Repository, "deploy-keys", strconv.FormatInt(id, 10)}
		if kindOf(parent) == projectKind {
			want = slices.Concat(want[:2], []string{"workspaces", parent.Workspace, "projects", parent.Project}, want[5:])
		}
		if !slices.Equal(segments, want) || path.Clean(recorder.target) != recorder.target {
			t.Errorf("%+v leads to %q", parent, recorder.target)
		}
	}
}

// An accepted import ID must result in a request for the endpoint of a deploy key. It must
// also be the ID in the state.
func FuzzParseDeployKeyID(f *testing.F) {
	for _, text := range []string{
		"acme/website/10958984", acctest.WorkspaceUUID + "/" + acctest.WebsiteUUID + "/1", "Acme-1/web_site.git/9223372036854775807", "acme/WEB/10958984", acctest.WorkspaceUUID + "/W_1/1",
		"", "x", "website/1", "acme//1", "acme/website/", "acme/website/-1", "acme/website/+1", "acme/website/01", "acme/website/1/2",
		"acme/../1", "../../user/1", "acme/{}/1", "acme/{%2f}/1", "acme/web site/1", "acme/website?x=/1", "acme/website#/1", "acme/website/1\n",
		"acme/WEB\n/1", "acme/1WEB/1", "acme/_/1", "acme/ＷＥＢ/1", "acme/W-1/1", "acme/WEB/٣",
	} {
		f.Add(text)
	}
	checkEndpoint := newEndpointCheck(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []*parentKind{repositoryKind, projectKind} {
			reference, ok := parseDeployKeyReference(kind, text)
			if !ok || reference.by != byID {
				continue
			}
			if id := deployKeyID(reference.parent, reference.id()); !strings.Contains(text, "://") && id != text || reference.id() <= 0 || kindOf(reference.parent) != kind {
				t.Errorf("%q was read as %q of a %s", text, id, kindOf(reference.parent).attribute)
			}
			checkEndpoint(t, reference.parent, reference.id())
		}
	})
}

// The other references to a key must result in a parent that an import ID can name too.
func FuzzParseDeployKeyReference(f *testing.F) {
	const fingerprint = "SHA256:aB+/cdefghijklmnopqrstuvwxyz0123456789ABCDE"
	for _, text := range []string{
		"acme/website/label:a/b", "acme/WEB/label:", "acme/website/" + fingerprint, "acme/WEB/" + fingerprint, "acme/../" + fingerprint, "acme/WEB/label:\x00",
		"https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/7", "https://api.bitbucket.org/2.0/workspaces/acme/projects/WEB/deploy-keys/7/",
		"https://bitbucket.org/acme/website/admin/access-keys/#7", "https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/7",
		"https://bitbucket.org/acme/workspace/projects/W%45B/settings/access-keys#7", "http://[::1]/x/workspaces/acme/projects/WEB%2F..%2FX/deploy-keys/7",
		"https://bitbucket.org/%2e%2e/workspace/projects/WEB/settings/access-keys/7", "https://bitbucket.org//workspace/projects//settings/access-keys/7", "https://bitbucket.org/%zz",
	} {
		f.Add(text)
	}
	checkEndpoint := newEndpointCheck(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []*parentKind{repositoryKind, projectKind} {
			reference, ok := parseDeployKeyReference(kind, text)
			if !ok {
				continue
			}
			id := max(1, reference.id())
			if again, ok := parseDeployKeyReference(kind, deployKeyID(reference.parent, id)); !ok || again.parent != reference.parent {
				t.Errorf("%q was read as %+v", text, reference)
			}
			if reference.by == byID && reference.id() <= 0 || reference.by == byFingerprint && !fingerprintPattern.MatchString(reference.value) {
				t.Errorf("%q was read as %+v", text, reference)
			}
			checkEndpoint(t, reference.parent, id)
		}
	})
}

// The state of another provider must result in one key, which is requested at its endpoint.
func FuzzForeignState(f *testing.F) {
	files, err := fs.Glob(acctest.States, "testdata/states/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no states: %v", err)
	}
	for _, file := range files {
		content, err := acctest.States.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var state struct {
			Resources []struct {
				Type      string
				Instances []struct{ Attributes json.RawMessage }
			}
		}
		if err := json.Unmarshal(content, &state); err != nil {
			f.Fatal(err)
		}
		f.Add(state.Resources[0].Type, string(state.Resources[0].Instances[0].Attributes))
	}
	for _, attributes := range []string{
		`{"workspace":"acme","project_key":"WEB","key_id":9007199254740993,"key":null}`, `{"workspace":"acme","project":{"key":"X"},"project_key":"WEB","id":"7"}`,
		`{"workspace":"a/b","project":"..","id":"../../7"}`, `{"workspace":"acme","project":"WEB?x","repository":"website","id":"a/b/7"}`, `{"id":"acme/WEB/1e3","key_id":-1}`,
		`{"workspace":"%2e%2e","repository":"a%2fb","id":"7","label":5,"comment":[]}`, `{"workspace":"acme","repository":"My site","key_id":"18446744073709551617"}`, "[]", "null", "",
	} {
		f.Add("bitbucket_project_deploy_key", attributes)
	}
	checkEndpoint := newEndpointCheck(f)
	f.Fuzz(func(t *testing.T, typeName, attributes string) {
		source := foreignStateOf(&tfprotov6.RawState{JSON: []byte(attributes)})
		if source.isDeployKey(repositoryKind, typeName) && source.isDeployKey(projectKind, typeName) {
			t.Error("the state is accepted for a repository and for a project")
		}
		for _, kind := range []*parentKind{repositoryKind, projectKind} {
			var diags diag.Diagnostics
			model, ok := source.deployKey(kind, &diags)
			switch {
			case ok == diags.HasError():
				t.Errorf("on a %s: got %t and %v", kind.attribute, ok, diags)
			case ok:
				if id := deployKeyID(model.parent(kind), model.KeyID.ValueInt64()); id != model.ID.ValueString() {
					t.Errorf("key %s has the id %s", id, model.ID)
				}
				checkEndpoint(t, model.parent(kind), model.KeyID.ValueInt64())
			}
		}
	})
}

// A name must be one segment of a path even if it is not escaped, for example in an address
// in an error.
func FuzzIsSlugOrUUID(f *testing.F) {
	for _, text := range []string{
		"acme", "web_site.git", "-", "...", acctest.WebsiteUUID, strings.Repeat("a", 128),
		"", ".", "..", "{}", "{..}", "{a", "a}", "a/", "a/b", "a%2fb", "a?b", "a#b", "a b", "a\nb", "a\\b", "a;b", "émile", "\xff", strings.Repeat("a", 129),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !bitbucket.IsSlugOrUUID(text) {
			return
		}
		want := "/2.0/repositories/" + text + "/x"
		u, err := url.Parse("https://localhost" + want)
		if err != nil {
			t.Fatal(err)
		}
		if u.Path != want || path.Clean(u.Path) != want || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q leads to %+v", text, u)
		}
		if isUUID(text) != strings.HasSuffix(text, "}") {
			t.Errorf("%q has one brace", text)
		}
	})
}

// A value in the state keeps a key from being read only if it has a time of the last day.
func FuzzLastRead(f *testing.F) {
	now := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	for _, value := range append(hostileReads, `{"at": "2026-11-22T16:00:00Z", "share": 0.5}`, `{"at": "2026-11-22T09:00:00+01:00"}`, "\n{\"share\": -1, \"at\":\"2026-11-22T15:59:59.9Z\"}") {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var diags diag.Diagnostics
		read := lastReadOf(t.Context(), privateValues{lastReadName: value}, &diags)
		if len(diags) > 0 {
			t.Error(diags)
		}
		if due := (&refreshAfter{age: 24 * time.Hour}).due(read, now); !due && (!json.Valid(value) || read.At.After(now) || read.At.Before(now.AddDate(0, 0, -1))) {
			t.Errorf("%q is the read %v, which is not due", value, read)
		}
	})
}
