package deploykeys

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	const remove = "DELETE " + keyPath
	gone, empty, listed := httpfake.Reply(404, ""), httpfake.Page(""), httpfake.Page("", oneKey)
	forbidden, deleted, lost := httpfake.Reply(403, ""), httpfake.Reply(204, ""), httpfake.Reply(502, "")
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		lines   []string
		outcome Outcome
		// status is the status of the error, 0 for none. lookup is the status of the
		// lookup's error.
		status, lookup int
	}{
		"deleted":                 {[]http.HandlerFunc{deleted}, []string{remove}, Done, 0, 0},
		"gone":                    {[]http.HandlerFunc{gone, empty}, []string{remove, page1}, Done, 0, 0},
		"gone with repository":    {[]http.HandlerFunc{gone, gone}, []string{remove, page1}, Refused, 404, 0},
		"gone, list refused":      {[]http.HandlerFunc{gone, forbidden}, []string{remove, page1}, Refused, 403, 0},
		"gone, but listed":        {[]http.HandlerFunc{gone, listed}, []string{remove, page1}, Refused, 404, 0},
		"reply lost":              {[]http.HandlerFunc{httpfake.Cut, gone, empty}, []string{remove, remove, page1}, Done, 0, 0},
		"reply breaks off":        {[]http.HandlerFunc{httpfake.Truncated(200), gone, empty}, []string{remove, remove, page1}, Done, 0, 0},
		"reply a server error":    {[]http.HandlerFunc{lost, gone, empty}, []string{remove, remove, page1}, Done, 0, 0},
		"lost, list refused":      {[]http.HandlerFunc{lost, gone, forbidden}, []string{remove, remove, page1}, Unknown, 403, 0},
		"lost, then not there":    {[]http.HandlerFunc{lost, gone, gone}, []string{remove, remove, page1}, Unknown, 404, 0},
		"replies lost, but gone":  {[]http.HandlerFunc{httpfake.Cut, httpfake.Cut, httpfake.Cut, httpfake.Cut, empty}, []string{remove, remove, remove, remove, page1}, Done, 0, 0},
		"replies lost, listed":    {[]http.HandlerFunc{lost, lost, lost, lost, listed}, []string{remove, remove, remove, remove, page1}, Unknown, 502, 0},
		"replies lost, no lookup": {[]http.HandlerFunc{lost, lost, lost, lost, forbidden}, []string{remove, remove, remove, remove, page1}, Unknown, 502, 403},
		"limited, then gone":      {[]http.HandlerFunc{httpfake.Reply(429, ""), gone, empty}, []string{remove, remove, page1}, Done, 0, 0},
		"limited, then not there": {[]http.HandlerFunc{httpfake.Reply(429, ""), gone, gone}, []string{remove, remove, page1}, Refused, 404, 0},
		"refused":                 {[]http.HandlerFunc{forbidden}, []string{remove}, Refused, 403, 0},
		"answered by a proxy":     {[]http.HandlerFunc{httpfake.Reply(200, "<html><title>Sign in</title></html>"), listed}, []string{remove, page1}, Unknown, 200, 0},
		"answered with the key":   {[]http.HandlerFunc{httpfake.Reply(200, oneKey), listed}, []string{remove, page1}, Unknown, 200, 0},
		"accepted":                {[]http.HandlerFunc{httpfake.Reply(202, ""), empty}, []string{remove, page1}, Done, 0, 0},
		"accepted, list refused":  {[]http.HandlerFunc{httpfake.Reply(202, ""), forbidden}, []string{remove, page1}, Unknown, 202, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := httpfake.NewScript(t, tc.replies...)
				result := newTestService(t, api).Delete(t.Context(), repository, 1234, keyLine)
				if result.Outcome != tc.outcome || result.Key != nil {
					t.Errorf("got %+v, want outcome %d", result, tc.outcome)
				}
				for status, err := range map[int]error{tc.status: result.Err, -tc.lookup: result.LookupErr} {
					if status == 0 && err != nil || status != 0 && !bitbucket.HasStatus(err, max(status, -status)) {
						t.Errorf("got error %v, want status %d", err, status)
					}
				}
				api.Expect(tc.lines...)
			})
		})
	}
}

// A listing that cannot be read does not prove that the key is gone.
func TestDelete_notFoundAndListUnusable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html></html>", "{}", `{"values": null}`, `{"values": {}}`} {
		api := httpfake.NewScript(t, httpfake.Reply(404, ""), httpfake.Reply(200, body))
		if result := newTestService(t, api).Delete(t.Context(), repository, 1234, keyLine); result.Outcome != Refused || !errors.Is(result.Err, errUnusable) {
			t.Errorf("%q: got %+v", body, result)
		}
	}
}

// Delete tries each alias and reads the listing under it, until a listing shows that the
// key is gone. An empty listing alone does not show this.
func TestDelete_aliases(t *testing.T) {
	t.Parallel()
	const (
		byUUID   = "/2.0/repositories/mleu/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"
		anywhere = "/2.0/repositories/%7B%7D/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"
	)
	all := []string{"DELETE " + keyPath, page1, "DELETE " + byUUID + "/1234", "GET " + byUUID + "?pagelen=100", "DELETE " + anywhere + "/1234", "GET " + anywhere + "?pagelen=100"}
	gone, empty, deleted := httpfake.Reply(404, `{"error": {"message": "own"}}`), httpfake.Page(""), httpfake.Reply(204, "")
	later := httpfake.Reply(404, `{"error": {"message": "later"}}`)
	another := httpfake.Page("", `{"id": 5, "key": "k", "repository": {"uuid": "{another}"}}`)
	ours := httpfake.Page("", `{"id": 5, "key": "k", "repository": {"uuid": "`+testUUID+`"}}`)
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		outcome Outcome
		text    string // Part of the error, "" for none.
	}{
		"under its name":             {[]http.HandlerFunc{deleted}, Done, ""},
		"gone under its name":        {[]http.HandlerFunc{gone, ours}, Done, ""},
		"renamed":                    {[]http.HandlerFunc{gone, gone, deleted}, Done, ""},
		"redirected":                 {[]http.HandlerFunc{httpfake.Reply(301, "", "Location: https://elsewhere.example/"), gone, deleted}, Done, ""},
		"reused":                     {[]http.HandlerFunc{gone, another, deleted}, Done, ""},
		"reused, empty":              {[]http.HandlerFunc{gone, empty, deleted}, Done, ""},
		"reused, empty, gone":        {[]http.HandlerFunc{gone, empty, gone, empty}, Done, ""},
		"moved":                      {[]http.HandlerFunc{gone, gone, gone, gone, deleted}, Done, ""},
		"not found":                  {[]http.HandlerFunc{gone, gone, later, later, later, later}, Refused, "404 Not Found: own"},
		"empty, then not found":      {[]http.HandlerFunc{gone, empty, later, later, later, later}, Done, ""},
		"forbidden under an alias":   {[]http.HandlerFunc{gone, gone, httpfake.Reply(403, "")}, Refused, "403 Forbidden"},
		"list forbidden under alias": {[]http.HandlerFunc{gone, gone, gone, httpfake.Reply(403, "")}, Refused, "403 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.replies...)
			result := newTestService(t, api).Delete(t.Context(), repositoryWithUUID, 1234, keyLine)
			text := ""
			if result.Err != nil {
				_, text, _ = strings.Cut(result.Err.Error(), ": ")
			}
			if result.Outcome != tc.outcome || (text == "") != (tc.text == "") || !strings.HasPrefix(text, tc.text) {
				t.Errorf("got %+v, want outcome %d and %q", result, tc.outcome, tc.text)
			}
			api.Expect(all[:len(tc.replies)]...)
		})
	}
}

// If a lost DELETE is followed by a 404, an empty listing shows that the key is gone.
func TestDelete_lostAndEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		id := e.AddDeployKey("mleu", "test", keyLine, "").ID
		e.Inject(emulator.Fault{Method: http.MethodDelete, Status: 502, CarryOut: true, Times: 1})
		if result := s.Delete(t.Context(), repositoryWithUUID, id, keyLine); result != done(nil) {
			t.Errorf("got %+v", result)
		}
		if got := methods(e); got != "DELETE 502, DELETE 404, GET 200" {
			t.Errorf("got %s", got)
		}
	})
}
