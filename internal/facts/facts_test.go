package facts

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

var update = flag.Bool("update", false, "store the emulator's answers in facts.json")

// switches are the emulator's answers that can also be right. Some depend on the account.
var switches = append(emulator.Switches(),
	emulator.Switch{Name: "SetNearLimit(true)", Set: func(e *emulator.Emulator) { e.SetNearLimit(true) }},
	emulator.Switch{Name: "SetCredentialHeaders(nil)", Set: func(e *emulator.Emulator) { e.SetCredentialHeaders(nil) }},
	emulator.Switch{Name: "SetCredentialHeaders(with scopes)", Set: func(e *emulator.Emulator) {
		e.SetCredentialHeaders(http.Header{"X-Credential-Type": {"api_token"}, "X-Oauth-Scopes": {"admin:repository:bitbucket, write:ssh-key:bitbucket"}})
	}},
)

const token = "ATATT3xFfGF0-token-of-the-tests"

// newEmulator starts an emulator with an empty workspace.
func newEmulator(t *testing.T) (*emulator.Emulator, *live.Server) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "acme"}}})
	e.AllowBasic("ci@example.com", token)
	return e, newServer(t, e)
}

// newServer starts a server with this handler.
func newServer(t *testing.T, handler http.Handler) *live.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := live.NewServer(server.URL+"/2.0", "acme", "ci@example.com", token, &live.Counter{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// askAll asks all questions, each of which must be answered.
func askAll(t *testing.T, server *live.Server) []Answer {
	t.Helper()
	answers, err := Ask(t.Context(), server)
	if err != nil {
		t.Error(err)
	}
	for _, answer := range answers {
		if answer.NotAsked != "" {
			t.Errorf("%s: %s", answer.ID, answer.NotAsked)
		}
	}
	return answers
}

// The stored answers must be those of the emulator: a changed field or status of the emulator
// fails this test.
func TestFacts_emulator(t *testing.T) { //nolint:paralleltest // It may write facts.json.
	_, server := newEmulator(t)
	answers := askAll(t, server)
	t.Logf("%d requests", server.Counter.Sent())
	if server.Counter.Sent() > 110 { // Bitbucket allows 1,000 an hour, and closing needs more.
		t.Errorf("%d requests are too many", server.Counter.Sent())
	}
	also := make([]map[string]string, len(answers))
	for _, s := range switches {
		e, server := newEmulator(t)
		s.Set(e)
		for i, answer := range askAll(t, server) {
			if answer.Server != answers[i].Server {
				if also[i] == nil {
					also[i] = map[string]string{}
				}
				also[i][s.Name] = answer.Server
			}
		}
	}
	var facts []Fact
	for i, answer := range answers {
		fact := answer.Fact
		fact.Emulator, fact.EmulatorAlso = answer.Server, also[i]
		facts = append(facts, fact)
		if *update {
			continue
		}
		if answer.Server != answer.Emulator {
			t.Errorf("%s: the emulator answers\n\t%s\nfacts.json has\n\t%s", answer.ID, answer.Server, answer.Emulator)
		}
		for _, s := range switches {
			if also[i][s.Name] != answer.EmulatorAlso[s.Name] {
				t.Errorf("%s: with %s the emulator answers\n\t%s\nfacts.json has\n\t%s", answer.ID, s.Name, also[i][s.Name], answer.EmulatorAlso[s.Name])
			}
		}
	}
	if *update {
		store(t, facts)
	}
}

// store writes facts.json.
func store(t *testing.T, facts []Fact) {
	t.Helper()
	file, err := os.Create("facts.json")
	if err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(facts); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// Each question must have a description, and the other way round.
func TestFacts_complete(t *testing.T) {
	t.Parallel()
	facts, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	var asked, described []string
	for _, q := range questions {
		asked = append(asked, q.id)
	}
	for _, fact := range facts {
		described = append(described, fact.ID)
		if fact.Question == "" || fact.Documented == "" {
			t.Errorf("%s has no question or no documentation", fact.ID)
		}
	}
	slices.Sort(asked)
	slices.Sort(described)
	if !slices.Equal(asked, described) || len(slices.Compact(slices.Clone(asked))) != len(asked) {
		t.Errorf("asked\n\t%v\ndescribed\n\t%v", asked, described)
	}
}

// readme lists the open questions for the people who record.
const readme = "../bitbucket/testdata/recorded/README.md"

func TestFacts_readme(t *testing.T) { //nolint:paralleltest // It may write the page.
	facts, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const heading = "## Open questions\n\n"
	rest, _, found := strings.Cut(string(content), heading)
	want := rest + heading
	for _, fact := range facts {
		if fact.Open {
			want += "- " + fact.Question + " (`" + fact.ID + "`)\n"
		}
	}
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !found || want != string(content) {
		t.Errorf("the list of open questions is out of date: run \"go test ./internal/facts -run TestFacts -update\"")
	}
}
