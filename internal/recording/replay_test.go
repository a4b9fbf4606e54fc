package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// recordedFiles matches the recordings of Bitbucket.
const recordedFiles = "../bitbucket/testdata/recorded/*.yaml"

// The client must understand what Bitbucket has answered, and the emulator must answer the same.
func TestRecorded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(recordedFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("nobody has recorded Bitbucket yet: internal/bitbucket/testdata/recorded/README.md says how")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			exchanges := load(t, file)
			for _, problem := range clientProblems(t.Context(), exchanges) {
				t.Errorf("client: %s", problem)
			}
			played := play(exchanges)
			t.Logf("the emulator plays %s", strings.Join(append(played.switches, "the rest by default"), ", "))
			for _, note := range played.notes {
				t.Log(note)
			}
			for _, problem := range played.problems {
				t.Errorf("emulator: %s", problem)
			}
		})
	}
}

func load(t *testing.T, file string) []*cassette.Interaction {
	t.Helper()
	stored, err := cassette.Load(strings.TrimSuffix(file, ".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return stored.Interactions
}

// describe names an exchange in the text of a problem.
func describe(exchange *cassette.Interaction) string {
	return fmt.Sprintf("exchange %d, %s %s", exchange.ID, exchange.Request.Method, strings.TrimPrefix(exchange.Request.URL, apiRoot))
}

// decoded returns the JSON of a body, nil if it is not JSON.
func decoded(body string) any {
	var value any
	if json.Unmarshal([]byte(body), &value) != nil {
		return nil
	}
	return value
}

// clientProblems replays all exchanges for which the client has a method.
func clientProblems(ctx context.Context, exchanges []*cassette.Interaction) []string {
	var problems []string
	added := map[string]bool{} // The keys of each collection.
	for _, exchange := range exchanges {
		for _, problem := range clientReplay(ctx, exchange, added) {
			problems = append(problems, describe(exchange)+": "+problem)
		}
	}
	return problems
}

// recordedReply answers each request from an exchange.
type recordedReply struct {
	exchange *cassette.Interaction
	first    string
}

func (r *recordedReply) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.first == "" {
		r.first = request.Method + " " + request.URL.EscapedPath()
	}
	return &http.Response{
		StatusCode: r.exchange.Response.Code, Header: r.exchange.Response.Headers.Clone(), Request: request,
		Body: io.NopCloser(strings.NewReader(r.exchange.Response.Body)), ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// clientReplay calls the method of the client that sends the request of an exchange, answers it
// from the exchange, and compares the result with the recorded body.
func clientReplay(ctx context.Context, exchange *cassette.Interaction, added map[string]bool) []string {
	u, err := url.Parse(exchange.Request.URL)
	if err != nil {
		return []string{err.Error()}
	}
	reply := &recordedReply{exchange: exchange}
	client, err := bitbucket.NewClient(apiRoot, transport.Options{Base: reply})
	if err != nil {
		return []string{err.Error()}
	}
	call := clientCall(client, exchange, u)
	if call == nil {
		return nil
	}
	got, err := call(ctx)
	if want := exchange.Request.Method + " " + u.EscapedPath(); strings.TrimRight(reply.first, "/") != strings.TrimRight(want, "/") {
		return []string{"the client sends " + reply.first}
	}
	material, _ := sshMaterial(exchange.Request.Body)
	known := added[u.Path+" "+material]
	if exchange.Request.Method == http.MethodPost && exchange.Response.Code < 300 {
		added[u.Path+" "+material] = true
	}
	if exchange.Response.Code >= 300 {
		return wrongError(exchange, err, known)
	}
	if err != nil {
		return []string{"the client fails: " + err.Error()}
	}
	return wrongFields(got, decoded(exchange.Response.Body))
}

// sshMaterial returns the public key in the body of a request, without its comment.
func sshMaterial(body string) (string, bool) {
	var input struct{ Key string }
	if json.Unmarshal([]byte(body), &input) != nil {
		return "", false
	}
	parts := strings.Fields(input.Key)
	return strings.Join(parts[:min(2, len(parts))], " "), len(parts) > 1
}

// clientCall returns the method of the client for an exchange, or nil. The method returns the
// fields that the client has read.
func clientCall(client *bitbucket.Client, exchange *cassette.Interaction, u *url.URL) func(context.Context) ([]fields, error) {
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/2.0/"), "/")
	for i := range segments {
		segments[i], _ = url.PathUnescape(segments[i])
	}
	if len(segments) < 2 || exchange.Response.Code >= 500 {
		return nil
	}
	method := exchange.Request.Method
	parent := bitbucket.Parent{Workspace: segments[1]}
	slash := segments[len(segments)-1] == ""
	rest := segments[2:]
	if slash {
		rest = rest[:len(rest)-1]
	}
	switch {
	case segments[0] == "repositories" && len(rest) == 0 && method == http.MethodGet:
		if u.Query().Get("fields") != "next,values.slug" {
			return nil
		}
		return list(client.ListRepositories(parent.Workspace, ""), func(p bitbucket.Parent) fields { return fields{"slug": p.Repository} })
	case segments[0] == "repositories" && len(rest) > 0:
		parent.Repository, rest = rest[0], rest[1:]
	case segments[0] == "workspaces" && len(rest) > 1 && rest[0] == "projects":
		parent.Project, rest = rest[1], rest[2:]
	}
	switch {
	case len(rest) == 0 && parent.Repository != "" && method == http.MethodGet && u.Query().Get("fields") == "uuid":
		return func(ctx context.Context) ([]fields, error) { return nil, client.CheckRepository(ctx, parent) }
	case len(rest) == 1 && rest[0] == "deployments":
		query := bitbucket.DeploymentsQuery{WithoutSlash: !slash}
		return list(client.ListDeployments(parent, query), func(d bitbucket.Deployment) fields {
			return fields{"uuid": d.UUID, "state.name": d.State, "environment.uuid": d.EnvironmentUUID}
		})
	case len(rest) == 1 && rest[0] == "deploy-keys" && method == http.MethodGet && u.Query().Get("fields") == "":
		return list(client.ListDeployKeys(parent), func(k bitbucket.DeployKey) fields { return keyFields(&k) })
	case len(rest) == 1 && rest[0] == "deploy-keys" && method == http.MethodPost:
		var input bitbucket.DeployKeyInput
		_ = json.Unmarshal([]byte(exchange.Request.Body), &input) // A label can be null.
		return one(func(ctx context.Context) (*bitbucket.DeployKey, error) {
			return client.CreateDeployKey(ctx, parent, input)
		})
	case len(rest) == 2 && rest[0] == "deploy-keys":
		id, err := strconv.ParseInt(rest[1], 10, 64)
		if err != nil {
			return nil
		}
		switch method {
		case http.MethodGet:
			return one(func(ctx context.Context) (*bitbucket.DeployKey, error) { return client.GetDeployKey(ctx, parent, id) })
		case http.MethodDelete:
			return func(ctx context.Context) ([]fields, error) { return nil, client.DeleteDeployKey(ctx, parent, id) }
		case http.MethodPut:
			var input bitbucket.DeployKeyInput
			_ = json.Unmarshal([]byte(exchange.Request.Body), &input)
			return one(func(ctx context.Context) (*bitbucket.DeployKey, error) {
				return client.UpdateDeployKey(ctx, parent, id, input)
			})
		}
	}
	return nil
}

// fields are the fields of one object as the client has read them, by their path in JSON.
type fields map[string]any

func keyFields(k *bitbucket.DeployKey) fields {
	return fields{
		"id": float64(k.ID), "key": k.Key, "comment": k.Comment, "label": k.Label, "created_on": k.CreatedOn, "last_used": k.LastUsed,
		"repository.uuid": k.Repository.UUID, "repository.full_name": k.Repository.FullName, "project.uuid": k.Project.UUID,
	}
}

func one(call func(context.Context) (*bitbucket.DeployKey, error)) func(context.Context) ([]fields, error) {
	return func(ctx context.Context) ([]fields, error) {
		key, err := call(ctx)
		if err != nil {
			return nil, err
		}
		return []fields{keyFields(key)}, nil
	}
}

func list[T any](pager *bitbucket.Pager[T], read func(T) fields) func(context.Context) ([]fields, error) {
	return func(ctx context.Context) ([]fields, error) {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all := []fields{}
		for value, err := range page {
			if err != nil {
				return nil, err
			}
			all = append(all, read(value))
		}
		return all, nil
	}
}

// wrongFields compares what the client has read with the recorded body. A field that the body
// does not have, or has as null, is empty for the client.
func wrongFields(got []fields, body any) []string {
	objects := []any{body}
	if object, ok := body.(map[string]any); ok && object["values"] != nil {
		objects, _ = object["values"].([]any)
	}
	if got == nil {
		return nil
	}
	if len(got) != len(objects) {
		return []string{fmt.Sprintf("the client reads %d values of %d", len(got), len(objects))}
	}
	var problems []string
	for i, object := range objects {
		for _, path := range slices.Sorted(maps.Keys(got[i])) {
			recorded := object
			for name := range strings.SplitSeq(path, ".") {
				parent, _ := recorded.(map[string]any)
				recorded = parent[name]
			}
			read := got[i][path]
			if recorded == nil && (read == "" || read == float64(0)) || recorded == read {
				continue
			}
			problems = append(problems, fmt.Sprintf("the client reads %v as %s, but Bitbucket has sent %v", read, path, recorded))
		}
	}
	return problems
}

// wrongError compares the client's error with a recorded refusal. A key that the collection
// already has must be recognized, and so must the refusal of a PUT with a key.
func wrongError(exchange *cassette.Interaction, err error, known bool) []string {
	status := exchange.Response.Code
	failed, ok := errors.AsType[*bitbucket.Error](err)
	switch {
	case err == nil:
		return []string{fmt.Sprintf("the client reports success for status %d", status)}
	case !ok || failed.Status != status:
		return []string{fmt.Sprintf("the client reports %q for status %d", err, status)}
	case status < 400:
		return nil
	}
	var problems []string
	if failed.Message == "" {
		problems = append(problems, "the client has no message")
	}
	if object, ok := decoded(exchange.Response.Body).(map[string]any); ok {
		envelope, _ := object["error"].(map[string]any)
		if message, ok := envelope["message"].(string); ok && failed.Message != message {
			problems = append(problems, fmt.Sprintf("the client reports the message %q, but Bitbucket has sent %q", failed.Message, message))
		}
	}
	_, hasKey := sshMaterial(exchange.Request.Body)
	_, immutable := errors.AsType[*bitbucket.ImmutableKeyError](err)
	_, inUse := errors.AsType[*bitbucket.KeyInUseError](err)
	if exchange.Request.Method == http.MethodPut && hasKey && status == http.StatusBadRequest && !immutable {
		problems = append(problems, "the client does not recognize that the key cannot be changed")
	}
	if exchange.Request.Method == http.MethodPost && known && status == http.StatusBadRequest && !inUse {
		problems = append(problems, "the client does not recognize that the key exists already")
	}
	return problems
}

// played is how an emulator has answered the requests of a recording.
type played struct {
	switches        []string
	problems, notes []string
}

// play sends the requests of a recording to an emulator and compares its answers. Where the
// default differs, it uses the switches that play what Bitbucket does.
func play(exchanges []*cassette.Interaction) played {
	var chosen []emulator.Switch
	best := playWith(exchanges, chosen)
	for improved := true; improved && len(best.problems) > 0; {
		improved = false
		from := chosen
		for _, candidate := range emulator.Switches() {
			call, _, _ := strings.Cut(candidate.Name, "(")
			with := slices.DeleteFunc(slices.Clone(from), func(s emulator.Switch) bool { return strings.HasPrefix(s.Name, call+"(") })
			with = append(with, candidate)
			if result := playWith(exchanges, with); len(result.problems) < len(best.problems) {
				best, chosen, improved = result, with, true
			}
		}
	}
	return best
}

func playWith(exchanges []*cassette.Interaction, switches []emulator.Switch) played {
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: workspace}}})
	e.AllowBasic("somebody@example.com", "token")
	c := comparison{same: map[string]string{}}
	for _, s := range switches {
		s.Set(e)
		c.switches = append(c.switches, s.Name)
	}
	for _, exchange := range exchanges {
		c.exchange = exchange
		c.compare(e)
	}
	return c.played
}

// comparison compares an emulator with a recording.
type comparison struct {
	played
	exchange *cassette.Interaction
	// same maps recorded IDs and UUIDs to those of the emulator.
	same map[string]string
}

func (c *comparison) problem(format string, arguments ...any) {
	c.problems = append(c.problems, describe(c.exchange)+": "+fmt.Sprintf(format, arguments...))
}

// note keeps what is no problem, once.
func (c *comparison) note(text string) {
	if !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

var idInPath = regexp.MustCompile(`/deploy-keys/(\d+)`)

// emulated replaces recorded IDs and UUIDs by those of the emulator.
func (c *comparison) emulated(text string) string {
	text = idInPath.ReplaceAllStringFunc(text, func(found string) string {
		id := strings.TrimPrefix(found, "/deploy-keys/")
		if mapped, ok := c.same[id]; ok {
			id = mapped
		}
		return "/deploy-keys/" + id
	})
	return uuidPattern.ReplaceAllStringFunc(text, func(uuid string) string {
		if mapped, ok := c.same[uuid]; ok {
			return mapped
		}
		return uuid
	})
}

// compare sends one request to the emulator.
func (c *comparison) compare(e *emulator.Emulator) {
	recorded := c.exchange.Response
	if recorded.Code == http.StatusForbidden { // The emulator's account has all rights and scopes.
		c.note("not compared, because the credentials did not allow it: " + c.exchange.Request.Method + " " + c.kindOfPath())
		return
	}
	request, err := http.NewRequest(c.exchange.Request.Method, c.emulated(c.exchange.Request.URL), strings.NewReader(c.exchange.Request.Body)) //nolint:noctx // No network is used.
	if err != nil {
		c.problem("%v", err)
		return
	}
	request.SetBasicAuth("somebody@example.com", "token")
	response, err := httpfake.InMemory{Handler: e}.RoundTrip(request)
	if err != nil {
		c.problem("%v", err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.problem("%v", err)
		return
	}
	if response.StatusCode != recorded.Code {
		c.problem("the emulator answers %d, Bitbucket %d", response.StatusCode, recorded.Code)
		return
	}
	if location := recorded.Headers.Get("Location"); recorded.Code >= 300 && recorded.Code < 400 {
		if got := response.Header.Get("Location"); pathOf(got) != pathOf(c.emulated(location)) {
			c.problem("the emulator redirects to %s, Bitbucket to %s", got, location)
		}
	}
	want, got := decoded(recorded.Body), decoded(string(body))
	if want == nil && got == nil {
		if kindOfText(recorded.Body) != kindOfText(string(body)) {
			c.problem("the emulator sends %s, Bitbucket %s", kindOfText(string(body)), kindOfText(recorded.Body))
		}
		return
	}
	c.values("", want, got)
}

// kindOfText describes a body that is not JSON.
func kindOfText(body string) string {
	switch body = strings.TrimSpace(body); {
	case body == "":
		return "an empty body"
	case strings.HasPrefix(body, "<"):
		return "a page"
	}
	return strconv.Quote(body)
}

// pathOf returns the path and the query of an address.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.RequestURI()
}

// values compares two JSON values, recorded and of the emulator.
func (c *comparison) values(path string, recorded, got any) {
	if jsonType(recorded) != jsonType(got) {
		c.problem("%s: the emulator sends %s, Bitbucket %s", path, jsonType(got), jsonType(recorded))
		return
	}
	switch recorded := recorded.(type) {
	case map[string]any:
		played, _ := got.(map[string]any)
		c.objects(path, recorded, played)
	case []any:
		played, _ := got.([]any)
		if len(recorded) != len(played) {
			c.problem("%s: the emulator sends %d values, Bitbucket %d", path, len(played), len(recorded))
			return
		}
		for i := range recorded {
			c.values(path+"[]", recorded[i], played[i])
		}
	case string:
		played, _ := got.(string)
		if !c.sameText(path, recorded, played) {
			c.problem("%s: the emulator sends %q, Bitbucket %q", path, played, recorded)
		}
	default:
		id := fmt.Sprintf("%.0f", recorded)
		switch mapped, known := c.same[id]; {
		case path == "id" || path == "values[].id":
			if playedID := fmt.Sprintf("%.0f", got); known && mapped != playedID {
				c.problem("%s: the emulator sends another key", path)
			} else if !known {
				c.same[id] = playedID
			}
		case recorded != got:
			c.problem("%s: the emulator sends %v, Bitbucket %v", path, got, recorded)
		}
	}
}

func (c *comparison) objects(path string, recorded, played map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(played)) {
		field := strings.TrimPrefix(path+"."+name, ".")
		if _, found := recorded[name]; !found {
			c.problem("%s: the emulator sends it, Bitbucket does not", field)
			continue
		}
		c.values(field, recorded[name], played[name])
	}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		field := strings.TrimPrefix(path+"."+name, ".")
		if _, found := played[name]; found {
			continue
		}
		if c.clientReads(field) {
			c.problem("%s: Bitbucket sends it and the client reads it, but the emulator does not send it", field)
			continue
		}
		c.note("only Bitbucket sends " + field + " in reply to " + c.exchange.Request.Method + " " + c.kindOfPath())
	}
}

// kindOfPath returns what the path of the exchange is for.
func (c *comparison) kindOfPath() string {
	for _, kind := range []string{"deploy-keys", "deployments", "environments", "projects"} {
		if strings.Contains(c.exchange.Request.URL, "/"+kind) {
			return kind
		}
	}
	return "repositories"
}

// clientReads reports whether the client reads a field of a reply.
func (c *comparison) clientReads(field string) bool {
	read := map[string][]string{
		"deploy-keys": {
			"id", "key", "comment", "label", "created_on", "last_used",
			"repository", "repository.uuid", "repository.full_name", "project", "project.uuid",
		},
		"deployments":  {"uuid", "number", "key", "state", "environment", "release", "deployable", "created_on", "last_update_time"},
		"projects":     {"key"},
		"repositories": {"slug", "uuid"},
	}[c.kindOfPath()]
	read = append(read, "values", "next", "error", "error.message", "error.fields", "error.detail", "error.data")
	return slices.Contains(read, strings.TrimPrefix(field, "values[]."))
}

// sameText compares two texts as far as they do not depend on the time or on random numbers.
func (c *comparison) sameText(path, recorded, played string) bool {
	if recorded == played || recorded == removed || strings.Contains(lower(recorded), somebody) || strings.HasSuffix(path, "avatar.href") {
		return true
	}
	_, recordedTime := time.Parse(time.RFC3339, recorded)
	_, playedTime := time.Parse(time.RFC3339, played)
	if recordedTime == nil || playedTime == nil {
		return recordedTime == nil && playedTime == nil
	}
	if recordedUUID, playedUUID := uuidPattern.FindString(recorded), uuidPattern.FindString(played); recordedUUID != "" && playedUUID != "" {
		if _, known := c.same[recordedUUID]; !known {
			c.same[recordedUUID] = playedUUID
		}
	}
	recorded = c.emulated(recorded)
	if strings.HasPrefix(recorded, "https://") && strings.HasPrefix(played, "http") {
		internal := strings.Contains(recorded, "other-host.invalid") == strings.Contains(played, ".internal")
		return internal && pathOf(recorded) == pathOf(played)
	}
	return recorded == played
}

func jsonType(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}

// recordFrom records an emulator with these switches. The recording only serves to test the
// replay.
func recordFrom(t *testing.T, set ...func(*emulator.Emulator)) []*cassette.Interaction {
	t.Helper()
	e := newEmulator()
	for _, s := range set {
		s(e)
	}
	return load(t, record(t, newServer(t, e)))
}

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, s := range append(emulator.Switches(), emulator.Switch{Set: func(*emulator.Emulator) {}}) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			exchanges := recordFrom(t, s.Set)
			for _, problem := range clientProblems(t.Context(), exchanges) {
				t.Error(problem)
			}
			result := play(exchanges)
			for _, problem := range result.problems {
				t.Error(problem)
			}
			if got := strings.Join(result.switches, " and "); got != s.Name && s.Name != "SetNextLinks(NextLinksAPIHost)" { // Recordings always have this host.
				t.Errorf("the emulator plays %q", got)
			}
		})
	}
}

// The credentials of whoever records may lack a scope.
func TestReplay_missingScope(t *testing.T) {
	t.Parallel()
	e := newEmulator()
	e.AllowBasic(username, token,
		"read:repository:bitbucket", "admin:repository:bitbucket", "delete:repository:bitbucket",
		"write:ssh-key:bitbucket", "delete:ssh-key:bitbucket", "read:pipeline:bitbucket")
	exchanges := load(t, record(t, newServer(t, e)))
	expect(t, "client", clientProblems(t.Context(), exchanges), "")
	result := play(exchanges)
	expect(t, "emulator", result.problems, "")
	if !slices.Contains(result.notes, "not compared, because the credentials did not allow it: POST projects") {
		t.Error(result.notes)
	}
}

func TestReplay_severalSwitches(t *testing.T) {
	t.Parallel()
	result := play(recordFrom(t,
		func(e *emulator.Emulator) { e.SetPUT(emulator.PUTRefused) },
		func(e *emulator.Emulator) { e.SetDuplicate(emulator.DuplicateEnvelope) },
		func(e *emulator.Emulator) { e.SetRename(emulator.RenameRedirect) },
		func(e *emulator.Emulator) {
			e.SetDeployments(emulator.DeploymentBehavior{Slash: emulator.SlashRequired, NeverDeployed404: true})
		}))
	if len(result.problems) > 0 {
		t.Errorf("%v with %v", result.problems, result.switches)
	}
}

// Each difference between a recording and the emulator or the client must be found.
func TestReplay_differences(t *testing.T) {
	t.Parallel()
	exchanges := recordFrom(t)
	is := func(method, path string) func(*cassette.Interaction) bool {
		return func(exchange *cassette.Interaction) bool {
			return exchange.Request.Method == method && strings.HasSuffix(exchange.Request.URL, path) && exchange.Response.Code == http.StatusOK
		}
	}
	refused := func(message string) func(*cassette.Interaction) bool {
		return func(exchange *cassette.Interaction) bool { return strings.Contains(exchange.Response.Body, message) }
	}
	replace := func(old, changed string) func(*cassette.Interaction) {
		return func(exchange *cassette.Interaction) {
			exchange.Response.Body = strings.Replace(exchange.Response.Body, old, changed, 1)
		}
	}
	status := func(code int) func(*cassette.Interaction) {
		return func(exchange *cassette.Interaction) { exchange.Response.Code = code }
	}
	created := is(http.MethodPost, "/deploy-keys")
	for name, test := range map[string]struct {
		which            func(*cassette.Interaction) bool
		change           func(*cassette.Interaction)
		emulator, client string // A part of the problem, "" for none.
	}{
		"nothing":         {created, func(*cassette.Interaction) {}, "", ""},
		"other status":    {created, status(http.StatusCreated), "the emulator answers 200, Bitbucket 201", ""},
		"unknown status":  {created, status(http.StatusAccepted), "the emulator answers 200, Bitbucket 202", "the client fails"},
		"renamed field":   {created, replace(`"label":`, `"title":`), "label: the emulator sends it, Bitbucket does not", ""},
		"other type":      {created, replace(`"comment":"deploy@host"`, `"comment":["deploy@host"]`), "comment: the emulator sends a string, Bitbucket a list", "the client fails"},
		"null":            {created, replace(`"comment":"deploy@host"`, `"comment":null`), "comment: the emulator sends a string, Bitbucket null", ""},
		"other label":     {created, replace(`"label":"first"`, `"label":"FIRST"`), `label: the emulator sends "first", Bitbucket "FIRST"`, ""},
		"other key":       {created, replace(`"key":"ssh-ed25519 `, `"key":"ssh-rsa `), "key: the emulator sends", "another public key"},
		"other self link": {created, replace(`/deploy-keys/`, `/keys/`), "links.self.href: the emulator sends", ""},
		"no time":         {created, replace(`"created_on":"`, `"created_on":"on `), "created_on: the emulator sends", ""},
		"new field":       {created, replace(`"label":`, `"added_on":null,"label":`), "", ""},
		"new field that the client reads": {
			is(http.MethodGet, "/deployments/"), replace(`"values":`, `"next":"https://api.bitbucket.org/2.0/x?page=2","values":`),
			"next: Bitbucket sends it and the client reads it", "",
		},
		"other message":    {refused("Deploy key not found"), replace("Deploy key not found", "No such key"), `error.message: the emulator sends "Deploy key not found", Bitbucket "No such key"`, ""},
		"plain text":       {refused("Deploy key not found"), func(e *cassette.Interaction) { e.Response.Body = "Not here" }, "the emulator sends an object, Bitbucket null", ""},
		"unknown refusal":  {refused("Someone has already added"), replace("already", "once"), "key[].message", "does not recognize that the key exists already"},
		"success for 404":  {refused("Deploy key not found"), status(http.StatusOK), "the emulator answers 404, Bitbucket 200", "the client fails"},
		"page":             {created, func(e *cassette.Interaction) { e.Response.Body = page }, "the emulator sends an object, Bitbucket null", "the client fails"},
		"fewer values":     {is(http.MethodGet, "?pagelen=1"), replace(`"values":[{`, `"values":[],"others":[{`), "values: the emulator sends 1 values, Bitbucket 0", ""},
		"deleted with 200": {func(e *cassette.Interaction) bool { return e.Response.Code == http.StatusNoContent }, status(http.StatusOK), "the emulator answers 204, Bitbucket 200", "the client fails"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var changed []*cassette.Interaction
			planted := false
			for _, exchange := range exchanges {
				clone := *exchange
				if !planted && test.which(&clone) {
					planted = true
					before := clone.Response
					test.change(&clone)
					if name != "nothing" && before.Body == clone.Response.Body && before.Code == clone.Response.Code {
						t.Fatal("the change changes nothing")
					}
				}
				changed = append(changed, &clone)
			}
			if !planted {
				t.Fatal("no exchange was changed")
			}
			expect(t, "emulator", playWith(changed, nil).problems, test.emulator)
			expect(t, "client", clientProblems(t.Context(), changed), test.client)
		})
	}
}

// expect fails the test unless one of the problems has this text, or there is none for "".
func expect(t *testing.T, what string, problems []string, want string) {
	t.Helper()
	if want == "" && len(problems) > 0 {
		t.Errorf("%s: unexpected problems:\n\t%s", what, strings.Join(problems, "\n\t"))
	}
	if want != "" && !slices.ContainsFunc(problems, func(problem string) bool { return strings.Contains(problem, want) }) {
		t.Errorf("%s: got\n\t%s\nwant %q", what, strings.Join(problems, "\n\t"), want)
	}
}
