package facts

import (
	"context"
	"crypto/dsa" //nolint:staticcheck // Whether Bitbucket accepts such keys is a question.
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// Answer is the answer of a server to a question.
type Answer struct {
	Fact
	// Server is the server's answer, "" if the question could not be asked.
	Server string
	// NotAsked is the reason why the question could not be asked.
	NotAsked string
}

// Differs reports whether the server's answer differs from the emulator's answer.
func (a Answer) Differs() bool { return a.NotAsked == "" && a.Server != a.Emulator }

// Switches returns the names of the switches with which the emulator has the server's answer.
func (a Answer) Switches() []string {
	var names []string
	for name, answer := range a.EmulatorAlso {
		if answer == a.Server {
			names = append(names, name)
		}
	}
	return names
}

// run asks a server all questions once. The questions share a project and two repositories, so
// that they need fewer requests.
type run struct {
	server *live.Server
	// project is the key of a new project, "" if none could be created.
	project string
	// repository is a new repository in the project. first is its first key.
	repository live.Repository
	first      createdKey
	// changing is a key of the repository for requests that change it.
	changing createdKey
	// renamed is a second repository, which is renamed from oldSlug. kept is its first key.
	renamed live.Repository
	oldSlug string
	kept    createdKey
	// projectKey is a key of the project.
	projectKey createdKey
	// names are placeholders for the slugs of repositories.
	names map[string]string
	// sent are the public keys in requests, without comments.
	sent map[string]bool
	// missing has the reason why a need could not be created, by the name of the need.
	missing map[string]*unanswered
}

// createdKey is a deploy key and the reply to its creation.
type createdKey struct {
	id    int64
	line  string
	reply *live.Reply
}

// unanswered is the error of a question that could not be asked.
type unanswered struct {
	reason string
	// refused reports whether the credentials lack the right or the scope. A lack of rights is
	// a finding and not a failure.
	refused bool
}

func (u *unanswered) Error() string { return u.reason }

// stopError ends the run, because the server would not answer any other question.
type stopError struct{ error }

func (s stopError) Unwrap() error { return s.error }

// Ask asks a server all questions. It creates repositories and a project, which the caller
// must remove with [live.Server.Close].
//
// An error means that some questions could not be asked. The answers to the other questions
// are usable. A missing right or scope is not an error.
func Ask(ctx context.Context, server *live.Server) ([]Answer, error) {
	facts, err := Facts()
	if err != nil {
		return nil, err
	}
	r := &run{server: server, names: map[string]string{}, sent: map[string]bool{}, missing: map[string]*unanswered{}}
	err = r.prepare(ctx)
	found := map[string]Answer{}
	failed := 0
	for _, q := range questions {
		var answer Answer
		if !stops(err) {
			answer.Server, err = r.ask(ctx, q)
			answer.Server = printable(server, answer.Server)
		}
		if err != nil {
			answer.NotAsked = printable(server, err.Error())
			if reason, ok := errors.AsType[*unanswered](err); !ok || !reason.refused {
				failed++
			}
		}
		found[q.id] = answer
	}
	answers := make([]Answer, len(facts))
	for i, fact := range facts {
		answers[i] = found[fact.ID]
		answers[i].Fact = fact
	}
	switch {
	case stops(err):
		return answers, printableError{err, server}
	case failed > 0:
		return answers, fmt.Errorf("%d of %d questions could not be asked", failed, len(questions))
	}
	return answers, nil
}

// printableError hides copies of the credentials in the text of an error.
type printableError struct {
	error
	server *live.Server
}

func (e printableError) Error() string { return printable(e.server, e.error.Error()) }
func (e printableError) Unwrap() error { return e.error }

// ask asks one question, unless one of its needs is missing.
func (r *run) ask(ctx context.Context, q question) (string, error) {
	for _, need := range q.needs {
		if reason, missing := r.missing[need]; missing {
			return "", reason
		}
	}
	return q.ask(ctx, r)
}

// The needs of the questions.
const (
	aProject    = "project"
	aRepository = "repository"
	aKey        = "key"
	aRename     = "rename"
	changingKey = "changing key"
)

// prepare creates all needs of the questions, and records the needs that could not be created.
// An error ends the run.
func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.project, err = r.server.CreateProject(ctx); err != nil {
		r.project = ""
		// Without a project, the questions that need no project can still be asked.
		err = r.miss(err, "no project could be created", http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusPaymentRequired)
		if stops(err) {
			return err
		}
		r.lacks(err, aProject)
	}
	if r.repository, err = r.server.CreateRepository(ctx, r.project); err == nil {
		r.names[r.repository.Slug] = "{repository}"
		r.renamed, err = r.server.CreateRepository(ctx, r.project)
		r.oldSlug = r.renamed.Slug
		r.names[r.oldSlug] = "{old name}"
	}
	if err != nil {
		err = r.miss(err, "no repository could be created", http.StatusForbidden)
		if stops(err) {
			return err
		}
		r.lacks(err, aRepository, aKey, changingKey, aRename)
		return nil
	}
	if r.first, err = r.add(ctx, r.keys(), newKey()+" deploy@host", "first"); err != nil {
		r.lacks(err, aKey)
	}
	if stops(err) {
		return err
	}
	if r.changing, err = r.add(ctx, r.keys(), newKey()+" before@host", "before"); err != nil {
		r.lacks(err, changingKey)
	}
	if stops(err) {
		return err
	}
	return nil
}

// lacks records the reason why these needs are missing.
func (r *run) lacks(err error, needs ...string) {
	if reason, ok := errors.AsType[*unanswered](err); ok {
		for _, need := range needs {
			r.missing[need] = reason
		}
	}
}

// stops reports whether an error ends the run.
func stops(err error) bool {
	_, ok := errors.AsType[stopError](err)
	return ok
}

// miss converts the error of a preparing request into the reason why questions cannot be asked.
// A refusal with one of the statuses in findings is a finding and not a failure.
func (r *run) miss(err error, what string, findings ...int) error {
	refused, ok := errors.AsType[*live.Error](err)
	if !ok {
		return stopError{err}
	}
	words := r.refusal(refused.Reply)
	if stop := r.check(refused.Reply); stops(stop) {
		return stop
	} else if stop != nil {
		words = stop.Error()
	}
	reason := &unanswered{reason: fmt.Sprintf("%s: %s %s: %s", what, refused.Method, r.masked(refused.Path), words)}
	for _, status := range findings {
		reason.refused = reason.refused || refused.Reply.Status == status
	}
	return reason
}

// send sends a request. It returns an error if the reply cannot answer a question.
func (r *run) send(ctx context.Context, method, path string, body any) (*live.Reply, error) {
	if sent, ok := body.(input); ok {
		if line, ok := sent["key"].(string); ok {
			r.sent[withoutComment(line)] = true
		}
	}
	reply, err := r.server.Do(ctx, method, path, body)
	if err != nil {
		return nil, stopError{err}
	}
	return reply, r.check(reply)
}

// check returns an error if a reply cannot answer a question, for example a 429.
func (r *run) check(reply *live.Reply) error {
	switch {
	case reply.Status == http.StatusTooManyRequests:
		wait := "in an hour, because Bitbucket counts the requests of the last hour"
		if after := reply.Header.Get("Retry-After"); after != "" {
			wait = "when the time in Retry-After is over: " + after
		}
		return stopError{errors.New("Bitbucket's rate limit is reached (429): run it again " + wait)}
	case reply.Status == http.StatusUnauthorized:
		return stopError{errors.New("Bitbucket does not accept the credentials: " + r.refusal(reply))}
	case reply.Status >= http.StatusInternalServerError:
		return &unanswered{reason: "the server failed: " + r.refusal(reply)}
	case reply.Status == http.StatusForbidden:
		return r.checkScopes(reply)
	}
	return nil
}

// checkScopes returns an error if a 403 means that these credentials cannot be used for the
// request. Any other 403 is an answer.
func (r *run) checkScopes(reply *live.Reply) error {
	var refusal struct {
		Error struct {
			Message string
			Detail  struct{ Required []string }
		}
	}
	_ = json.Unmarshal(reply.Body, &refusal) // The detail can be a text.
	message, required := refusal.Error.Message, refusal.Error.Detail.Required
	reason := "the credentials do not allow it: 403 " + r.quoted(message)
	switch {
	case len(required) > 0:
		slices.Sort(required)
		return &unanswered{reason + ", required: " + r.masked(strings.Join(required, ", ")), true}
	case strings.Contains(message, "privilege scopes"), strings.Contains(message, "authentication mechanism"), strings.Contains(message, "authentication types"):
		return &unanswered{reason, true}
	}
	return nil
}

// get sends a GET.
func (r *run) get(ctx context.Context, path string) (*live.Reply, error) {
	return r.send(ctx, http.MethodGet, path, nil)
}

// add adds a deploy key that a question needs.
func (r *run) add(ctx context.Context, collection, line, label string) (createdKey, error) {
	reply, err := r.send(ctx, http.MethodPost, collection, input{"key": line, "label": label})
	if err != nil {
		return createdKey{}, err
	}
	key := createdKey{line: line, reply: reply}
	var added struct{ ID int64 }
	if !succeeded(reply) || reply.Decode(&added) != nil || added.ID == 0 {
		return key, &unanswered{"no key could be added: " + r.refusal(reply), reply.Status == http.StatusForbidden}
	}
	key.id = added.ID
	return key, nil
}

// keys returns the path of the repository's keys.
func (r *run) keys() string { return r.server.Path(r.repository.Slug) + "/deploy-keys" }

// projectKeys returns the path of the project's keys.
func (r *run) projectKeys() string { return r.server.ProjectPath(r.project) + "/deploy-keys" }

// key returns the path of a key in a collection.
func key(collection string, id int64) string { return fmt.Sprintf("%s/%d", collection, id) }

// newKey returns a new public key without a comment. Nobody keeps its private key.
func newKey() string {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // It never returns an error with this reader.
	}
	return authorizedKey(public)
}

// weakRSA returns an RSA key of 1024 bits.
func weakRSA() string {
	private, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // Bitbucket must refuse it.
	if err != nil {
		panic(err) // It never returns an error with this reader and length.
	}
	return authorizedKey(&private.PublicKey)
}

// securityKey returns a key of a hardware token.
func securityKey() string {
	const name = "sk-ssh-ed25519@openssh.com"
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // It never returns an error with this reader.
	}
	blob := ssh.Marshal(struct {
		Name, Key, Application string
	}{name, string(public), "ssh:"})
	return name + " " + base64.StdEncoding.EncodeToString(blob)
}

// dsaKey returns a DSA key of 1024 bits. Its numbers have the right lengths but no other
// properties of a real key.
func dsaKey() string {
	return authorizedKey(&dsa.PublicKey{
		Parameters: dsa.Parameters{P: new(big.Int).SetBit(big.NewInt(1), 1023, 1), Q: new(big.Int).SetBit(big.NewInt(1), 159, 1), G: big.NewInt(2)},
		Y:          big.NewInt(4),
	})
}

func authorizedKey(public any) string {
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err) // All types of keys are known.
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
}
