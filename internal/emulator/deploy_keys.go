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
	if answer, ok := e.admit(c); !ok {
		return answer
	}
	at, repository, answer := e.find(workspace, slug)
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
	if answer, ok := e.admit(c); !ok {
		return answer
	}
	at, repository, answer := e.find(workspace, slug)
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

// find looks a repository up; without one, the reply is the 404 to give.
func (e *Emulator) find(workspace, slug string) (*Workspace, *Repository, reply) {
	at, repository := e.held.find(workspace, slug)
	switch {
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
	origin := c.origin()
	fullName := at.Slug + "/" + repository.Slug
	self := origin + "/2.0/repositories/" + fullName
	return keyBody{
		ID:        key.ID,
		Key:       key.Key,
		Label:     key.Label,
		Type:      "deploy_key",
		CreatedOn: key.CreatedOn,
		Repository: repositoryBody{
			Type:     "repository",
			FullName: fullName,
			Links: links{
				"self":   {self},
				"html":   {origin + "/" + fullName},
				"avatar": {origin + "/ravatar/" + url.PathEscape(repository.UUID) + "?ts=default"},
			},
			Name: repository.Name,
			UUID: repository.UUID,
		},
		Links:    links{"self": {self + "/deploy-keys/" + strconv.FormatInt(key.ID, 10)}},
		LastUsed: key.LastUsed,
		Comment:  key.Comment,
	}
}

// origin is the scheme and host that the client used.
func (c call) origin() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// page is a part of a list.
type page struct {
	Values  []keyBody `json:"values"`
	Pagelen int       `json:"pagelen"`
	Size    int       `json:"size"`
	Page    int       `json:"page"`
	Next    string    `json:"next,omitempty"`
}

// listKeys carries out a GET of a repository's keys.
func listKeys(c call, at *Workspace, repository *Repository) reply {
	query := c.URL.Query()
	pagelen, ok := positive(query, "pagelen", 10)
	if !ok || pagelen > 100 {
		return refusal(http.StatusBadRequest, "Invalid pagelen")
	}
	number, ok := positive(query, "page", 1)
	if !ok {
		return refusal(http.StatusBadRequest, "Invalid page")
	}
	list := page{Values: []keyBody{}, Pagelen: pagelen, Size: len(repository.DeployKeys), Page: number}
	full := list.Size / pagelen // Compared first: a huge number must not overflow.
	if number-1 <= full {
		start := (number - 1) * pagelen
		end := min(start+pagelen, list.Size)
		for _, key := range repository.DeployKeys[start:end] {
			list.Values = append(list.Values, represent(c, at, repository, key))
		}
		if end < list.Size {
			list.Next = c.next(query, number+1)
		}
	}
	return jsonReply(http.StatusOK, list)
}

// next is the link to another page. It keeps the path as it was sent, so that
// a workspace addressed by its uuid still is.
func (c call) next(query url.Values, number int) string {
	next := c.origin() + c.path + "?"
	if query.Has("pagelen") {
		next += "pagelen=" + url.QueryEscape(query.Get("pagelen")) + "&"
	}
	return next + "page=" + strconv.Itoa(number)
}

// positive reads a number from 1 from the query.
func positive(query url.Values, name string, standard int) (int, bool) {
	if !query.Has(name) {
		return standard, true
	}
	number, err := strconv.Atoi(query.Get(name))
	return number, err == nil && number > 0
}
