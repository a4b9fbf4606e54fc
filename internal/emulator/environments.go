package emulator

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Environment is a deployment environment of a repository.
type Environment struct {
	UUID      string `json:"uuid"` // UUID has braces. It is random by default.
	Name      string `json:"name"`
	Type      string `json:"type"` // Type is Test, Staging or Production. It is Test by default.
	AdminOnly bool   `json:"admin_only"`
	Locked    bool   `json:"locked"`
}

// environmentTypes are the types of environments in the order of their ranks.
var environmentTypes = []string{"Test", "Staging", "Production"}

// SetEnvironments replaces the environments of a repository, as other people would with
// several changes. It does not check the environments: two environments may have the
// same name.
func (e *Emulator) SetEnvironments(workspace, repository string, environments ...Environment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustRepository(workspace, repository)
	found.Environments = slices.Clone(environments)
	completeEnvironments(found.Environments)
	e.save()
}

// completeEnvironments sets the defaults of environments.
func completeEnvironments(environments []Environment) {
	for i := range environments {
		environments[i].UUID = cmp.Or(environments[i].UUID, newUUID())
		environments[i].Type = cmp.Or(environments[i].Type, environmentTypes[0])
	}
}

// environment returns the index of the environment with this UUID, or -1.
func (r *Repository) environment(uuid string) int {
	return slices.IndexFunc(r.Environments, func(e Environment) bool { return strings.EqualFold(e.UUID, uuid) })
}

// hasEnvironment reports whether r has an environment with this name, in any case.
func (r *Repository) hasEnvironment(name string) bool {
	return slices.ContainsFunc(r.Environments, func(e Environment) bool { return strings.EqualFold(e.Name, name) })
}

// routeEnvironments routes c by the segments after environments.
func (e *Emulator) routeEnvironments(c call, workspace, slug string, segments []string) reply {
	switch {
	case e.isList(segments):
		return e.environments(c, workspace, slug)
	case len(segments) == 0 || segments[0] == "":
		return routeNotFound()
	case len(segments) == 1:
		return e.environment(c, workspace, slug, segments[0])
	case len(segments) == 2 && segments[1] == "changes", len(segments) == 3 && segments[1] == "changes" && segments[2] == "":
		return e.environmentChanges(c, workspace, slug, segments[0])
	}
	return routeNotFound()
}

// environments answers requests for the environments of a repository.
func (e *Emulator) environments(c call, workspace, slug string) reply {
	owner, repository, answer := e.findForEnvironments(c, workspace, slug, http.MethodGet, http.MethodPost)
	switch {
	case repository == nil:
		return answer
	case c.Method == http.MethodPost:
		return e.createEnvironment(c, owner, repository)
	case len(repository.Environments) == 0 && e.deploymentBehavior.NeverDeployed404:
		return environmentNotFound()
	}
	list, answer := newPage(c, len(repository.Environments), func(i int) environmentBody { return newEnvironmentBody(repository.Environments[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}

// environment answers requests for one environment.
func (e *Emulator) environment(c call, workspace, slug, uuid string) reply {
	_, repository, answer := e.findForEnvironments(c, workspace, slug, http.MethodGet, http.MethodDelete)
	if repository == nil {
		return answer
	}
	i := repository.environment(uuid)
	switch {
	case i < 0:
		return environmentNotFound()
	case c.Method == http.MethodDelete:
		repository.Environments = slices.Delete(repository.Environments, i, i+1)
		e.save()
		return reply{status: http.StatusNoContent}
	}
	return partialReply(c, newEnvironmentBody(repository.Environments[i]))
}

// environmentChanges answers a POST of a change of an environment. Bitbucket carries
// out the change after its reply. The emulator carries it out at once.
func (e *Emulator) environmentChanges(c call, workspace, slug, uuid string) reply {
	_, repository, answer := e.findForEnvironments(c, workspace, slug, http.MethodPost)
	if repository == nil {
		return answer
	}
	i := repository.environment(uuid)
	if i < 0 {
		return environmentNotFound()
	}
	var input struct {
		Change map[string]json.RawMessage `json:"change"`
	}
	if !c.decode(&input) || len(input.Change) == 0 {
		return environmentInvalid("deploy-service.request.validation-error", "change")
	}
	changed := repository.Environments[i]
	for _, field := range slices.Sorted(maps.Keys(input.Change)) {
		value, err := input.Change[field], error(nil)
		switch field {
		case "name":
			err = json.Unmarshal(value, &changed.Name)
		case "restrictions":
			restrictions := restrictionsBody{AdminOnly: changed.AdminOnly}
			err = json.Unmarshal(value, &restrictions)
			changed.AdminOnly = restrictions.AdminOnly
		default:
			return environmentInvalid("deploy-service.environment.change-not-supported", field)
		}
		if err != nil || changed.Name == "" {
			return environmentInvalid("deploy-service.request.validation-error", field)
		}
	}
	if !strings.EqualFold(changed.Name, repository.Environments[i].Name) && repository.hasEnvironment(changed.Name) {
		return environmentTaken()
	}
	repository.Environments[i] = changed
	e.save()
	return reply{status: http.StatusAccepted}
}

// findForEnvironments returns the repository in the path of a request for environments,
// and its workspace. If the request is not allowed, it returns nil and the reply to
// send.
func (e *Emulator) findForEnvironments(c call, workspace, slug string, methods ...string) (*Workspace, *Repository, reply) {
	if !slices.Contains(methods, c.Method) {
		return nil, nil, methodNotAllowed(methods...)
	}
	needed := operationScopes("admin:pipeline:bitbucket", "pipeline")
	if c.Method == http.MethodGet {
		needed = operationScopes("read:pipeline:bitbucket", "pipeline")
	}
	if answer, ok := e.authorize(c, needed); !ok {
		return nil, nil, answer
	}
	owner, repository, answer := e.findRepository(c, workspace, slug)
	if repository != nil && c.Method != http.MethodGet && repository.Permission != PermissionAdmin {
		return nil, nil, forbidden()
	}
	return owner, repository, answer
}

// createEnvironment carries out a POST.
func (e *Emulator) createEnvironment(c call, owner *Workspace, repository *Repository) reply {
	var input struct {
		Name         string           `json:"name"`
		Type         typeBody         `json:"environment_type"`
		Restrictions restrictionsBody `json:"restrictions"`
	}
	switch {
	case !c.decode(&input):
		return badRequest()
	case input.Name == "":
		return environmentInvalid("deploy-service.request.validation-error", "name")
	case !slices.Contains(environmentTypes, input.Type.Name):
		return environmentInvalid("deploy-service.request.validation-error", "environment_type")
	case repository.hasEnvironment(input.Name):
		return environmentTaken()
	}
	added := Environment{UUID: newUUID(), Name: input.Name, Type: input.Type.Name, AdminOnly: input.Restrictions.AdminOnly}
	repository.Environments = append(repository.Environments, added)
	e.save()
	answer := jsonReply(http.StatusCreated, newEnvironmentBody(added))
	self := newRepositoryBody(c, owner, repository).Links["self"].Href
	answer.locate(links{"self": {self + "/environments/" + url.PathEscape(added.UUID)}})
	return answer
}

// environmentBody is the JSON of an environment. Only the fields uuid and name are
// documented.
type environmentBody struct {
	Type         string           `json:"type"`
	UUID         string           `json:"uuid"`
	Name         string           `json:"name"`
	Slug         string           `json:"slug"`
	Rank         int              `json:"rank"`
	Hidden       bool             `json:"hidden"`
	Category     categoryBody     `json:"category"`
	Environment  typeBody         `json:"environment_type"`
	Gate         bool             `json:"deployment_gate_enabled"`
	LockEnabled  bool             `json:"environment_lock_enabled"`
	Lock         lockBody         `json:"lock"`
	Restrictions restrictionsBody `json:"restrictions"`
}

// categoryBody is the JSON of the category of an environment.
type categoryBody struct {
	Name string `json:"name"`
}

// typeBody is the JSON of the type of an environment.
type typeBody struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Rank int    `json:"rank"`
}

// lockBody is the JSON of the lock of an environment.
type lockBody struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// restrictionsBody is the JSON of the restrictions of an environment.
type restrictionsBody struct {
	Type      string `json:"type"`
	AdminOnly bool   `json:"admin_only"`
}

// newEnvironmentBody returns the JSON of an environment.
func newEnvironmentBody(environment Environment) environmentBody {
	rank := slices.Index(environmentTypes, environment.Type)
	lock := lockBody{"deployment_environment_lock_open", "OPEN"}
	if environment.Locked {
		lock = lockBody{"deployment_environment_lock_locked", "LOCKED"}
	}
	return environmentBody{
		Type:         "deployment_environment",
		UUID:         environment.UUID,
		Name:         environment.Name,
		Slug:         slugify(environment.Name),
		Rank:         rank,
		Category:     categoryBody{environment.Type},
		Environment:  typeBody{"deployment_environment_type", environment.Type, rank},
		LockEnabled:  true,
		Lock:         lock,
		Restrictions: restrictionsBody{"deployment_restrictions_configuration", environment.AdminOnly},
	}
}
