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
	e.putBehavior = behavior
}

// keyInput is the body of POST and PUT; a member that is absent differs from
// one that is empty.
type keyInput struct {
	Key   *string `json:"key"`
	Label *string `json:"label"`
}

// place is where deploy keys are asked for: a repository or a project.
type parentPath struct{ workspace, repository, project string }

// keyring is the deploy keys of a place, and the place as each of them embeds it.
type keyCollection struct {
	keys       *[]DeployKey
	repository *repositoryBody // repository is nil for those of a project.
	project    *projectBody    // project is nil for those of a repository.
}

// deployKeys answers requests for all keys of a place.
func (e *Emulator) deployKeys(c call, parent parentPath) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		return methodNotAllowed(http.MethodGet, http.MethodPost)
	}
	if answer, ok := e.authorize(c, parent.keyScopes(c.Method)); !ok {
		return answer
	}
	collection, answer := e.findKeys(c, parent)
	switch {
	case collection == nil:
		return answer
	case c.Method == http.MethodPost:
		return e.addKey(c, collection)
	default:
		return collection.list(c)
	}
}

// deployKey answers requests for one key. Those of projects cannot be changed.
func (e *Emulator) deployKey(c call, parent parentPath, id int64) reply {
	methods := []string{http.MethodGet, http.MethodPut, http.MethodDelete}
	if parent.project != "" {
		methods = []string{http.MethodGet, http.MethodDelete}
	}
	if !slices.Contains(methods, c.Method) {
		return methodNotAllowed(methods...)
	}
	if answer, ok := e.authorize(c, parent.keyScopes(c.Method)); !ok {
		return answer
	}
	collection, answer := e.findKeys(c, parent)
	if collection == nil {
		return answer
	}
	keys := *collection.keys
	i := indexOfKey(keys, id)
	switch {
	case i < 0:
		return keyNotFound()
	case c.Method == http.MethodDelete:
		*collection.keys = slices.Delete(keys, i, i+1)
		e.save()
		return reply{status: http.StatusNoContent}
	case c.Method == http.MethodPut:
		if answer, ok := e.updateKey(c, &keys[i]); !ok {
			return answer
		}
	}
	return jsonReply(http.StatusOK, collection.body(keys[i]))
}

// administered looks up the keys of a place if they may be seen; without them,
// the reply is the 403 or 404 to give.
func (e *Emulator) findKeys(c call, parent parentPath) (*keyCollection, reply) {
	if parent.project != "" {
		return e.findProjectKeys(c, parent)
	}
	workspace, repository, answer := e.findRepository(parent.workspace, parent.repository)
	switch {
	case repository == nil:
		return nil, answer
	case repository.Permission != PermissionAdmin:
		return nil, forbidden()
	}
	inside := newRepositoryBody(c, workspace, repository)
	return &keyCollection{keys: &repository.DeployKeys, repository: &inside}, reply{}
}

// administeredProject is administered for projects.
func (e *Emulator) findProjectKeys(c call, parent parentPath) (*keyCollection, reply) {
	workspace, project := e.state.findProject(parent.workspace, parent.project)
	switch {
	case workspace == nil:
		return nil, workspaceNotFound(parent.workspace)
	case project == nil:
		return nil, projectNotFound()
	case project.Permission != PermissionAdmin:
		return nil, forbidden()
	}
	inside := newProjectBody(c, workspace, project)
	return &keyCollection{keys: &project.DeployKeys, project: &inside}, reply{}
}

// addKey carries out a POST.
func (e *Emulator) addKey(c call, collection *keyCollection) reply {
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
	if slices.ContainsFunc(*collection.keys, func(key DeployKey) bool { return key.Key == material }) {
		return e.keyTaken(collection.parentKind())
	}
	key := DeployKey{Key: material, Comment: comment}
	if input.Label != nil {
		key.Label = strings.TrimSpace(*input.Label)
	}
	added := collection.body(e.add(collection.keys, key))
	if collection.project != nil {
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
	case e.putBehavior == PUTDocumented:
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
	case e.putBehavior == PUTRefused || input.Label == nil:
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
func (k *keyCollection) body(key DeployKey) keyBody {
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
func (k *keyCollection) parentKind() string {
	if k.project != nil {
		return "project"
	}
	return "repository"
}

// embed is repository as c sees it inside of something else.
func newRepositoryBody(c call, owner *Workspace, repository *Repository) repositoryBody {
	origin := c.origin()
	fullName := owner.Slug + "/" + repository.Slug
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
func (k *keyCollection) list(c call) reply {
	list, answer := newPage(c, len(*k.keys), func(i int) keyBody { return k.body((*k.keys)[i]) })
	if list == nil {
		return answer
	}
	return jsonReply(http.StatusOK, list)
}
