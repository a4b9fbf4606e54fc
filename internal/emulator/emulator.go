// Package emulator is Bitbucket Cloud's deploy-key API in memory, as an
// [http.Handler], so that the provider can be tested without an account.
//
// It shares no type with the provider's client: a wrong JSON name in either of
// them fails a test instead of cancelling out. What it plays is known with
// different certainty.
//
// Documented by Atlassian:
//   - the endpoints, the fields of a deploy key, the splitting of a comment; keys
//     of projects have no PUT;
//   - POST and PUT answer 200 and DELETE 204;
//   - the same key on two repositories or projects is allowed, PUT keeps the key
//     and changes label and comment ([PUTDocumented]);
//   - workspaces and repositories by slug or {uuid}, %7B%7D as any workspace of a
//     repository; projects by their key;
//   - the page envelope, pagelen 10 by default and 100 at most;
//   - the repositories of a workspace, those that may be read; q with
//     project.key = "…", and fields, which leaves out what is not named;
//   - the projects of a workspace, of which none with repositories is removed;
//   - self ends in a slash where a POST of a project's key is answered;
//   - the deployments of a repository and the names of their fields;
//   - the scopes of each operation, access tokens that cannot change the keys of
//     repositories;
//   - key types and RSA keys of at least 2048 bits;
//   - X-RateLimit-Limit and X-RateLimit-NearLimit, sent when asked to.
//
// Observed on the live API:
//   - the bodies of 401, 403, 404 (repository, workspace, route) and 429;
//   - slugs in any case, names in replies in lower case, unescaped braces 404;
//   - a trailing slash on the collection, unknown fields in a body;
//   - the texts for a duplicate and for a modified key, and that PUT is
//     refused ([PUTRefused]);
//   - ids and created_on in their present form, last_used null, comment "";
//   - "Invalid pagelen" and "Invalid page", an HTML 404 for a malformed id;
//   - the text for a field that does not support filtering, and that the link
//     to the next page keeps pagelen;
//   - other names in deployments, the slash at the end of their list, their filters
//     environment and state.name, the two values of sort and the refusal of others,
//     and a 404 where there are none ([DeploymentBehavior]); a status of null.
//
// Assumed, for want of any record:
//   - the answers to an unknown id, a wrong method, a body that is not JSON and
//     a bad gateway, the HTML of pages, and the text "Invalid SSH key.";
//   - unescaped braces get the 404 of an unknown route;
//   - access tokens can read deploy keys, and change those of projects;
//   - projects: the rules and texts of repositories, with "project" for a key that
//     is there already, ids from the same counter, and slashes as for them;
//   - "Project not found", which is also what somebody anonymous gets, and that
//     the case of a project's key counts;
//   - any Content-Type is taken for JSON;
//   - the shape of an invalid key's 400 equals that of a duplicate's, the
//     shape of a modified key's 400 is the standard envelope;
//   - a PUT of the key without a comment empties the comment;
//   - labels are trimmed and empty by default, comments may hold spaces;
//   - certificates and sk-* keys are refused, blobs are otherwise trusted;
//   - pagelen 0 is refused, a page past the end is empty;
//   - scopes are checked before the repository is looked up;
//   - the scope for a list of repositories is read:repository:bitbucket, which
//     admin:repository:bitbucket does not include, for projects accordingly;
//   - repositories and projects are listed in the order in which they were made,
//     and the link to the next page keeps q and fields;
//   - other filters get a 400; sort, role, fields with + or - and q for projects
//     do nothing;
//   - "Forbidden" for the keys of a repository or project that may only be read
//     ([PermissionRead]);
//   - the reply to a wrong OAuth client, and that an OAuth consumer's token may
//     change deploy keys;
//   - a renamed repository or project is not redirected;
//   - deployments that have not started are sorted last, and listed as they were
//     made without a sort; the body of the 404 for one that is unknown;
//   - the Date of a reply and created_on are by the same clock;
//   - a used-up rate limit refuses whatever comes, requests for tokens too;
//   - [PUTLabelOnly], which nobody has seen, for a PUT without the key.
//
// Troubles are played on demand: faults ([Emulator.Inject]), the time that an
// answer takes ([Emulator.SetLatency]) and a rate limit that is used up
// ([Emulator.SetRateLimit]).
package emulator

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Emulator is a Bitbucket Cloud of its own. It is safe for concurrent use.
type Emulator struct {
	mu                 sync.Mutex
	state              Seed
	nextID             int64
	clock              func() time.Time
	requests           []*Request
	faults             []*injectedFault
	traffic            traffic
	access             access
	putBehavior        PUTBehavior
	duplicateBehavior  DuplicateBehavior
	deploymentBehavior DeploymentBehavior
	statePath          string
	saveErr            error
}

// Request is one received request, kept so that a test can tell what a client
// really sent.
type Request struct {
	Method        string
	Path          string // Path is the escaped path as sent.
	Query         string
	Body          string
	Authorization string
	UserAgent     string
	Status        int // Status is what was answered, 0 when nothing was.
}

// firstID is an id seen in 2026: ids are large, so that one that passes through
// a 16-bit or a float32 type is noticed.
const firstID = 10958984

// New returns an emulator that starts with seed and accepts any credentials.
func New(seed Seed) *Emulator {
	e := &Emulator{state: seed.clone(), clock: time.Now, access: newAccess()}
	e.nextID = e.state.complete(firstID, e.now())
	return e
}

// SetClock replaces the clock that dates new keys and replies, and expires
// tokens. It may be wrong, as Bitbucket's is from a client's point of view.
func (e *Emulator) SetClock(clock func() time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clock = clock
}

// now is the time as Bitbucket writes it.
func (e *Emulator) now() string {
	return timestamp(e.clock())
}

// timestamp writes microseconds only when there are any, as Bitbucket does.
func timestamp(t time.Time) string {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

// Requests returns everything received so far, in order of arrival, requests
// for tokens included.
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	requests := make([]Request, 0, len(e.requests))
	for _, request := range e.requests {
		requests = append(requests, *request)
	}
	return requests
}

// ForgetRequests empties the request log, and lets MaxInFlight count anew.
func (e *Emulator) ForgetRequests() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
	e.traffic.maxInFlight = e.traffic.inFlight
}

// call is a request that was read completely, so that it can be carried out
// under the mutex without waiting for the network.
type call struct {
	*http.Request
	path string // path is the path as sent, before any unescaping.
	body []byte
}

// isAboutProjects tells whether c is for projects or what is on them.
func (c call) isProjectRequest() bool {
	return strings.HasPrefix(c.path, "/2.0/workspaces/")
}

// ServeHTTP answers a request as Bitbucket Cloud would, unless a fault says
// otherwise.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c := call{Request: r, path: sentPath(r.URL), body: body}
	if err != nil {
		e.log(c)
		panic(http.ErrAbortHandler) // The client is gone: nobody to answer.
	}
	e.enter()
	answer := e.handle(c)
	if answer.delivery == hanging {
		<-r.Context().Done()
	}
	e.leave() // Before the client can see the answer and send its next request.
	answer.send(w)
}

// sentPath is the path byte for byte: EscapedPath would repair one that was
// sent without the escapes it needs.
func sentPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// log keeps c, and returns its entry for the status to be added.
func (e *Emulator) log(c call) *Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	request := &Request{
		Method:        c.Method,
		Path:          c.path,
		Query:         c.URL.RawQuery,
		Body:          string(c.body),
		Authorization: c.Header.Get("Authorization"),
		UserAgent:     c.UserAgent(),
	}
	e.requests = append(e.requests, request)
	return request
}

// exchange logs c, carries it out unless the rate limit or a fault forbids it,
// and returns what to answer. The status is logged before the client can see
// the answer.
func (e *Emulator) handle(c call) reply {
	request := e.log(c)
	if !e.delay(c) {
		return reply{delivery: cut}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := e.decide(c)
	if e.traffic.nearLimit {
		answer.add(nearLimit)
	}
	answer.date(e.clock())
	if answer.delivery == whole || answer.delivery == truncated {
		request.Status = answer.status
	}
	return answer
}

// decide is the rate limit's answer, else a fault's, else the real one.
func (e *Emulator) decide(c call) reply {
	if answer, ok := e.checkRateLimit(); ok {
		return answer
	}
	if fault, ok := e.nextFault(c); ok {
		return fault.answer(func() reply { return e.carryOut(c) })
	}
	return e.carryOut(c)
}

// carryOut routes c by its path as sent, so that an escaped slash never makes
// two segments out of one.
func (e *Emulator) carryOut(c call) reply {
	switch {
	case c.path == tokenPath:
		return e.issueToken(c)
	case !strings.HasPrefix(c.path, "/2.0/"):
		return htmlNotFound()
	case strings.ContainsAny(c.path, "{}"):
		return routeNotFound()
	}
	segments := strings.Split(strings.TrimPrefix(c.path, "/2.0/"), "/")
	for i, segment := range segments {
		unescaped, err := url.PathUnescape(segment)
		if err != nil {
			return routeNotFound()
		}
		segments[i] = unescaped
	}
	switch collection, below := segments[0], segments[1:]; collection {
	case "repositories":
		return e.routeRepositories(c, below)
	case "workspaces":
		return e.routeProjects(c, below)
	}
	return routeNotFound()
}

// routeRepositories routes c by what is below /2.0/repositories.
func (e *Emulator) routeRepositories(c call, segments []string) reply {
	if len(segments) == 1 || len(segments) == 2 && segments[1] == "" {
		return e.repositories(c, segments[0])
	}
	if segments[0] == "" || segments[1] == "" {
		return routeNotFound()
	}
	if len(segments) == 2 {
		return e.repository(c, segments[0], segments[1])
	}
	switch segments[2] {
	case "deploy-keys":
		return e.routeDeployKeys(c, parentPath{workspace: segments[0], repository: segments[1]}, segments[3:])
	case "deployments":
		return e.routeDeployments(c, segments[0], segments[1], segments[3:])
	}
	return routeNotFound()
}

// routeProjects routes c by what is below /2.0/workspaces.
func (e *Emulator) routeProjects(c call, segments []string) reply {
	if len(segments) < 2 || segments[0] == "" || segments[1] != "projects" {
		return routeNotFound()
	}
	if len(segments) == 2 || len(segments) == 3 && segments[2] == "" {
		return e.projects(c, segments[0])
	}
	if len(segments) < 4 || segments[2] == "" || segments[3] != "deploy-keys" {
		return routeNotFound()
	}
	return e.routeDeployKeys(c, parentPath{workspace: segments[0], project: segments[2]}, segments[4:])
}

// routeDeployKeys routes c by what is below the deploy keys of a place.
func (e *Emulator) routeDeployKeys(c call, parent parentPath, segments []string) reply {
	if len(segments) == 0 || len(segments) == 1 && segments[0] == "" {
		return e.deployKeys(c, parent)
	}
	if len(segments) > 1 {
		return routeNotFound()
	}
	id, err := strconv.ParseUint(segments[0], 10, 63)
	if err != nil {
		return htmlNotFound()
	}
	return e.deployKey(c, parent, int64(id))
}
