package facts

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// changed is an emulator whose replies a test changes: the body, the status and the headers.
func changed(e *emulator.Emulator, change func(r *http.Request, reply *httptest.ResponseRecorder)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply := httptest.NewRecorder()
		e.ServeHTTP(reply, r)
		change(r, reply)
		maps.Copy(w.Header(), reply.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(reply.Code)
		_, _ = w.Write(reply.Body.Bytes())
	})
}

// unchanged changes no reply.
func unchanged(*http.Request, *httptest.ResponseRecorder) {}

// report asks a changed emulator and returns the report, the IDs of all questions whose answers
// differ, and the error.
func report(t *testing.T, change func(r *http.Request, reply *httptest.ResponseRecorder), faults ...emulator.Fault) (text string, differing []string, err error) {
	t.Helper()
	e, _ := newEmulator(t)
	for _, fault := range faults {
		e.Inject(fault)
	}
	answers, err := Ask(t.Context(), newServer(t, changed(e, change)))
	text = Report(answers)
	for _, answer := range answers {
		if answer.Differs() {
			differing = append(differing, answer.ID)
		}
	}
	for line := range strings.Lines(text) {
		if len([]rune(line)) > 121 {
			t.Errorf("a line is too long: %s", line)
		}
	}
	return text, differing, err
}

// has reports whether a text has these words, whatever its lines are.
func has(text, words string) bool {
	return strings.Contains(strings.Join(strings.Fields(text), " "), words)
}

func replaceInBody(reply *httptest.ResponseRecorder, old, with string) {
	body := strings.ReplaceAll(reply.Body.String(), old, with)
	reply.Body.Reset()
	reply.Body.WriteString(body)
}

func refuse(reply *httptest.ResponseRecorder, status int, body string) {
	reply.Code = status
	reply.Body.Reset()
	reply.Body.WriteString(body)
}

const missingScope = `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":{"required":["write:project"],"granted":["read"]}}}`

func TestAsk_differences(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(r *http.Request, reply *httptest.ResponseRecorder)
		ids    []string // ids are some of the questions whose answers differ.
		text   string
	}{
		"renamed field": {
			func(_ *http.Request, reply *httptest.ResponseRecorder) {
				replaceInBody(reply, `"created_on":`, `"added_on":`)
			},
			[]string{"key-post-fields", "key-get-fields", "key-list-fields", "project-key-get-fields"},
			"Only the emulator: created_on time with an offset\n    Only this server:  added_on time with an offset\n    The emulator cannot play this yet.",
		},
		"other type": {
			func(_ *http.Request, reply *httptest.ResponseRecorder) {
				replaceInBody(reply, `"last_used":null`, `"last_used":""`)
			},
			[]string{"key-post-fields"},
			"Only this server:  last_used string",
		},
		"other key": {
			func(_ *http.Request, reply *httptest.ResponseRecorder) {
				replaceInBody(reply, `"key":"ssh-ed25519 AAAA`, `"key":"ssh-ed25519 AAAAAA`)
			},
			[]string{"key-comment", "key-create-again"},
			`key "{another key}"`,
		},
		"other status": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/deploy-keys") && reply.Code == http.StatusOK {
				reply.Code = http.StatusCreated
			}
		}, []string{"key-post-fields", "label-empty", "duplicate-project"}, `This server: 201; label ""`},
		"a PUT that is refused": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/deploy-keys/") && reply.Code == http.StatusOK {
				refuse(reply, http.StatusBadRequest, `{"type":"error","error":{"message":"For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key."}}`)
			}
		}, []string{"put-key-and-label", "put-comment", "put-without-comment"}, "The emulator can play this: SetPUT(PUTLabelOnly), SetPUT(PUTRefused)."},
		"a PUT without the right": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/deploy-keys/") {
				refuse(reply, http.StatusForbidden, `{"type":"error","error":{"message":"Forbidden"}}`)
			}
		}, []string{"put-key-and-label", "put-label-alone", "put-unknown"}, `This server: 403 "Forbidden"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, differing, err := report(t, test.change)
			if err != nil {
				t.Error(err)
			}
			for _, id := range test.ids {
				if !slices.Contains(differing, id) {
					t.Errorf("%s does not differ", id)
				}
			}
			if len(differing) == len(questions) {
				t.Error("everything differs")
			}
			if !strings.Contains(text, test.text) {
				t.Errorf("want %q in\n%s", test.text, text[strings.Index(text, "Differs"):])
			}
		})
	}
}

// Without a right or a scope, all other questions are asked.
func TestAsk_refused(t *testing.T) {
	t.Parallel()
	refusal := func(method, path string, status int) emulator.Fault {
		return emulator.Fault{Method: method, Path: path, Status: status, Body: missingScope}
	}
	text, differing, err := report(t, unchanged, refusal(http.MethodPost, "/2.0/workspaces/acme/projects", http.StatusForbidden))
	if err != nil || len(differing) != 0 {
		t.Errorf("error %v, different %v", err, differing)
	}
	if !has(text, "Not asked: 12 * No project could be created: POST /workspaces/{workspace}/projects: the credentials do not allow it: 403 \"Your credentials lack") {
		t.Error(text[strings.Index(text, "Differs"):])
	}
	text, _, err = report(t, unchanged, refusal(http.MethodPost, "/2.0/repositories/acme/tf-acc-", http.StatusForbidden))
	if err != nil || !has(text, "* No repository could be created: POST /repositories/{workspace}/{name}: the credentials do not allow it: 403") {
		t.Errorf("error %v, text\n%s", err, text[strings.Index(text, "Differs"):])
	}
	// A wrong name of the workspace is not a finding.
	text, _, err = report(t, unchanged, refusal(http.MethodPost, "/2.0/repositories/acme/tf-acc-", http.StatusNotFound))
	if err == nil || !strings.Contains(err.Error(), "questions could not be asked") {
		t.Errorf("error %v, text\n%s", err, text[strings.Index(text, "Differs"):])
	}
	text, differing, err = report(t, unchanged, refusal(http.MethodPut, "/deploy-keys/", http.StatusForbidden))
	if err != nil || len(differing) > 0 || !has(text, "Not asked: 7 * The credentials do not allow it: 403 \"Your credentials lack one or more required privilege scopes.\", required: write:project PUT of a deploy key") {
		t.Errorf("error %v, different %v, text\n%s", err, differing, text[strings.Index(text, "Differs"):])
	}
	rename := refusal(http.MethodPut, "/2.0/repositories/acme/tf-acc-", http.StatusForbidden)
	rename.Skip = 6 // The questions about PUT of a key.
	text, differing, err = report(t, unchanged, rename)
	if err != nil || !slices.Equal(differing, []string{"rename"}) || !has(text, "* The repository could not be renamed: PUT /repositories/{workspace}/{old name}: the credentials do not allow it: 403") {
		t.Errorf("error %v, different %v, text\n%s", err, differing, text[strings.Index(text, "Differs"):])
	}
}

func TestAsk_stops(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(r *http.Request, reply *httptest.ResponseRecorder)
		err    string
	}{
		"rate limit": {func(_ *http.Request, reply *httptest.ResponseRecorder) {
			refuse(reply, http.StatusTooManyRequests, "Rate limit for this resource has been exceeded")
		}, "Bitbucket's rate limit is reached (429): run it again in an hour"},
		"rate limit with a time": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			if r.Method == http.MethodPut {
				refuse(reply, http.StatusTooManyRequests, "")
				reply.Header().Set("Retry-After", "17")
			}
		}, "Retry-After is over: 17"},
		"credentials": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			refuse(reply, http.StatusUnauthorized, `{"error": "`+r.Header.Get("Authorization")+` `+token+`"}`)
		}, `Bitbucket does not accept the credentials: 401 error "Basic [redacted] [redacted]"`},
		"a failing server": {func(r *http.Request, reply *httptest.ResponseRecorder) {
			if strings.Contains(r.URL.Path, "/deployments") {
				refuse(reply, http.StatusBadGateway, "<html>")
			}
		}, "questions could not be asked"},
		"no connection": {func(r *http.Request, _ *httptest.ResponseRecorder) {
			if r.Method == http.MethodPut {
				panic(http.ErrAbortHandler)
			}
		}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Bool
			e, _ := newEmulator(t)
			server := newServer(t, changed(e, func(r *http.Request, reply *httptest.ResponseRecorder) {
				if !asked.Load() {
					test.change(r, reply)
				}
			}))
			answers, err := Ask(t.Context(), server)
			asked.Store(true) // Closing must work.
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want %q", err, test.err)
			}
			facts, _ := Facts()
			if len(answers) != len(facts) || !slices.ContainsFunc(answers, func(a Answer) bool { return a.NotAsked != "" }) {
				t.Error("the answers do not show what was not asked")
			}
		})
	}
}

func TestAsk_interrupted(t *testing.T) {
	t.Parallel()
	e, _ := newEmulator(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := newServer(t, changed(e, func(r *http.Request, _ *httptest.ResponseRecorder) {
		if r.Method == http.MethodPut {
			cancel()
		}
	}))
	if _, err := Ask(ctx, server); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if seed, _ := json.Marshal(e.Seed()); bytes.Contains(seed, []byte("tf-acc-")) {
		t.Errorf("something is left: %s", seed)
	}
}
