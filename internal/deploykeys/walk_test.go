package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// workspace is a workspace with the repositories r-0, r-1, …. Each repository has one key,
// whose ID is the number of the repository plus one. Each reply takes a second.
type workspace struct {
	repositories int
	// reply replaces the workspace's own reply, unless reply is nil or returns nil.
	reply func(line string) http.HandlerFunc

	mu                sync.Mutex
	lines             []string
	inFlight, highest int
}

const workspacePath = "/2.0/repositories/acme"

func (w *workspace) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	line := strings.TrimPrefix(r.RequestURI, workspacePath)
	w.mu.Lock()
	w.lines = append(w.lines, line)
	w.inFlight++
	w.highest = max(w.highest, w.inFlight)
	w.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
	}
	w.mu.Lock()
	w.inFlight--
	w.mu.Unlock()
	if w.reply != nil {
		if handler := w.reply(line); handler != nil {
			handler(response, r)
			return
		}
	}
	if slug, _, keys := strings.Cut(strings.TrimPrefix(line, "/"), "/deploy-keys"); keys {
		number, _ := strconv.ParseInt(strings.TrimPrefix(slug, "r-"), 10, 64)
		pageOf("", number+1)(response, r)
		return
	}
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from := 100 * max(number-1, 0)
	var values []string
	for i := from; i < min(from+100, w.repositories); i++ {
		values = append(values, fmt.Sprintf(`{"slug": "r-%d", "uuid": "{%d}"}`, i, i))
	}
	next := ""
	if from+100 < w.repositories {
		next = fmt.Sprintf("ORIGIN%s?page=%d", workspacePath, max(number, 1)+1)
	}
	httpfake.Page(next, values...)(response, r)
}

// sent returns the requests since the last call.
func (w *workspace) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// walked returns the names of the parents in a walk with the IDs of their keys, and the
// error that ended the walk. Hidden parents have an exclamation mark.
func walked(walk iter.Seq2[ParentKeys, error]) (found []string, err error) {
	for one, err := range walk {
		if err != nil {
			return found, err
		}
		name := one.Parent.Name()
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

func TestWalkRepositories(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 250}
		s := newTestService(t, w)
		start := time.Now()
		found, err := walked(s.WalkRepositories(t.Context(), "acme", ""))
		if err != nil || len(found) != 250 || found[0] != "r-0=1" || found[249] != "r-249=250" {
			t.Fatalf("found %v, %v", found, err)
		}
		lines := w.sent()
		query := url.Values{"fields": {"next,values.slug"}, "pagelen": {"100"}}
		if len(lines) != 3+250 || lines[0] != "?"+query.Encode() {
			t.Errorf("%d requests: %v", len(lines), lines)
		}
		if took := time.Since(start); w.highest != 10 || took > 35*time.Second {
			t.Errorf("%d requests at once in %s", w.highest, took)
		}
		// The listings of the first walk are used again.
		if again, err := walked(s.WalkRepositories(t.Context(), "acme", "")); err != nil || !slices.Equal(again, found) {
			t.Errorf("again: %v, %v", again, err)
		}
		if again := w.sent(); len(again) != 3 {
			t.Errorf("got requests again: %v", again)
		}
	})
}

func TestWalkRepositories_project(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Reply(200, `{"values": []}`))
	if found, err := walked(newTestService(t, api).WalkRepositories(t.Context(), "acme", `A" OR "B`)); err != nil || found != nil {
		t.Errorf("found %v, %v", found, err)
	}
	query, err := url.ParseQuery(strings.TrimPrefix(api.Requests()[0].Line, "GET "+workspacePath+"?"))
	if err != nil || query.Get("q") != `project.key="A\" OR \"B"` || query.Get("pagelen") != "100" {
		t.Errorf("got the query %v, %v", query, err)
	}
}

// A repository that moves to the next page meanwhile is yielded once.
func TestWalkRepositories_twice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 101, reply: func(line string) http.HandlerFunc {
			if line == "?page=2" {
				return httpfake.Reply(200, `{"values": [{"slug": "r-99"}, {"slug": "r-100"}]}`)
			}
			return nil
		}}
		found, err := walked(newTestService(t, w).WalkRepositories(t.Context(), "acme", ""))
		if err != nil || len(found) != 101 || found[100] != "r-100=101" {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// A repository whose keys are hidden is reported, and does not end the walk.
func TestWalkRepositories_hidden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 4, reply: func(line string) http.HandlerFunc {
			switch {
			case strings.HasPrefix(line, "/r-0/"):
				return httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`)
			case strings.HasPrefix(line, "/r-2/"):
				return httpfake.Reply(404, `{"error": {"message": "no repository"}}`)
			}
			return nil
		}}
		found, err := walked(newTestService(t, w).WalkRepositories(t.Context(), "acme", ""))
		if err != nil || !slices.Equal(found, []string{"r-0!", "r-1=2", "r-2!", "r-3=4"}) {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// Any other failure ends the walk with an error, after the repositories before it. It must
// not result in a shorter list.
func TestWalkRepositories_fails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failing string
		handler http.HandlerFunc
		found   int
		check   func(error) bool
	}{
		"first page":      {"?fields", httpfake.Reply(404, `{"error": {"message": "no workspace"}}`), 0, bitbucket.IsNotFound},
		"second page":     {"?page=2", httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`), 100, bitbucket.IsForbidden},
		"no list":         {"?page=2", httpfake.Reply(200, `{}`), 100, isUnusable},
		"no slug":         {"?page=2", httpfake.Reply(200, `{"values": [{"uuid": "{1}"}]}`), 100, isUnusable},
		"slug of a path":  {"?page=2", httpfake.Reply(200, `{"values": [{"slug": ".."}]}`), 100, isUnusable},
		"endless":         {"?page=2", httpfake.Reply(200, `{"values": [], "next": "ORIGIN`+workspacePath+`"}`), 100, isUnusable},
		"keys":            {"/r-42/", httpfake.Reply(500, ""), 42, func(err error) bool { return bitbucket.HasStatus(err, 500) }},
		"keys unusable":   {"/r-42/", httpfake.Reply(200, `{"values": 5}`), 42, isUnusable},
		"keys rate limit": {"/r-42/", httpfake.Reply(429, ""), 42, func(err error) bool { return bitbucket.HasStatus(err, 429) }},
		"keys scope": {
			"/r-0/", httpfake.Reply(403, `{"error": {"message": "no", "detail": {"required": ["admin:repository:bitbucket"], "granted": []}}}`),
			0, func(err error) bool { return bitbucket.HasStatus(err, 403) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{repositories: 150, reply: func(line string) http.HandlerFunc {
					if strings.HasPrefix(line, tc.failing) {
						return tc.handler
					}
					return nil
				}}
				found, err := walked(newTestService(t, w, withRetries(0)).WalkRepositories(t.Context(), "acme", ""))
				if !tc.check(err) || len(found) != tc.found {
					t.Errorf("found %d, then %v", len(found), err)
				}
			})
		})
	}
}

// An entry that cannot be read hides neither the other keys of its parent nor those of
// other parents.
func TestWalkRepositories_unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 3, reply: func(line string) http.HandlerFunc {
			if strings.HasPrefix(line, "/r-1/") {
				return httpfake.Reply(200, `{"values": [{"id": 7}, `+oneKey+`, {"id": 0}]}`)
			}
			return nil
		}}
		var unreadable []string
		keys := 0
		for found, err := range newTestService(t, w).WalkRepositories(t.Context(), "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			keys += len(found.Keys)
			unreadable = append(unreadable, fmt.Sprint(found.Unreadable))
		}
		if want := []string{"[]", "[7 0]", "[]"}; keys != 3 || !slices.Equal(unreadable, want) {
			t.Errorf("found %d keys, and %v cannot be read", keys, unreadable)
		}
	})
}

// isUnusable reports whether err is about an unusable reply.
func isUnusable(err error) bool { return errors.Is(err, errUnusable) }

// After a stop, no further request is sent.
func TestWalkRepositories_stops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 250}
		s := newTestService(t, w, func(o *transport.Options) { o.MaxConcurrentRequests = 3 })
		for _, err := range s.WalkRepositories(t.Context(), "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		synctest.Wait()
		if lines := w.sent(); len(lines) != 1+3 || w.inFlight > 0 {
			t.Errorf("got requests %v, %d still in flight", lines, w.inFlight)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		start := time.Now()
		if found, err := walked(s.WalkRepositories(ctx, "acme", "")); !errors.Is(err, context.Canceled) || len(found) > 100 {
			t.Errorf("found %d, then %v", len(found), err)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("it ended after %s", took)
		}
		w.sent()
		<-time.After(time.Minute) // Wait for requests in the background.
		if lines := w.sent(); len(lines) > 0 {
			t.Errorf("got requests after the end of the walk: %v", lines)
		}
	})
}

func TestWalkProjects(t *testing.T) {
	t.Parallel()
	const projects = "/2.0/workspaces/acme/projects"
	const second = "ORIGIN" + projects + "?page=2"
	for name, tc := range map[string]struct {
		// replies maps the beginning of a path below the projects to its reply.
		replies map[string]http.HandlerFunc
		found   []string
		check   func(error) bool
	}{
		"pages": {
			map[string]http.HandlerFunc{"?fields=next%2Cvalues.key&pagelen=100": httpfake.Page(second, `{"key": "WEB"}`, `{"key": "API"}`), "?page=2": httpfake.Page("", `{"key": "API"}`, `{"key": "W_1"}`)},
			[]string{"WEB=7", "API=7", "W_1=7"},
			nil,
		},
		"none": {map[string]http.HandlerFunc{"": httpfake.Page("")}, nil, nil},
		"hidden": {
			map[string]http.HandlerFunc{
				"/A/": httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`), "/C/": httpfake.Reply(404, `{"error": {"message": "Project not found"}}`),
				"": httpfake.Page("", `{"key": "A"}`, `{"key": "B"}`, `{"key": "C"}`),
			},
			[]string{"A!", "B=7", "C!"},
			nil,
		},
		"empty": {map[string]http.HandlerFunc{"/A/": httpfake.Page(""), "": httpfake.Page("", `{"key": "A"}`)}, []string{"A"}, nil},
		"scope": {
			map[string]http.HandlerFunc{
				"/A/": httpfake.Reply(403, `{"error": {"message": "no", "detail": {"required": ["admin:project:bitbucket"], "granted": []}}}`), "": httpfake.Page("", `{"key": "A"}`, `{"key": "B"}`),
			},
			nil, func(err error) bool { return bitbucket.HasStatus(err, 403) },
		},
		"no workspace":  {map[string]http.HandlerFunc{"": httpfake.Reply(404, "")}, nil, bitbucket.IsNotFound},
		"no list":       {map[string]http.HandlerFunc{"": httpfake.Reply(200, "{}")}, nil, isUnusable},
		"no key":        {map[string]http.HandlerFunc{"": httpfake.Page("", `{"key": "A"}`, `{"name": "B"}`)}, []string{"A=7"}, isUnusable},
		"key of a path": {map[string]http.HandlerFunc{"": httpfake.Page("", `{"key": "../A"}`)}, nil, isUnusable},
		"lower case":    {map[string]http.HandlerFunc{"": httpfake.Page("", `{"key": "web"}`)}, nil, isUnusable},
		"endless":       {map[string]http.HandlerFunc{"": httpfake.Page(second, `{"key": "A"}`)}, []string{"A=7"}, isUnusable},
		"keys":          {map[string]http.HandlerFunc{"/B/": httpfake.Reply(400, ""), "": httpfake.Page("", `{"key": "A"}`, `{"key": "B"}`)}, []string{"A=7"}, func(err error) bool { return bitbucket.HasStatus(err, 400) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestService(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				below := strings.TrimPrefix(r.RequestURI, projects)
				longest, handler := -1, pageOf("", 7) // The deploy keys of any project.
				for prefix, one := range tc.replies {
					isList := !strings.HasPrefix(below, "/")
					if strings.HasPrefix(below, prefix) && len(prefix) > longest && (prefix != "" || isList) {
						longest, handler = len(prefix), one
					}
				}
				handler(w, r)
			}), withRetries(0))
			found, err := walked(s.WalkProjects(t.Context(), "acme"))
			if !slices.Equal(found, tc.found) || (err == nil) != (tc.check == nil) || err != nil && !tc.check(err) {
				t.Errorf("found %v, then %v", found, err)
			}
		})
	}
}
