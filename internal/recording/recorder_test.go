package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/facts"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

const (
	username = "jane.doe@initech.example"
	token    = "ATATT3xFfGF0/Te+st=Secret0123456789"
	slug     = "initech-internal"
)

// account is what the hostile server shows of the account.
var account = map[string]any{
	"type": "user", "display_name": "Jane Quincy Doe", "nickname": "jdoe42", "account_id": "557058:5e1f9a77",
	"uuid": "{0a1b2c3d-1111-4222-8333-444455556666}", "links": map[string]any{
		"html": map[string]any{"href": "https://bitbucket.org/jdoe42/"}, "avatar": map[string]any{"href": "https://secure.gravatar.example/jane-doe?s=32"},
	},
}

// repeated are texts with credentials and names in many forms.
func repeated() []string {
	basic := username + ":" + token
	return []string{
		token, username, "Bearer " + token, "Basic " + base64.StdEncoding.EncodeToString([]byte(basic)),
		base64.StdEncoding.EncodeToString([]byte("x" + token)), base64.RawURLEncoding.EncodeToString([]byte("xy" + username)),
		url.QueryEscape(basic), url.PathEscape(token), url.QueryEscape(url.QueryEscape(token)), strings.ToUpper(username),
		strings.ReplaceAll(token, "/", `\/`), base64.StdEncoding.EncodeToString([]byte("hello Jane Quincy Doe!")),
		"Jane Quincy Doe", "JANE QUINCY DOE", "Quincy", "Jane%20Quincy%20Doe", "Jane+Quincy+Doe", "jdoe42", "557058:5e1f9a77",
		"Initech Internal Systems", slug, "other.person@elsewhere.example", "other.person%40elsewhere.example",
		"ATCTT3xFfGN0SomebodyElsesToken", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqZG9lIn0.c2lnbmF0dXJl",
		"https://user:" + url.QueryEscape(token) + "@bitbucket.org/" + slug + "/repository?token=" + url.QueryEscape(token),
	}
}

// mustNotSurvive are the parts that no recording may have, in any case.
var mustNotSurvive = []string{
	token, "Te+st=Secret", "Secret0123", "initech", "jane", "quincy", "jdoe42", "557058", "5e1f9a77", "other.person", "elsewhere",
	"ATCTT3x", "eyJhbGci", "gravatar", "0a1b2c3d", "example",
	base64.RawStdEncoding.EncodeToString([]byte(token))[:20], base64.RawStdEncoding.EncodeToString([]byte(username))[:20],
	base64.RawStdEncoding.EncodeToString([]byte("xyJane Quincy"))[4:12], base64.RawStdEncoding.EncodeToString([]byte("hello Jane Quincy"))[8:20],
	url.QueryEscape(token), url.QueryEscape(url.QueryEscape(token)),
}

// hostile repeats credentials and names in the replies of an emulator.
func hostile(e *emulator.Emulator, knowsAccount bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		switch {
		case r.URL.Path == "/2.0/user" && knowsAccount:
			body, _ = json.Marshal(account)
			answer.Code = http.StatusOK
		case r.URL.Path == "/2.0/workspaces/"+slug && knowsAccount:
			body, _ = json.Marshal(map[string]any{"type": "workspace", "slug": slug, "name": "Initech Internal Systems", "uuid": "{99999999-1111-4222-8333-444455556666}"})
			answer.Code = http.StatusOK
		default:
			body = pollute(body)
		}
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		for i, name := range []string{"Set-Cookie", "X-Request-Id", "X-Served-By", "Www-Authenticate", "X-Oauth-Scopes", "Retry-After", "X-Ratelimit-Resource", "Allow"} {
			w.Header().Set(name, "value "+repeated()[i])
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	})
}

// pollute adds credentials and names to a body.
func pollute(body []byte) []byte {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		if len(body) == 0 {
			return body
		}
		return append(body, strings.Join(repeated(), "\n")...)
	}
	all := strings.Join(repeated(), " and ")
	object["owner"], object["unknown"] = account, map[string]any{"note": all, "list": repeated(), "reviewer": "Somebody Unknown"}
	object["workspace"] = map[string]any{"type": "workspace", "slug": slug, "name": "Initech Internal Systems"}
	object[token] = username
	if failure, ok := object["error"].(map[string]any); ok {
		failure["message"] = fmt.Sprint(failure["message"], " ", all)
		failure["detail"] = repeated()
	}
	if _, ok := object["key"].([]any); ok {
		object["key"] = []any{map[string]any{"message": "Someone has already added that access key. " + repeated()[3]}}
	}
	body, _ = json.Marshal(object)
	// Some encoders escape what need not be escaped.
	return bytes.ReplaceAll(body, []byte("@"), []byte(`\u0040`))
}

// newServer returns a server for the handler.
func newServer(t *testing.T, handler http.Handler) *live.Server {
	t.Helper()
	listening := httptest.NewServer(handler)
	t.Cleanup(listening.Close)
	server, err := live.NewServer(listening.URL+"/2.0", slug, username, token, &live.Counter{})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// newEmulator returns an emulator with the workspace of these tests.
func newEmulator() *emulator.Emulator {
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: slug}}})
	e.AllowBasic(username, token)
	return e
}

// record asks all questions of a server and returns the file with the exchanges.
func record(t *testing.T, server *live.Server) string {
	t.Helper()
	recorder, err := Start(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := facts.Ask(t.Context(), server)
	if err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	joined := strings.Join(strings.Fields(strings.ReplaceAll(facts.Report(answers), "|", "")), "")
	for _, secret := range []string{token, username, base64.StdEncoding.EncodeToString([]byte(username + ":" + token)), url.QueryEscape(token)} {
		if strings.Contains(strings.ToLower(joined), strings.ToLower(secret)) {
			t.Errorf("the report has %s", secret)
		}
	}
	file := filepath.Join(t.TempDir(), "recorded", "facts.yaml")
	if err := recorder.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// texts returns the texts of a recording, and the content of the file.
func texts(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{string(content)}
	stored, err := cassette.Load(strings.TrimSuffix(file, ".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, exchange := range stored.Interactions {
		all = append(all, exchange.Request.URL, exchange.Request.Body, exchange.Response.Body)
		var body any
		if json.Unmarshal([]byte(exchange.Response.Body), &body) == nil {
			eachText(body, func(text string) { all = append(all, text) })
		}
	}
	return all
}

func TestRecorder_hostile(t *testing.T) {
	t.Parallel()
	for name, knowsAccount := range map[string]bool{"account known": true, "account unknown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEmulator()
			e.SetPUT(emulator.PUTRefused)
			file := record(t, newServer(t, hostile(e, knowsAccount)))
			all := texts(t, file)
			for _, text := range all {
				for _, forbidden := range mustNotSurvive {
					if at := strings.Index(strings.ToLower(text), strings.ToLower(forbidden)); at >= 0 {
						t.Fatalf("%q survives: %q", forbidden, text[max(0, at-80):min(len(text), at+80)])
					}
				}
			}
			for _, kept := range []string{"deploy@host", "/2.0/repositories/acme/tf-acc-000000000002/deploy-keys", "application/json"} {
				if !strings.Contains(all[0], kept) {
					t.Errorf("%q is lost", kept)
				}
			}
		})
	}
}

// What Bitbucket itself writes must survive, or the recording would prove nothing.
func TestRecorder_keepsTexts(t *testing.T) {
	t.Parallel()
	content := strings.Join(texts(t, record(t, newServer(t, newEmulator()))), "\n")
	for _, kept := range []string{
		"Someone has already added that access key to this repository.", `"label":"deploy 🚀 key"`, `"comment":"two  spaces   and three"`,
		"You may not have access to this repository or it no longer exists in this workspace.", "There is no API hosted at this URL.",
		"No workspace with identifier 'tf-acc-none'.", "deploy-service.environment.name-exists", `"type":"project_deploy_key"`,
		`"next":"https://api.bitbucket.org/2.0/repositories/acme/tf-acc-000000000002/deploy-keys?pagelen=1&page=2"`,
		`"name":"OPEN"`, "ACME/TF-ACC-000000000002", "%7B00000000-0000-4000-8000-000000000002%7D", "X-Credential-Type",
	} {
		if !strings.Contains(content, kept) {
			t.Errorf("%s is lost", kept)
		}
	}
	if strings.Contains(content, removed) {
		at := strings.Index(content, removed)
		t.Errorf("something is removed: %s", content[max(0, at-300):at+100])
	}
}

// What a change of the sanitizer forgets must not be stored.
func TestSanitizer_check(t *testing.T) {
	t.Parallel()
	server := newServer(t, newEmulator())
	s := newSanitizer(server)
	s.learn(account, "")
	s.learnAll(nil)
	for _, text := range repeated() {
		if text == "Initech Internal Systems" { // The account does not have this name.
			continue
		}
		exchange := &cassette.Interaction{Response: cassette.Response{Body: `{"message":"` + text + `"}`}}
		if s.check([]*cassette.Interaction{exchange}, "") == nil {
			t.Errorf("a body with %q is stored", text)
		}
		if s.check(nil, "body: "+text) == nil {
			t.Errorf("a file with %q is stored", text)
		}
	}
	if err := s.check(nil, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGrLhInCaIO2NR3ZASif9mrwXu1kXw9lI0P2cWJCISlF deploy@host acme"); err != nil {
		t.Error(err)
	}
}
