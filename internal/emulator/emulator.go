// Package emulator imitates the deploy-key API of Bitbucket Cloud in memory, as an
// [http.Handler]. It also imitates what a test of this API needs: repositories,
// projects, deployments and environments. The tests run the provider against it, and
// need no account.
//
// The package shares no type with the provider's client. A wrong JSON name in
// either of them therefore fails a test.
//
// Most of the emulated behavior is documented by Atlassian or was observed on the
// live API. The rest is assumed.
//
// Documented by Atlassian:
//   - The endpoints and the fields of a deploy key. Bitbucket splits the comment
//     off the key. Deploy keys of projects have no PUT.
//   - POST and PUT of a deploy key answer 200, and DELETE answers 204.
//   - Several repositories or projects may have the same key. PUT requires the
//     same key, and changes its label and its comment ([PUTDocumented]).
//   - A path names a workspace or a repository by slug or by {UUID}. The workspace
//     %7B%7D stands for any workspace, if the repository is given by UUID. A path
//     names a project by its key.
//   - The page envelope. pagelen is 10 by default and at most 100.
//   - The list of the repositories that the account can read in a workspace. q
//     accepts filters with = and ~, such as project.key = "…" and name ~ "…". fields
//     selects the fields of the reply.
//   - POST creates a repository with the slug in the path, and answers 200. It names
//     the project by its key or its UUID. The default is the oldest project.
//   - PUT updates a repository and answers 200, or creates it and answers 201. A
//     changed name also changes the slug, unless another repository has it. DELETE
//     answers 204.
//   - POST creates a project and answers 201. PUT updates a project or its key, or
//     creates a project. DELETE answers 204, or 403 if the project has repositories.
//   - The header Location after a creation with 201, and after a rename.
//   - The self link ends in a slash in the reply to the POST of a project's key.
//   - The deployments of a repository, and the names of their fields.
//   - The environments of a repository: GET, POST with 201 or 409, DELETE with 204,
//     and POST of changes with 202.
//   - The scopes that each operation requires. Access tokens cannot change the
//     deploy keys of repositories.
//   - The accepted key types. An RSA key needs at least 2048 bits.
//   - The headers X-RateLimit-Limit and X-RateLimit-NearLimit. The emulator sends
//     them after [Emulator.SetNearLimit].
//   - The host keys of bitbucket.org, which need no credentials. Git over SSH moves
//     to ssh.bitbucket.org by November 12, 2026 ([Emulator.SetHostKeys]).
//
// Observed on the live API:
//   - The bodies of 401, 403, 404 (for a repository, a workspace and an unknown
//     path) and 429.
//   - Paths accept slugs in any case. full_name is in lower case. A path with
//     unescaped braces gets a 404.
//   - The list of deploy keys accepts a trailing slash. Unknown fields in a body
//     are ignored.
//   - The error texts for a duplicate key and for a changed key. PUT is
//     rejected ([PUTRefused]).
//   - Replies name the kind and the scopes of their credentials, in the headers
//     X-Credential-Type and X-OAuth-Scopes ([Emulator.SetCredentialHeaders]).
//   - The form of id and created_on. last_used can be null, and comment can be "".
//   - The errors "Invalid pagelen" and "Invalid page". A malformed ID gets a 404
//     in HTML.
//   - The error text for a field that does not support filtering. The link to the
//     next page keeps pagelen.
//   - The link to the next page can name an internal host, and can repeat the number
//     of its page ([NextLinks]). Behind a proxy, it names api.bitbucket.org.
//   - Deployments differ from the documentation ([DeploymentBehavior]): their
//     fields have other names, their list ends in a slash, it accepts the filters
//     environment and state.name, it accepts two values of sort and rejects all
//     other values, and a repository without deployments gets a 404. A status can
//     be null.
//   - The errors for a new repository: its slug is not in lower case or has other
//     characters, another repository has the slug, or its project is restricted.
//   - The errors for a new project: its key has other characters, or another project
//     has the key. A lower-case key is accepted.
//   - A name becomes a slug in lower case, with one dash for other characters in a row.
//   - A request for a moved repository is redirected ([RenameRedirect]), as one client
//     reports.
//   - The fields of an environment, and the body of its changes. A change of another
//     field than name and restrictions is rejected. The list of environments ends in
//     a slash. A new repository has no environments, as the tests of another client
//     expect. Bitbucket adds Test, Staging and Production when somebody enables
//     pipelines, which the emulator does not imitate.
//
// Assumed, because no source describes it:
//   - The order of the host keys, and their Content-Type. The page counts towards the
//     rate limit. It names only bitbucket.org. No source describes whether it also names
//     ssh.bitbucket.org since the move, and with which keys.
//   - The replies to an unknown ID, a wrong method, a body that is not JSON and a
//     bad gateway; the HTML of pages; the text "Invalid SSH key.".
//   - Unescaped braces get the 404 of an unknown path.
//   - Access tokens can read deploy keys, and can change the deploy keys of
//     projects.
//   - Deploy keys of projects follow the rules and the texts of repositories. The
//     error for a duplicate key says "project". Both kinds of keys share one
//     counter of IDs, and trailing slashes work the same way.
//   - The error "Project not found", also for requests without credentials. The
//     key of a project is case-sensitive in a path, and in upper case after a POST.
//   - Requests without credentials get a 404, also if a 401 is documented.
//   - A body is read as JSON, whatever its Content-Type is. An empty body creates a
//     repository.
//   - A slug has at most 62 characters, and the key of a project has at most 128
//     characters. New repositories and projects are private.
//   - The first repository of a workspace without projects gets the project PROJ.
//   - The errors for an unknown project in a body, for a missing field of a project
//     and for a project with repositories. scm is ignored.
//   - [PermissionRead] does not allow changes of a repository, a project or an
//     environment, and no new repositories in a project.
//   - The names of environments differ in more than their case. An environment needs
//     a type, and its rank is the rank of its type. A closed lock has the type
//     deployment_environment_lock_locked and the name LOCKED. Changes take effect at
//     once. [SlashRule] also applies to environments. A repository without environments
//     gets a 404 if [DeploymentBehavior] selects it. The texts of the errors.
//   - The 400 for an invalid key has the form of the 400 for a duplicate key. The
//     400 for a changed key has the standard envelope.
//   - A PUT of the key without a comment removes the comment.
//   - Labels are trimmed, and "" by default. Comments may contain spaces.
//   - Certificates and sk-* keys are rejected. The bytes of other keys are mostly
//     not checked.
//   - pagelen 0 is rejected. A page after the last page is empty.
//   - Scopes are checked before the repository is looked up.
//   - The list of repositories requires read:repository:bitbucket, and
//     admin:repository:bitbucket does not include it. The scopes of projects work
//     the same way.
//   - Repositories and projects are listed in the order of their creation. The
//     link to the next page keeps q and fields.
//   - Other filters get a 400, also if Bitbucket supports them. Bitbucket ignores
//     sort, role, fields with + or -, and q for projects.
//   - The error "Forbidden" for the deploy keys of a repository or a project that
//     the account can only read ([PermissionRead]).
//   - The reply to wrong credentials of an OAuth consumer. The token of an OAuth
//     consumer can change deploy keys.
//   - A request for a renamed repository gets a 404 ([RenameNotFound]). A redirect has
//     the status 301, and only a GET gets it. A request for a renamed project is never
//     redirected.
//   - A sort puts the deployments that have not started at the end. Without a sort,
//     deployments are listed in the order of their creation. The body of the 404
//     for an unknown deployment.
//   - The Date of a reply and created_on come from the same clock.
//   - When the rate limit is used up, all requests are rejected, including
//     requests for tokens.
//   - [PUTLabelOnly], a PUT without the key. Nobody has observed it.
//
// A test can also request failures: faults ([Emulator.Inject]), slow replies
// ([Emulator.SetLatency]) and a rate limit ([Emulator.SetRateLimit]).
package emulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Emulator is an independent instance of Bitbucket Cloud. It is safe for
// concurrent use.
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
	renameBehavior     RenameBehavior
	nextLinks          NextLinks
	hostKeys           string
	statePath          string
	saveErr            error
	changed            chan struct{} // changed is closed at the next change. It is nil while no caller waits.
}

// Request records a received request, so that a test can check what a client
// sent.
type Request struct {
	Method        string
	Path          string // Path is the path exactly as sent, with its escapes.
	Query         string
	Body          string
	Authorization string
	UserAgent     string
	Status        int // Status is the status of the reply, or 0 if no reply was sent.
}

// firstID is about as large as the IDs that Bitbucket assigned in 2026. A test
// therefore fails if a client stores an ID in a 16-bit or float32 type.
const firstID = 10958984

// New returns an emulator with the content of seed. It accepts any credentials
// until a method such as [Emulator.AllowBasic] restricts them.
func New(seed Seed) *Emulator {
	e := &Emulator{state: seed.clone(), clock: time.Now, access: newAccess(), hostKeys: HostKeys}
	e.nextID = e.state.complete(firstID, e.now())
	return e
}

// SetClock replaces the clock of the emulator. The clock dates new keys and
// replies, and expires tokens. It may differ from the client's clock, as
// Bitbucket's clock may.
func (e *Emulator) SetClock(clock func() time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clock = clock
}

// now returns the time in Bitbucket's format.
func (e *Emulator) now() string {
	return timestamp(e.clock())
}

// timestamp formats t as Bitbucket does. It omits the microseconds if they are
// zero.
func timestamp(t time.Time) string {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

// Requests returns all received requests in the order of their arrival, including
// requests for tokens.
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	requests := make([]Request, 0, len(e.requests))
	for _, request := range e.requests {
		requests = append(requests, *request)
	}
	return requests
}

// ForgetRequests empties the request log and resets MaxInFlight.
func (e *Emulator) ForgetRequests() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
	e.traffic.maxInFlight = e.traffic.inFlight
}

// call is a request whose body was read completely. The emulator can therefore
// carry it out under the mutex without waiting for the network.
type call struct {
	*http.Request
	path      string // path is the path exactly as sent, with its escapes.
	body      []byte
	nextLinks NextLinks
}

// decode decodes the body into input, and reports whether the body is valid. An empty body
// is the same as {}.
func (c call) decode(input any) bool {
	return len(c.body) == 0 || json.Unmarshal(c.body, input) == nil
}

// isProjectRequest reports whether c is for projects or for their deploy keys.
func (c call) isProjectRequest() bool {
	return strings.HasPrefix(c.path, "/2.0/workspaces/")
}

// ServeHTTP answers a request as Bitbucket Cloud would, or with an injected fault.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c := call{Request: r, path: sentPath(r.URL), body: body}
	if err != nil {
		e.log(c)
		panic(http.ErrAbortHandler) // The client has gone, so a reply is useless.
	}
	e.enter()
	answer := e.handle(c)
	if answer.delivery == hanging {
		<-r.Context().Done()
	}
	e.leave() // Called before the reply is sent, because the client may then send its next request at once.
	answer.send(w)
}

// sentPath returns the path exactly as sent. EscapedPath alone would add missing
// escapes.
func sentPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// log adds c to the request log. It returns the new entry, so that the caller can
// set the status.
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
	e.announce()
	return request
}

// handle logs c and returns the reply. It sets the status in the log before the
// client can see the reply, so that a test can check the log right after a request.
func (e *Emulator) handle(c call) reply {
	request := e.log(c)
	if !e.delay(c) {
		return reply{delivery: cut}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.announce()
	c.nextLinks = e.nextLinks
	answer := e.decide(c)
	if e.traffic.nearLimit {
		answer.add(nearLimit)
	}
	e.describeCredentials(c, &answer)
	answer.date(e.clock())
	if answer.delivery == whole || answer.delivery == truncated {
		request.Status = answer.status
	}
	return answer
}

// decide returns the reply of the rate limit if the limit is used up. Otherwise it
// returns the reply of the first matching fault. Without such a fault it carries
// out c.
func (e *Emulator) decide(c call) reply {
	if answer, ok := e.checkRateLimit(); ok {
		return answer
	}
	if fault, ok := e.nextFault(c); ok {
		return fault.answer(func() reply { return e.carryOut(c) })
	}
	return e.carryOut(c)
}

// carryOut routes c by its path. It splits the path before it unescapes the
// segments, so that an escaped slash does not split a segment.
func (e *Emulator) carryOut(c call) reply {
	switch {
	case c.path == tokenPath:
		return e.issueToken(c)
	case c.path == hostKeysPath:
		return e.listHostKeys(c)
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
	switch segments[0] {
	case "repositories":
		return e.routeRepositories(c, segments[1:])
	case "workspaces":
		return e.routeProjects(c, segments[1:])
	}
	return routeNotFound()
}

// routeRepositories routes c by the segments after /2.0/repositories.
func (e *Emulator) routeRepositories(c call, segments []string) reply {
	if len(segments) == 0 {
		return routeNotFound() // The emulator does not list the repositories of all workspaces.
	}
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
	case "environments":
		return e.routeEnvironments(c, segments[0], segments[1], segments[3:])
	}
	return routeNotFound()
}

// routeProjects routes c by the segments after /2.0/workspaces.
func (e *Emulator) routeProjects(c call, segments []string) reply {
	if len(segments) < 2 || segments[0] == "" || segments[1] != "projects" {
		return routeNotFound()
	}
	if len(segments) == 2 || len(segments) == 3 && segments[2] == "" {
		return e.projects(c, segments[0])
	}
	if segments[2] == "" {
		return routeNotFound()
	}
	if len(segments) == 3 {
		return e.project(c, segments[0], segments[2])
	}
	if segments[3] != "deploy-keys" {
		return routeNotFound()
	}
	return e.routeDeployKeys(c, parentPath{workspace: segments[0], project: segments[2]}, segments[4:])
}

// routeDeployKeys routes c by the segments after deploy-keys.
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
