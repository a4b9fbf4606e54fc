package recording

import (
	"strings"
	"testing"

	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// Whatever a server puts around the credentials and the names, they do not survive.
func FuzzSanitizer(f *testing.F) {
	for _, text := range repeated() {
		f.Add(`{"message":"`, text, `"}`)
		f.Add(`<p>`, text, ``)
		f.Add(`{"type":"error","error":{"message":"/`, text, `/deploy-keys/1"}}`)
	}
	f.Fuzz(func(t *testing.T, before, text, after string) {
		server, err := live.NewServer("https://api.bitbucket.org/2.0", slug, username, token, &live.Counter{})
		if err != nil {
			t.Fatal(err)
		}
		s := newSanitizer(server)
		s.learn(account, "")
		exchange := &cassette.Interaction{Response: cassette.Response{Code: 400, Body: before + text + after, Headers: map[string][]string{"Location": {text}}}}
		s.learnAll([]*cassette.Interaction{exchange})
		s.clean(exchange)
		if err := s.check([]*cassette.Interaction{exchange}, ""); err != nil {
			t.Errorf("%v: %q", err, exchange.Response.Body)
		}
		for _, secret := range []string{token, username, "Quincy"} {
			if strings.Contains(exchange.Response.Body+exchange.Response.Headers.Get("Location"), secret) {
				t.Errorf("%q survives in %q", secret, exchange.Response.Body)
			}
		}
	})
}
