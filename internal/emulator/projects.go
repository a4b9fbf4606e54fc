package emulator

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// projectBody is the JSON of a project inside a repository or a deploy key.
type projectBody struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	Links links  `json:"links"`
}

// newProjectBody returns the JSON of a project of the workspace owner.
func newProjectBody(c call, owner *Workspace, project *Project) projectBody {
	return projectBody{
		Type:  "project",
		Key:   project.Key,
		Name:  project.Name,
		UUID:  project.UUID,
		Links: links{"self": {c.origin() + "/2.0/workspaces/" + owner.Slug + "/projects/" + url.PathEscape(project.Key)}},
	}
}

// fullProjectBody is the JSON of a project that is not inside another object. The live
// API sends more fields.
type fullProjectBody struct {
	projectBody
	IsPrivate bool   `json:"is_private"`
	CreatedOn string `json:"created_on"`
}

// newFullProjectBody returns the JSON of a project of the workspace owner.
func newFullProjectBody(c call, owner *Workspace, project *Project) fullProjectBody {
	return fullProjectBody{newProjectBody(c, owner, project), !project.Public, project.CreatedOn}
}

// projectInput is the body of POST and PUT. A missing field has no effect on an existing
// project.
type projectInput struct {
	Key       *string `json:"key"`
	Name      *string `json:"name"`
	IsPrivate *bool   `json:"is_private"`
}

// projectMethodScopes returns the scopes that a method on projects requires.
func projectMethodScopes(method string) scopes {
	if method == http.MethodGet {
		return operationScopes("read:project:bitbucket", "project")
	}
	return operationScopes("admin:project:bitbucket", "project:admin")
}

// projects answers requests for the projects of a workspace.
func (e *Emulator) projects(c call, workspace string) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		return methodNotAllowed(http.MethodGet, http.MethodPost)
	}
	if answer, ok := e.authorize(c, projectMethodScopes(c.Method)); !ok {
		return answer
	}
	owner := e.state.findWorkspace(workspace)
	switch {
	case owner == nil:
		return workspaceNotFound(workspace)
	case c.Method == http.MethodPost:
		return e.createProject(c, owner, "")
	}
	list, answer := newPage(c, len(owner.Projects), func(i int) fullProjectBody { return newFullProjectBody(c, owner, &owner.Projects[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}

// project answers requests for one project. A PUT creates a project that does not exist.
func (e *Emulator) project(c call, workspace, key string) reply {
	methods := []string{http.MethodGet, http.MethodPut, http.MethodDelete}
	if !slices.Contains(methods, c.Method) {
		return methodNotAllowed(methods...)
	}
	if answer, ok := e.authorize(c, projectMethodScopes(c.Method)); !ok {
		return answer
	}
	owner, found := e.state.findProject(workspace, key)
	switch {
	case owner == nil:
		return workspaceNotFound(workspace)
	case found == nil && c.Method == http.MethodPut:
		return e.createProject(c, owner, key)
	case found == nil:
		return projectNotFound()
	case c.Method == http.MethodGet:
		return partialReply(c, newFullProjectBody(c, owner, found))
	case found.Permission != PermissionAdmin:
		return forbidden()
	case c.Method == http.MethodPut:
		return e.updateProject(c, owner, found)
	case owner.hasRepositoriesIn(key):
		return projectInUse()
	}
	owner.removeProject(key)
	e.save()
	return reply{status: http.StatusNoContent}
}

// projectKeyPattern matches the keys that Bitbucket accepts for a project.
var projectKeyPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,127}$`)

// newProjectKey returns a key as Bitbucket stores it. If the key is not valid, or if
// another project of the workspace has it, newProjectKey returns the error reply and
// false.
func (w *Workspace) newProjectKey(key string) (string, reply, bool) {
	stored := strings.ToUpper(key)
	switch {
	case !projectKeyPattern.MatchString(stored):
		return "", projectKeyInvalid(), false
	case w.project(stored) != nil:
		return "", projectKeyTaken(), false
	}
	return stored, reply{}, true
}

// createProject creates a project. The key is the key in the path, or in the body if the
// key in the path is empty.
func (e *Emulator) createProject(c call, owner *Workspace, key string) reply {
	var input projectInput
	if !c.decode(&input) {
		return badRequest()
	}
	if key == "" && input.Key != nil {
		key = *input.Key
	}
	const missing = "This field is required."
	switch {
	case key == "":
		return invalidField("key", missing)
	case input.Name == nil || *input.Name == "":
		return invalidField("name", missing)
	}
	stored, answer, ok := owner.newProjectKey(key)
	if !ok {
		return answer
	}
	added := Project{Key: stored, Name: *input.Name, Public: input.IsPrivate != nil && !*input.IsPrivate}
	body := newFullProjectBody(c, owner, e.addProject(owner, added))
	answer = jsonReply(http.StatusCreated, body)
	answer.locate(body.Links)
	return answer
}

// updateProject carries out a PUT of an existing project.
func (e *Emulator) updateProject(c call, owner *Workspace, project *Project) reply {
	var input projectInput
	if !c.decode(&input) {
		return badRequest()
	}
	key := project.Key
	if input.Key != nil && !strings.EqualFold(*input.Key, key) {
		stored, answer, ok := owner.newProjectKey(*input.Key)
		if !ok {
			return answer
		}
		key = stored
	}
	if input.Name != nil {
		project.Name = *input.Name
	}
	if input.IsPrivate != nil {
		project.Public = !*input.IsPrivate
	}
	renamed := key != project.Key
	owner.renameProject(project, key)
	e.save()
	body := newFullProjectBody(c, owner, project)
	answer := jsonReply(http.StatusOK, body)
	if renamed {
		answer.locate(body.Links)
	}
	return answer
}

// addProject adds a project to the workspace owner, and returns it with its defaults.
func (e *Emulator) addProject(owner *Workspace, project Project) *Project {
	owner.Projects = append(owner.Projects, project)
	e.nextID = e.state.complete(e.nextID, e.now())
	e.save()
	return owner.project(project.Key)
}

// renameProject changes the key of a project of w, also in its repositories.
func (w *Workspace) renameProject(project *Project, key string) {
	for i := range w.Repositories {
		if repository := &w.Repositories[i]; repository.Project == project.Key {
			repository.Project = key
		}
	}
	project.Key = key
}

// removeProject removes the project with this key.
func (w *Workspace) removeProject(key string) {
	w.Projects = slices.DeleteFunc(w.Projects, func(p Project) bool { return p.Key == key })
}

// hasRepositoriesIn reports whether the project with this key has repositories.
func (w *Workspace) hasRepositoriesIn(key string) bool {
	return slices.ContainsFunc(w.Repositories, func(r Repository) bool { return r.Project == key })
}

// projectByKeyOrUUID returns the project with this key or UUID, or nil.
func (w *Workspace) projectByKeyOrUUID(selector string) *Project {
	i := slices.IndexFunc(w.Projects, func(p Project) bool { return p.Key == selector || strings.EqualFold(p.UUID, selector) })
	if i < 0 {
		return nil
	}
	return &w.Projects[i]
}
