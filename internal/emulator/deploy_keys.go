package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// PUTBehavior is how a PUT of a deploy key is answered: what Atlassian
// documents is not what the live API does.
type PUTBehavior int

const (
	// PUTDocumented wants the same key, and changes label and comment.
	PUTDocumented PUTBehavior = iota
	// PUTLabelOnly refuses any key, and changes the label.
	PUTLabelOnly
	// PUTRefused refuses everything.
	PUTRefused
)

// SetPUT chooses how PUT is answered from now on.
func (e *Emulator) SetPUT(behavior PUTBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put = behavior
}

// keyInput is the body of POST and PUT; a member that is absent differs from
// one that is empty.
type keyInput struct {
	Key   *string `json:"key"`
	Label *string `json:"label"`
}

// place is where deploy keys are asked for: a repository or a project.
type place struct{ workspace, repository, project string }

// keyring is the deploy keys of a place, and the place as each of them embeds it.
type keyring struct {
	keys       *[]DeployKey
	repository *repositoryBody // repository is nil for those of a project.
	project    *projectBody    // project is nil for those of a repository.
}

// deployKeys answers requests for all keys of a place.
func (e *Emulator) deployKeys(c call, at place) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		return methodNotAllowed(http.MethodGet, http.MethodPost)
	}
	if answer, ok := e.admit(c, at.keyScopes(c.Method)); !ok {
		return answer
	}
	ring, answer := e.administered(c, at)
	switch {
	case ring == nil:
		return answer
	case c.Method == http.MethodPost:
		return e.addKey(c, ring)
	default:
		return ring.list(c)
	}
}

// deployKey answers requests for one key. Those of projects cannot be changed.
func (e *Emulator) deployKey(c call, at place, id int64) reply {
	methods := []string{http.MethodGet, http.MethodPut, http.MethodDelete}
	if at.project != "" {
		methods = []string{http.MethodGet, http.MethodDelete}
	}
	if !slices.Contains(methods, c.Method) {
		return methodNotAllowed(methods...)
	}
	if answer, ok := e.admit(c, at.keyScopes(c.Method)); !ok {
		return answer
	}
	ring, answer := e.administered(c, at)
	if ring == nil {
		return answer
	}
	keys := *ring.keys
	i := index(keys, id)
	switch {
	case i < 0:
		return keyNotFound()
	case c.Method == http.MethodDelete:
		*ring.keys = slices.Delete(keys, i, i+1)
		e.save()
		return reply{status: http.StatusNoContent}
	case c.Method == http.MethodPut:
		if answer, ok := e.updateKey(c, &keys[i]); !ok {
			return answer
		}
	}
	return jsonReply(http.StatusOK, ring.represent(keys[i]))
}

// administered looks up the keys of a place if they may be seen; without them,
// the reply is the 403 or 404 to give.
func (e *Emulator) administered(c call, at place) (*keyring, reply) {
	if at.project != "" {
		return e.administeredProject(c, at)
	}
	workspace, repository, answer := e.readable(at.workspace, at.repository)
	switch {
	case repository == nil:
		return nil, answer
	case repository.Permission != PermissionAdmin:
		return nil, notAdministrator()
	}
	inside := embed(c, workspace, repository)
	return &keyring{keys: &repository.DeployKeys, repository: &inside}, reply{}
}

// administeredProject is administered for projects.
func (e *Emulator) administeredProject(c call, at place) (*keyring, reply) {
	workspace, project := e.held.findProject(at.workspace, at.project)
	switch {
	case workspace == nil:
		return nil, workspaceNotFound(at.workspace)
	case project == nil:
		return nil, projectNotFound()
	case project.Permission != PermissionAdmin:
		return nil, notAdministrator()
	}
	inside := embedProject(c, workspace, project)
	return &keyring{keys: &project.DeployKeys, project: &inside}, reply{}
}

// addKey carries out a POST.
func (e *Emulator) addKey(c call, ring *keyring) reply {
	var input keyInput
	if err := json.Unmarshal(c.body, &input); err != nil {
		return badRequest()
	}
	if input.Key == nil {
		return e.keyInvalid()
	}
	material, comment, ok := parsePublicKey(*input.Key)
	if !ok {
		return e.keyInvalid()
	}
	if slices.ContainsFunc(*ring.keys, func(key DeployKey) bool { return key.Key == material }) {
		return e.keyTaken(ring.kind())
	}
	key := DeployKey{Key: material, Comment: comment}
	if input.Label != nil {
		key.Label = strings.TrimSpace(*input.Label)
	}
	added := ring.represent(e.add(ring.keys, key))
	if ring.project != nil {
		added.Links["self"] = link{added.Links["self"].Href + "/"} // Only here, as documented.
	}
	return jsonReply(http.StatusOK, added)
}

// add gives key its id and date, and keeps it with the others.
func (e *Emulator) add(keys *[]DeployKey, key DeployKey) DeployKey {
	key.ID, key.CreatedOn = e.nextID, e.now()
	e.nextID++
	*keys = append(*keys, key)
	e.save()
	return key
}

// updateKey carries out a PUT in the chosen way; when it cannot, the reply is
// the 400 to give.
func (e *Emulator) updateKey(c call, key *DeployKey) (reply, bool) {
	var input keyInput
	if err := json.Unmarshal(c.body, &input); err != nil {
		return badRequest(), false
	}
	comment := key.Comment
	switch {
	case e.put == PUTDocumented:
		if input.Key == nil {
			return e.keyInvalid(), false
		}
		// The same key is not judged again: it may be older than the rules.
		material, newComment := splitKey(*input.Key)
		if _, _, ok := parsePublicKey(*input.Key); !ok && material != key.Key {
			return e.keyInvalid(), false
		}
		if material != key.Key {
			return keyImmutable(), false
		}
		comment = newComment
	case input.Key != nil:
		return keyImmutable(), false
	case e.put == PUTRefused || input.Label == nil:
		return e.keyInvalid(), false
	}
	key.Comment = comment
	if input.Label != nil {
		key.Label = strings.TrimSpace(*input.Label)
	}
	e.save()
	return reply{}, true
}

// links are the hypermedia of an object, by their names.
type links map[string]link

// link is one of them.
type link struct {
	Href string `json:"href"`
}

// keyBody is a deploy key as the live API sends it, of a repository or a project.
type keyBody struct {
	ID         int64           `json:"id"`
	Key        string          `json:"key"`
	Label      string          `json:"label"`
	Type       string          `json:"type"`
	CreatedOn  string          `json:"created_on"`
	Repository *repositoryBody `json:"repository,omitempty"`
	Project    *projectBody    `json:"project,omitempty"`
	Links      links           `json:"links"`
	LastUsed   *string         `json:"last_used"`
	Comment    string          `json:"comment"`
}

// repositoryBody is a repository embedded in a deploy key.
type repositoryBody struct {
	Type     string `json:"type"`
	FullName string `json:"full_name"`
	Links    links  `json:"links"`
	Name     string `json:"name"`
	UUID     string `json:"uuid"`
}

// represent is one of the keys as the client sees it: all links lead to the host
// that was asked.
func (k *keyring) represent(key DeployKey) keyBody {
	body := keyBody{
		ID:         key.ID,
		Key:        key.Key,
		Label:      key.Label,
		CreatedOn:  key.CreatedOn,
		Repository: k.repository,
		Project:    k.project,
		LastUsed:   key.LastUsed,
		Comment:    key.Comment,
	}
	var place links
	if k.project != nil {
		body.Type, place = "project_deploy_key", k.project.Links
	} else {
		body.Type, place = "deploy_key", k.repository.Links
	}
	body.Links = links{"self": {place["self"].Href + "/deploy-keys/" + strconv.FormatInt(key.ID, 10)}}
	return body
}

// kind is what the keys are on, in a word.
func (k *keyring) kind() string {
	if k.project != nil {
		return "project"
	}
	return "repository"
}

// embed is repository as c sees it inside of something else.
func embed(c call, at *Workspace, repository *Repository) repositoryBody {
	origin := c.origin()
	fullName := at.Slug + "/" + repository.Slug
	return repositoryBody{
		Type:     "repository",
		FullName: fullName,
		Links: links{
			"self":   {origin + "/2.0/repositories/" + fullName},
			"html":   {origin + "/" + fullName},
			"avatar": {origin + "/ravatar/" + url.PathEscape(repository.UUID) + "?ts=default"},
		},
		Name: repository.Name,
		UUID: repository.UUID,
	}
}

// origin is the scheme and host that the client used.
func (c call) origin() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// list carries out a GET of all keys.
func (k *keyring) list(c call) reply {
	list, refused := paged(c, len(*k.keys), func(i int) keyBody { return k.represent((*k.keys)[i]) })
	if list == nil {
		return refused
	}
	return jsonReply(http.StatusOK, list)
}
