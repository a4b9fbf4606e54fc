package deploykeys

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// withoutKeyText is an entry of a list that has an ID but no public key. withoutID has
// neither.
const (
	withoutKeyText = `{"id": 77, "label": "no key"}`
	withoutID      = `{"label": "no id"}`
)

// A list names the entries that cannot be read beside the keys that can.
func TestList_unreadable(t *testing.T) {
	t.Parallel()
	list := httpfake.Page("", withoutKeyText, oneKey, withoutID, "5", `{"id": 78, "key": 5}`, `{"id": -3, "key": "k"}`)
	s := newTestService(t, httpfake.NewScript(t, list))
	listing, err := s.List(t.Context(), repository)
	if err != nil || !slices.Equal(idsOf(listing.Keys), []int64{1234}) || !slices.Equal(listing.Unreadable, []int64{77, 0, 78}) {
		t.Errorf("got %+v, %v", listing, err)
	}
	keys, err := s.ListComplete(t.Context(), repository)
	unreadable, ok := errors.AsType[*UnreadableError](err)
	if keys != nil || !ok || !errors.Is(err, errUnusable) || unreadable.Entries() != "deploy key 77, an entry without an ID, deploy key 78" {
		t.Errorf("got %+v, %v", keys, err)
	}
}

// Even if no alias of the parent is found, the list names the entries.
func TestList_onlyUnreadable(t *testing.T) {
	t.Parallel()
	for name, uuidReply := range map[string]http.HandlerFunc{"found": httpfake.Page("", withoutKeyText), "not found": httpfake.Reply(404, "")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page("", withoutKeyText), uuidReply, httpfake.Reply(404, ""))
			if name == "found" {
				api = httpfake.NewScript(t, httpfake.Page("", withoutKeyText), uuidReply)
			}
			listing, err := newTestService(t, api).List(t.Context(), repositoryWithUUID)
			if err != nil || len(listing.Keys) > 0 || !slices.Equal(listing.Unreadable, []int64{77}) {
				t.Errorf("got %+v, %v", listing, err)
			}
		})
	}
}

// A 404 does not show that a key is gone if an unreadable entry may be the key.
func TestGet_unreadable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parent bitbucket.Parent
		list   http.HandlerFunc
		gone   bool
	}{
		"its ID":                  {repository, httpfake.Page("", withoutKeyText, oneKey), false},
		"no ID":                   {repository, httpfake.Page("", withoutID, oneKey), false},
		"another ID":              {repository, httpfake.Page("", `{"id": 78}`, oneKey), true},
		"its ID, no readable key": {repositoryWithUUID, httpfake.Page("", withoutKeyText), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("pagelen") {
					tc.list(w, r)
					return
				}
				httpfake.Reply(404, "")(w, r)
			})
			_, err := newTestService(t, api).Get(t.Context(), tc.parent, 77)
			_, unreadable := errors.AsType[*UnreadableError](err)
			if errors.Is(err, ErrGone) != tc.gone || unreadable == tc.gone || !tc.gone && !bitbucket.IsNotFound(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A delete is not done if an unreadable entry may be the key.
func TestDelete_unreadable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		entry  string
		status int
		want   Outcome
	}{
		"404, its ID":     {withoutKeyText, 404, Refused},
		"404, no ID":      {withoutID, 404, Refused},
		"404, another ID": {`{"id": 78}`, 404, Done},
		"500, its ID":     {withoutKeyText, 500, Unknown},
		"500, no ID":      {withoutID, 500, Unknown},
		"500, another ID": {`{"id": 78}`, 500, Done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(tc.status, ""), httpfake.Page("", tc.entry, oneKey))
			result := newTestService(t, api, withRetries(0)).Delete(t.Context(), repository, 77, "")
			_, unreadable := errors.AsType[*UnreadableError](errors.Join(result.Err, result.LookupErr))
			if result.Outcome != tc.want || unreadable != (tc.want != Done) || tc.want != Done && !bitbucket.HasStatus(result.Err, tc.status) {
				t.Errorf("got %+v", result)
			}
		})
	}
}

// After a lost reply, an unreadable entry may be the new key. Only a readable key answers
// the question.
func TestCreate_unreadable(t *testing.T) {
	t.Parallel()
	input := bitbucket.DeployKeyInput{Key: keyLine}
	for name, status := range map[string]int{"lost": 500, "exists": 400} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(status, ""), httpfake.Page("", withoutID))
			result := newTestService(t, api, withRetries(4)).Create(t.Context(), repository, input)
			if _, ok := errors.AsType[*UnreadableError](result.LookupErr); !ok || result.Outcome == Done || !bitbucket.HasStatus(result.Err, status) {
				t.Errorf("got %+v", result)
			}
			api = httpfake.NewScript(t, httpfake.Reply(status, ""), httpfake.Page("", withoutID, oneKey))
			result = newTestService(t, api, withRetries(4)).Create(t.Context(), repository, input)
			if _, ok := errors.AsType[*ExistsError](result.Err); !ok && result.Outcome != Done || result.LookupErr != nil {
				t.Errorf("with the key: got %+v", result)
			}
		})
	}
}
