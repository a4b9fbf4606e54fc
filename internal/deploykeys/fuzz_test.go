package deploykeys

import (
	"net/http"
	"slices"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// A list must contain each key once, whatever the server replies.
func FuzzList(f *testing.F) {
	f.Add(`{"values": [` + oneKey + `, ` + oneKey + `, {"id": 7, "key": "k"}], "next": "?page=2"}`)
	f.Add(`{"values": [` + oneKey + `], "next": "?page=2"}`)
	f.Add(`{"values": [{"id": -7, "key": "k"}], "next": 5}`)
	f.Add(`{"values": [null]}`)
	f.Add(`{"values": null, "next": "?"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		requests := 0
		s := newTestService(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reply := httpfake.Reply(200, body)
			if requests++; requests > 4 { // End the list, so that the test ends.
				reply = httpfake.Page("")
			}
			reply(w, r)
		}), withRetries(0))
		listing, err := s.List(t.Context(), repository)
		keys := listing.Keys
		if err != nil && (keys != nil || listing.Unreadable != nil || asError(t, err).Method != http.MethodGet) {
			t.Errorf("got %+v with error %v", listing, err)
		}
		ids := idsOf(keys)
		slices.Sort(ids)
		if len(slices.Compact(ids)) != len(keys) || len(ids) > 0 && ids[0] <= 0 {
			t.Errorf("got keys %v", idsOf(keys))
		}
	})
}
