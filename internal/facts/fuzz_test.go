package facts

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// A reply can have anything in it. The answer is one line without the credentials.
func FuzzRefusal(f *testing.F) {
	f.Add(`{"type":"error","error":{"message":"No `+token+`","fields":{"key":["No"]}}}`, 400, "")
	f.Add(`{"`+token+`":[{"message":"\u001b[2J"}]}`, 400, "")
	f.Add(`[[[]]]`, 200, "")
	f.Add("<html>", 301, "https://api.bitbucket.org/2.0/"+token)
	f.Fuzz(func(t *testing.T, body string, status int, location string) {
		server, err := live.NewServer("https://api.bitbucket.org/2.0", "acme", "ci@example.com", token, &live.Counter{})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{server: server, names: map[string]string{}}
		reply := &live.Reply{Status: status, Header: http.Header{"Location": {location}}, Body: []byte(body)}
		for _, answer := range []string{r.refusal(reply), r.withFields(reply, "values"), r.withValues(reply, "label", "links.self.href"), r.withPage(reply), r.headers(reply, "Location")} {
			answer = printable(server, answer)
			if strings.Contains(answer, token) || strings.ContainsAny(answer, "\n\r\x1b") || answer == "" {
				t.Errorf("%q", answer)
			}
		}
	})
}
