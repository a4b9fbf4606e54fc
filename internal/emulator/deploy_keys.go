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

// deployKeys answers requests for a repository's keys.
func (e *Emulator) deployKeys(c call, workspace, slug string) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		return methodNotAllowed(http.MethodGet, http.MethodPost)
	}
	if answer, ok := e.admit(c, keyScopes(c.Method)); !ok {
		return answer
	}
	at, repository, answer := e.administered(workspace, slug)
	switch {
	case repository == nil:
		return answer
	case c.Method == http.MethodPost:
		return e.addKey(c, at, repository)
	default:
		return listKeys(c, at, repository)
	}
}

// deployKey answers requests for one key.
func (e *Emulator) deployKey(c call, workspace, slug string, id int64) reply {
	switch c.Method {
	case http.MethodGet, http.MethodPut, http.MethodDelete:
	default:
		return methodNotAllowed(http.MethodGet, http.MethodPut, http.MethodDelete)
	}
	if answer, ok := e.admit(c, keyScopes(c.Method)); !ok {
		return answer
	}
	at, repository, answer := e.administered(workspace, slug)
	if repository == nil {
		return answer
	}
	i := repository.index(id)
	switch {
	case i < 0:
		return keyNotFound()
	case c.Method == http.MethodDelete:
		repository.DeployKeys = slices.Delete(repository.DeployKeys, i, i+1)
		e.save()
		return reply{status: http.StatusNoContent}
	case c.Method == http.MethodPut:
		if answer, ok := e.updateKey(c, &repository.DeployKeys[i]); !ok {
			return answer
		}
	}
	return jsonReply(http.StatusOK, represent(c, at, repository, repository.DeployKeys[i]))
}

// administered looks up a repository whose keys may be seen; without one, the
// reply is the 403 or 404 to give.
func (e *Emulator) administered(workspace, slug string) (*Workspace, *Repository, reply) {
	at, repository := e.held.find(workspace, slug)
	switch {
	case repository != nil && repository.Permission != PermissionAdmin:
		return nil, nil, notAdministrator()
	case repository != nil:
		return at, repository, reply{}
	case at == nil && workspace != anyWorkspace:
		return nil, nil, workspaceNotFound(workspace)
	default:
		return nil, nil, repositoryNotFound()
	}
}

// addKey carries out a POST.
func (e *Emulator) addKey(c call, at *Workspace, repository *Repository) reply {
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
	if slices.ContainsFunc(repository.DeployKeys, func(key DeployKey) bool { return key.Key == material }) {
		return e.keyTaken()
	}
	key := DeployKey{Key: material, Comment: comment}
	if input.Label != nil {
		key.Label = strings.TrimSpace(*input.Label)
	}
	return jsonReply(http.StatusOK, represent(c, at, repository, e.add(repository, key)))
}

// add gives key its id and date, and keeps it.
func (e *Emulator) add(repository *Repository, key DeployKey) DeployKey {
	key.ID, key.CreatedOn = e.nextID, e.now()
	e.nextID++
	repository.DeployKeys = append(repository.DeployKeys, key)
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

// keyBody is a deploy key as the live API sends it.
type keyBody struct {
	ID         int64          `json:"id"`
	Key        string         `json:"key"`
	Label      string         `json:"label"`
	Type       string         `json:"type"`
	CreatedOn  string         `json:"created_on"`
	Repository repositoryBody `json:"repository"`
	Links      links          `json:"links"`
	LastUsed   *string        `json:"last_used"`
	Comment    string         `json:"comment"`
}

// repositoryBody is a repository embedded in a deploy key.
type repositoryBody struct {
	Type     string `json:"type"`
	FullName string `json:"full_name"`
	Links    links  `json:"links"`
	Name     string `json:"name"`
	UUID     string `json:"uuid"`
}

// represent is key as c sees it: all links lead to the host that was asked.
func represent(c call, at *Workspace, repository *Repository, key DeployKey) keyBody {
	inside := embed(c, at, repository)
	return keyBody{
		ID:         key.ID,
		Key:        key.Key,
		Label:      key.Label,
		Type:       "deploy_key",
		CreatedOn:  key.CreatedOn,
		Repository: inside,
		Links:      links{"self": {inside.Links["self"].Href + "/deploy-keys/" + strconv.FormatInt(key.ID, 10)}},
		LastUsed:   key.LastUsed,
		Comment:    key.Comment,
	}
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

// listKeys carries out a GET of a repository's keys.
func listKeys(c call, at *Workspace, repository *Repository) reply {
	list, refused := paged(c, len(repository.DeployKeys), func(i int) keyBody {
		return represent(c, at, repository, repository.DeployKeys[i])
	})
	if list == nil {
		return refused
	}
	return jsonReply(http.StatusOK, list)
}
