package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Permission is the permission of the account on a repository or a project.
type Permission string

// The permissions have Bitbucket's names. With PermissionRead, an account sees the
// repository or project, but not its deploy keys.
const (
	PermissionAdmin Permission = "admin"
	PermissionRead  Permission = "read"
)

// fullRepositoryBody is the JSON of a repository that is not inside a deploy key.
// The live API sends more fields.
type fullRepositoryBody struct {
	repositoryBody
	Slug      string      `json:"slug"`
	SCM       string      `json:"scm"`
	IsPrivate bool        `json:"is_private"`
	CreatedOn string      `json:"created_on"`
	Project   projectBody `json:"project"`
}

// newFullRepositoryBody returns the JSON of a repository of the workspace owner.
func newFullRepositoryBody(c call, owner *Workspace, repository *Repository) fullRepositoryBody {
	return fullRepositoryBody{
		repositoryBody: newRepositoryBody(c, owner, repository),
		Slug:           repository.Slug,
		SCM:            "git",
		IsPrivate:      !repository.Public,
		CreatedOn:      repository.CreatedOn,
		Project:        newProjectBody(c, owner, owner.project(repository.Project)),
	}
}

// repositoryInput is the body of POST and PUT. A missing field has no effect on an
// existing repository.
type repositoryInput struct {
	Name      *string `json:"name"`
	IsPrivate *bool   `json:"is_private"`
	Project   *struct {
		Key  string `json:"key"` // Key is the key or the UUID of the project.
		UUID string `json:"uuid"`
	} `json:"project"`
}

// repositoryMethodScopes returns the scopes that a method on a repository requires.
func repositoryMethodScopes(method string) scopes {
	switch method {
	case http.MethodPost, http.MethodPut:
		return operationScopes("admin:repository:bitbucket", "repository:admin")
	case http.MethodDelete:
		return operationScopes("delete:repository:bitbucket", "repository:delete")
	default:
		return operationScopes("read:repository:bitbucket", "repository")
	}
}

// repositories answers a GET of the repositories of a workspace.
func (e *Emulator) repositories(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, repositoryMethodScopes(c.Method)); !ok {
		return answer
	}
	owner := e.state.findWorkspace(workspace)
	if owner == nil {
		return workspaceNotFound(workspace)
	}
	matches, answer := newRepositoryFilter(c.URL.Query().Get("q"))
	if matches == nil {
		return answer
	}
	var matching []*Repository
	for i := range owner.Repositories {
		if repository := &owner.Repositories[i]; matches(repository) {
			matching = append(matching, repository)
		}
	}
	list, answer := newPage(c, len(matching), func(i int) fullRepositoryBody { return newFullRepositoryBody(c, owner, matching[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}

// filterPattern matches the only supported forms of the parameter q: field = "value" and
// field ~ "text".
var filterPattern = regexp.MustCompile(`^\s*([a-z_.]+)\s*([=~])\s*"([^"]*)"\s*$`)

// newRepositoryFilter returns the filter that the parameter q describes. If q is not
// supported, it returns nil and the error reply.
func newRepositoryFilter(q string) (func(*Repository) bool, reply) {
	if q == "" {
		return func(*Repository) bool { return true }, reply{}
	}
	query := filterPattern.FindStringSubmatch(q)
	if query == nil {
		return nil, badRequest()
	}
	field, value := query[1], query[3]
	var valueOf func(*Repository) string
	switch field {
	case "project.key":
		valueOf = func(r *Repository) string { return r.Project }
	case "name":
		valueOf = func(r *Repository) string { return r.Name }
	default:
		return nil, errorMessage(http.StatusBadRequest, fmt.Sprintf("Field %q does not support filtering", field))
	}
	if query[2] == "~" {
		text := strings.ToLower(value)
		return func(r *Repository) bool { return strings.Contains(strings.ToLower(valueOf(r)), text) }, reply{}
	}
	return func(r *Repository) bool { return valueOf(r) == value }, reply{}
}

// repository answers requests for one repository. Both POST and PUT create a repository
// that does not exist.
func (e *Emulator) repository(c call, workspace, slug string) reply {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}
	if !slices.Contains(methods, c.Method) {
		return methodNotAllowed(methods...)
	}
	if answer, ok := e.authorize(c, repositoryMethodScopes(c.Method)); !ok {
		return answer
	}
	if c.Method == http.MethodPost {
		return e.createRepository(c, workspace, slug, http.StatusOK)
	}
	owner, found, answer := e.findRepository(c, workspace, slug)
	switch {
	case found == nil && c.Method == http.MethodPut:
		return e.createRepository(c, workspace, slug, http.StatusCreated)
	case found == nil:
		return answer
	case c.Method == http.MethodGet:
		return partialReply(c, newFullRepositoryBody(c, owner, found))
	case found.Permission != PermissionAdmin:
		return forbidden()
	case c.Method == http.MethodPut:
		return e.updateRepository(c, owner, found)
	}
	owner.removeRepository(found)
	e.save()
	return reply{status: http.StatusNoContent}
}

// slugPattern matches the slugs that Bitbucket accepts for a new repository.
var slugPattern = regexp.MustCompile(`^[a-z0-9_.-]{1,62}$`)

// notInSlug matches the text that Bitbucket replaces with a dash in a slug.
var notInSlug = regexp.MustCompile(`[^a-z0-9_.]+`)

// slugify returns the slug that follows from a name.
func slugify(name string) string {
	return strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// createRepository creates a repository, and answers with status. The slug is the slug in
// the path, whatever the name is.
func (e *Emulator) createRepository(c call, workspace, slug string, status int) reply {
	owner := e.state.findWorkspace(workspace)
	if owner == nil {
		return workspaceNotFound(workspace)
	}
	var input repositoryInput
	if !c.decode(&input) {
		return badRequest()
	}
	if !slugPattern.MatchString(slug) {
		return slugInvalid()
	}
	if owner.repository(slug) != nil {
		return slugTaken()
	}
	added := Repository{Slug: slug}
	if answer, ok := added.update(owner, input); !ok {
		return answer
	}
	body := newFullRepositoryBody(c, owner, e.addRepository(owner, added))
	answer := jsonReply(status, body)
	if status == http.StatusCreated {
		answer.locate(body.Links)
	}
	return answer
}

// updateRepository carries out a PUT of an existing repository. A changed name also
// changes the slug.
func (e *Emulator) updateRepository(c call, owner *Workspace, repository *Repository) reply {
	var input repositoryInput
	if !c.decode(&input) {
		return badRequest()
	}
	changed := repository.clone()
	if answer, ok := changed.update(owner, input); !ok {
		return answer
	}
	renamed := changed.Name != repository.Name
	if renamed {
		slug := slugify(changed.Name)
		if !slugPattern.MatchString(slug) {
			return slugInvalid()
		}
		if other := owner.repository(slug); other != nil && other != repository {
			return slugTaken()
		}
		changed.rename(owner, changed.Name, slug)
	}
	*repository = changed
	e.save()
	body := newFullRepositoryBody(c, owner, repository)
	answer := jsonReply(http.StatusOK, body)
	if renamed {
		answer.locate(body.Links)
	}
	return answer
}

// update sets the fields of r that input has, except for the slug. If the project cannot
// have the repository, update returns the error reply and false.
func (r *Repository) update(owner *Workspace, input repositoryInput) (reply, bool) {
	key := r.Project
	switch {
	case input.Project != nil:
		project := owner.projectByKeyOrUUID(cmp.Or(input.Project.Key, input.Project.UUID))
		if project == nil {
			return invalidField("project", "Project not found"), false
		}
		key = project.Key
	case key == "" && len(owner.Projects) > 0:
		key = owner.Projects[0].Key // A new repository joins the oldest project.
	}
	if key != r.Project && owner.project(key).Permission != PermissionAdmin {
		return projectNotOpen(), false
	}
	r.Project = key
	if input.Name != nil {
		r.Name = *input.Name
	}
	if input.IsPrivate != nil {
		r.Public = !*input.IsPrivate
	}
	return reply{}, true
}

// addRepository adds a repository to the workspace owner, and returns it with its
// defaults.
func (e *Emulator) addRepository(owner *Workspace, repository Repository) *Repository {
	owner.Repositories = append(owner.Repositories, repository)
	e.nextID = e.state.complete(e.nextID, e.now())
	e.save()
	return &owner.Repositories[len(owner.Repositories)-1]
}

// removeRepository removes a repository of w.
func (w *Workspace) removeRepository(repository *Repository) {
	uuid := repository.UUID // DeleteFunc overwrites the memory of repository.
	w.Repositories = slices.DeleteFunc(w.Repositories, func(r Repository) bool { return r.UUID == uuid })
}

// findRepository returns the repository in the path of c, and its workspace. If the
// repository does not exist, it returns nil and the error reply or a redirect.
func (e *Emulator) findRepository(c call, workspace, slug string) (*Workspace, *Repository, reply) {
	owner, found := e.state.findRepository(workspace, slug)
	switch {
	case found != nil:
		return owner, found, reply{}
	case owner == nil && workspace != anyWorkspace:
		return nil, nil, workspaceNotFound(workspace)
	}
	if e.renameBehavior == RenameRedirect && c.Method == http.MethodGet {
		if owner, renamed := e.state.findRenamed(workspace, slug); renamed != nil {
			return nil, nil, c.redirect(owner, renamed)
		}
	}
	return nil, nil, repositoryNotFound()
}
