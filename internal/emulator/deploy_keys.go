package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// PUTBehavior selects the reply to a PUT of a deploy key. The live API behaves
// differently from Atlassian's documentation.
type PUTBehavior int

const (
	// PUTDocumented requires the same key, and changes its label and its comment.
	PUTDocumented PUTBehavior = iota
	// PUTLabelOnly rejects a body with a key, and otherwise changes the label.
	PUTLabelOnly
	// PUTRefused rejects every PUT.
	PUTRefused
)

// SetPUT selects the reply to each later PUT.
func (e *Emulator) SetPUT(behavior PUTBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.putBehavior = behavior
}

// keyInput is the body of POST and PUT. Its fields are pointers, because a missing
// field and an empty field have different effects.
type keyInput struct {
	Key   *string `json:"key"`
	Label *string `json:"label"`
}

// parentPath names the repository or the project that has the deploy keys. Either
// repository or project is empty.
type parentPath struct{ workspace, repository, project string }

// keyCollection holds the deploy keys of a repository or a project. It also holds
// the repository or project as each key embeds it.
type keyCollection struct {
	keys       *[]DeployKey
	repository *repositoryBody // repository is nil for the keys of a project.
	project    *projectBody    // project is nil for the keys of a repository.
}

// deployKeys answers requests for the deploy keys of parent.
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

// deployKey answers requests for one deploy key. Deploy keys of projects have no
// PUT.
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

// findKeys returns the deploy keys of parent. If parent does not exist, or if the
// credentials may not see its keys, it returns nil and the reply to send.
func (e *Emulator) findKeys(c call, parent parentPath) (*keyCollection, reply) {
	if parent.project != "" {
		return e.findProjectKeys(c, parent)
	}
	workspace, repository, answer := e.findRepository(c, parent.workspace, parent.repository)
	switch {
	case repository == nil:
		return nil, answer
	case repository.Permission != PermissionAdmin:
		return nil, forbidden()
	}
	body := newRepositoryBody(c, workspace, repository)
	return &keyCollection{keys: &repository.DeployKeys, repository: &body}, reply{}
}

// findProjectKeys is findKeys for projects.
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
	body := newProjectBody(c, workspace, project)
	return &keyCollection{keys: &project.DeployKeys, project: &body}, reply{}
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
		added.Links["self"] = link{added.Links["self"].Href + "/"} // The documented reply to POST has this slash; the reply to GET has none.
	}
	return jsonReply(http.StatusOK, added)
}

// add sets the ID and the creation date of key, and appends it to keys.
func (e *Emulator) add(keys *[]DeployKey, key DeployKey) DeployKey {
	key.ID, key.CreatedOn = e.nextID, e.now()
	e.nextID++
	*keys = append(*keys, key)
	e.save()
	return key
}

// updateKey carries out a PUT. If the PUT fails, it returns the error reply and
// false.
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
		// An unchanged key is not checked, because it may be older than the rules.
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

// links are the links of an object by name.
type links map[string]link

// link is one link of an object.
type link struct {
	Href string `json:"href"`
}

// keyBody is the JSON of a deploy key.
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

// repositoryBody is the JSON of a repository inside a deploy key.
type repositoryBody struct {
	Type     string `json:"type"`
	FullName string `json:"full_name"`
	Links    links  `json:"links"`
	Name     string `json:"name"`
	UUID     string `json:"uuid"`
}

// body returns the JSON of key.
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
	var parent links
	if k.project != nil {
		body.Type, parent = "project_deploy_key", k.project.Links
	} else {
		body.Type, parent = "deploy_key", k.repository.Links
	}
	body.Links = links{"self": {parent["self"].Href + "/deploy-keys/" + strconv.FormatInt(key.ID, 10)}}
	return body
}

// parentKind returns the word for the parent of the keys.
func (k *keyCollection) parentKind() string {
	if k.project != nil {
		return "project"
	}
	return "repository"
}

// newRepositoryBody returns the JSON of a repository of the workspace owner.
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

// origin returns the scheme and the host of the request. Links in the reply start
// with it, so that a client can follow them.
func (c call) origin() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// list answers a GET of the deploy keys.
func (k *keyCollection) list(c call) reply {
	list, answer := newPage(c, len(*k.keys), func(i int) keyBody { return k.body((*k.keys)[i]) })
	if list == nil {
		return answer
	}
	return jsonReply(http.StatusOK, list)
}
