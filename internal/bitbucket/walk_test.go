package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// workspace plays a workspace of repositories r-0, r-1, … in memory, each with a
// key whose id is its number and one. Each answer takes a second.
type workspace struct {
	repositories int
	// answer takes the place of the workspace's own answer unless it returns nil.
	answer func(line string) http.HandlerFunc

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
	if w.answer != nil {
		if handler := w.answer(line); handler != nil {
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
		next = fmt.Sprintf(`, "next": "ORIGIN%s?page=%d"`, workspacePath, max(number, 1)+1)
	}
	answer(200, `{"values": [`+strings.Join(values, ", ")+`]`+next+`}`)(response, r)
}

// asked returns the requests since the last call.
func (w *workspace) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// walked are the repositories of a walk, the hidden ones with an exclamation
// mark, and the error that ended it.
func walked(ctx context.Context, c *Client, project string) (found []string, err error) {
	for one, err := range c.WorkspaceDeployKeys(ctx, "acme", project) {
		if err != nil {
			return found, err
		}
		name := one.Place.Repository
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

func TestWorkspaceDeployKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 250}
		c := newInMemoryClient(t, w)
		start := time.Now()
		found, err := walked(t.Context(), c, "")
		if err != nil || len(found) != 250 || found[0] != "r-0=1" || found[249] != "r-249=250" {
			t.Fatalf("found %v, %v", found, err)
		}
		lines := w.asked()
		query := url.Values{"fields": {"next,values.slug"}, "pagelen": {"100"}}
		if len(lines) != 3+250 || lines[0] != "?"+query.Encode() {
			t.Errorf("asked %d times: %v", len(lines), lines)
		}
		if took := time.Since(start); w.highest != 10 || took > 35*time.Second {
			t.Errorf("%d requests at once in %s", w.highest, took)
		}
		// What was listed once is not listed again.
		if again, err := walked(t.Context(), c, ""); err != nil || !slices.Equal(again, found) {
			t.Errorf("again: %v, %v", again, err)
		}
		if again := w.asked(); len(again) != 3 {
			t.Errorf("asked again: %v", again)
		}
	})
}

func TestWorkspaceDeployKeys_project(t *testing.T) {
	t.Parallel()
	api := answers(t, answer(200, `{"values": []}`))
	if found, err := walked(t.Context(), newTestClient(t, api), `A" OR "B`); err != nil || found != nil {
		t.Errorf("found %v, %v", found, err)
	}
	query, err := url.ParseQuery(strings.TrimPrefix(api.asked()[0].line, "GET "+workspacePath+"?"))
	if err != nil || query.Get("q") != `project.key="A\" OR \"B"` || query.Get("pagelen") != "100" {
		t.Errorf("asked for %v, %v", query, err)
	}
}

// A repository that has moved to the next page meanwhile is there once.
func TestWorkspaceDeployKeys_twice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 101, answer: func(line string) http.HandlerFunc {
			if line == "?page=2" {
				return answer(200, `{"values": [{"slug": "r-99"}, {"slug": "r-100"}]}`)
			}
			return nil
		}}
		found, err := walked(t.Context(), newInMemoryClient(t, w), "")
		if err != nil || len(found) != 101 || found[100] != "r-100=101" {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// A repository whose keys may not be seen is told, and hides no other.
func TestWorkspaceDeployKeys_hidden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 4, answer: func(line string) http.HandlerFunc {
			switch {
			case strings.HasPrefix(line, "/r-0/"):
				return answer(403, `{"error": {"message": "Forbidden"}}`)
			case strings.HasPrefix(line, "/r-2/"):
				return answer(404, `{"error": {"message": "no repository"}}`)
			}
			return nil
		}}
		found, err := walked(t.Context(), newInMemoryClient(t, w), "")
		if err != nil || !slices.Equal(found, []string{"r-0!", "r-1=2", "r-2!", "r-3=4"}) {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// Whatever else fails is an error, after what came before it and in place of a
// list that would be shorter.
func TestWorkspaceDeployKeys_fails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failing string
		handler http.HandlerFunc
		found   int
		check   func(error) bool
	}{
		"first page":      {"?fields", answer(404, `{"error": {"message": "no workspace"}}`), 0, IsNotFound},
		"second page":     {"?page=2", answer(403, `{"error": {"message": "Forbidden"}}`), 100, isForbidden},
		"no list":         {"?page=2", answer(200, `{}`), 100, isUnusable},
		"no slug":         {"?page=2", answer(200, `{"values": [{"uuid": "{1}"}]}`), 100, isUnusable},
		"slug of a path":  {"?page=2", answer(200, `{"values": [{"slug": ".."}]}`), 100, isUnusable},
		"endless":         {"?page=2", answer(200, `{"values": [], "next": "ORIGIN`+workspacePath+`?page=2"}`), 100, isUnusable},
		"keys":            {"/r-42/", answer(500, ""), 42, func(err error) bool { return HasStatus(err, 500) }},
		"keys unusable":   {"/r-42/", answer(200, `{"values": [{"id": 0}]}`), 42, isUnusable},
		"keys rate limit": {"/r-42/", answer(429, ""), 42, func(err error) bool { return HasStatus(err, 429) }},
		"keys scope": {
			"/r-0/", answer(403, `{"error": {"message": "no", "detail": {"required": ["admin:repository:bitbucket"], "granted": []}}}`),
			0, func(err error) bool { return HasStatus(err, 403) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &workspace{repositories: 150, answer: func(line string) http.HandlerFunc {
					if strings.HasPrefix(line, tc.failing) {
						return tc.handler
					}
					return nil
				}}
				found, err := walked(t.Context(), newInMemoryClient(t, w, withRetries(0)), "")
				if !tc.check(err) || len(found) != tc.found {
					t.Errorf("found %d, then %v", len(found), err)
				}
			})
		})
	}
}

func isUnusable(err error) bool { return errors.Is(err, ErrUnusable) }

// Whoever has seen enough causes no more requests than were under way.
func TestWorkspaceDeployKeys_stops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workspace{repositories: 250}
		c := newInMemoryClient(t, w, func(o *Options) { o.MaxConcurrentRequests = 3 })
		for _, err := range c.WorkspaceDeployKeys(t.Context(), "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		synctest.Wait()
		if lines := w.asked(); len(lines) != 1+3 || w.inFlight > 0 {
			t.Errorf("asked for %v, %d of it still", lines, w.inFlight)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		start := time.Now()
		if found, err := walked(ctx, c, ""); !errors.Is(err, context.Canceled) || len(found) > 100 {
			t.Errorf("found %d, then %v", len(found), err)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("it ended after %s", took)
		}
		w.asked()
		<-time.After(time.Minute) // Of the bubble: nothing goes on behind the back.
		if lines := w.asked(); len(lines) > 0 {
			t.Errorf("went on: %v", lines)
		}
	})
}
