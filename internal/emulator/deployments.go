package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Deployment is a deployment of a repository. The emulator does not send empty
// fields, except for the fields with a default.
type Deployment struct {
	UUID            string `json:"uuid"`   // UUID has braces. It is random by default.
	Number          int64  `json:"number"` // Number counts the deployments of a repository. It is the next number by default.
	Key             string `json:"key"`
	State           string `json:"state"`  // State is COMPLETED by default.
	Status          string `json:"status"` // Status is SUCCESSFUL by default if State is COMPLETED.
	EnvironmentUUID string `json:"environment_uuid"`
	EnvironmentName string `json:"environment_name"`
	ReleaseName     string `json:"release_name"`
	ReleaseURL      string `json:"release_url"`
	Commit          string `json:"commit"`
	Deployer        string `json:"deployer"`
	DeployerUUID    string `json:"deployer_uuid"`
	CreatedOn       string `json:"created_on"` // CreatedOn is the current time by default.
	StartedOn       string `json:"started_on"`
	CompletedOn     string `json:"completed_on"`
}

// DeploymentBehavior selects how the emulator answers requests for deployments and for
// environments. Each field selects a behavior that is not documented, or that clients
// of the live API observed to differ from the documentation. The zero value follows
// the documentation, and supports the filters and sorts that clients use.
type DeploymentBehavior struct {
	// Observed sends the observed field names instead of the documented names.
	Observed bool
	// Slash selects whether the path of the list ends in a slash. The lists of
	// deployments and of environments follow the same rule.
	Slash SlashRule
	// NeverDeployed404 sends a 404 instead of an empty list if a repository has no
	// deployments, or no environments.
	NeverDeployed404 bool
	// Sort selects the effect of the parameter sort.
	Sort SortRule
	// IgnoreFilters ignores the parameters environment and state.name.
	IgnoreFilters bool
}

// SlashRule selects whether a path may end in a slash.
type SlashRule int

const (
	// SlashAllowed accepts the path with and without a slash.
	SlashAllowed SlashRule = iota
	// SlashRequired sends a 404 for the path without a slash.
	SlashRequired
	// SlashRefused sends a 404 for the path with a slash.
	SlashRefused
)

// SortRule selects the effect of the parameter sort.
type SortRule int

const (
	// SortHonored accepts the two values of sort that clients use, and rejects all
	// other values.
	SortHonored SortRule = iota
	// SortIgnored ignores the parameter.
	SortIgnored
	// SortRefused rejects every request with the parameter.
	SortRefused
)

// SetDeployments selects the replies to each later request for deployments and for
// environments.
func (e *Emulator) SetDeployments(behavior DeploymentBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deploymentBehavior = behavior
}

// AddDeployment appends a deployment to the deployments of a repository, as a
// pipeline would. It returns the deployment with its defaults.
func (e *Emulator) AddDeployment(workspace, repository string, deployment Deployment) Deployment {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustRepository(workspace, repository)
	found.Deployments = append(found.Deployments, deployment)
	completeDeployments(found.Deployments, e.now())
	e.save()
	return found.Deployments[len(found.Deployments)-1]
}

// completeDeployments sets the defaults of deployments.
func completeDeployments(deployments []Deployment, now string) {
	var last int64
	for _, d := range deployments {
		last = max(last, d.Number)
	}
	for i := range deployments {
		d := &deployments[i]
		d.UUID = cmp.Or(d.UUID, newUUID())
		d.State = cmp.Or(d.State, "COMPLETED")
		d.CreatedOn = cmp.Or(d.CreatedOn, now)
		if d.Status == "" && d.State == "COMPLETED" {
			d.Status = "SUCCESSFUL"
		}
		if d.Number == 0 {
			last++
			d.Number = last
		}
	}
}

// routeDeployments routes c by the segments after deployments.
func (e *Emulator) routeDeployments(c call, workspace, slug string, segments []string) reply {
	switch {
	case e.isList(segments):
		return e.deployments(c, workspace, slug, "")
	case len(segments) == 1 && segments[0] != "":
		return e.deployments(c, workspace, slug, segments[0])
	}
	return routeNotFound()
}

// isList reports whether a path is the path of a list. segments is the part of the path
// after deployments or environments.
func (e *Emulator) isList(segments []string) bool {
	slash := len(segments) == 1 && segments[0] == ""
	switch e.deploymentBehavior.Slash {
	case SlashRequired:
		return slash
	case SlashRefused:
		return len(segments) == 0
	}
	return slash || len(segments) == 0
}

// deployments answers a GET of the deployments of a repository, or of the one
// deployment with this UUID if uuid is not empty.
func (e *Emulator) deployments(c call, workspace, slug, uuid string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, operationScopes("read:pipeline:bitbucket", "pipeline")); !ok {
		return answer
	}
	owner, repository, answer := e.findRepository(c, workspace, slug)
	switch {
	case repository == nil:
		return answer
	case uuid == "" && len(repository.Deployments) == 0 && e.deploymentBehavior.NeverDeployed404:
		return deploymentNotFound()
	case uuid == "":
		return e.listDeployments(c, owner, repository)
	}
	i := slices.IndexFunc(repository.Deployments, func(d Deployment) bool { return strings.EqualFold(d.UUID, uuid) })
	if i < 0 {
		return deploymentNotFound()
	}
	return partialReply(c, e.newDeploymentBody(c, owner, repository, repository.Deployments[i]))
}

// listDeployments answers a GET of the deployments of a repository.
func (e *Emulator) listDeployments(c call, owner *Workspace, repository *Repository) reply {
	query := c.URL.Query()
	listed := slices.Clone(repository.Deployments)
	if environment, state := query.Get("environment"), query.Get("state.name"); !e.deploymentBehavior.IgnoreFilters {
		listed = slices.DeleteFunc(listed, func(d Deployment) bool {
			return environment != "" && !strings.EqualFold(environment, d.EnvironmentUUID) || state != "" && state != d.State
		})
	}
	sortKey, sortable := map[string]func(Deployment) string{
		"":                    nil,
		"-state.started_on":   func(d Deployment) string { return d.StartedOn },
		"-state.completed_on": func(d Deployment) string { return d.CompletedOn },
	}[query.Get("sort")]
	switch rule := e.deploymentBehavior.Sort; {
	case rule != SortIgnored && !sortable, rule == SortRefused && query.Has("sort"):
		return jsonReply(http.StatusBadRequest, map[string]string{"message": "Invalid sort attribute provided"})
	case rule == SortHonored && sortKey != nil:
		slices.SortStableFunc(listed, func(a, b Deployment) int { return parseTime(sortKey(b)).Compare(parseTime(sortKey(a))) })
	}
	list, answer := newPage(c, len(listed), func(i int) deploymentBody { return e.newDeploymentBody(c, owner, repository, listed[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}

// parseTime returns the time in text, or the zero time if text is not a time.
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// deploymentBody is the JSON of a deployment. It has the documented and the observed
// field names. A reply contains only the documented or only the observed names.
type deploymentBody struct {
	Type           string       `json:"type"`
	UUID           string       `json:"uuid"`
	Number         int64        `json:"number,omitempty"`
	Key            string       `json:"key,omitempty"`
	State          stateBody    `json:"state"`
	Environment    targetBody   `json:"environment"`
	Release        *releaseBody `json:"release,omitempty"`
	Deployable     *releaseBody `json:"deployable,omitempty"`
	CreatedOn      string       `json:"created_on,omitempty"`
	LastUpdateTime string       `json:"last_update_time,omitempty"`
}

// stateBody is the JSON of the state of a deployment.
type stateBody struct {
	Type           string       `json:"type"`
	Name           string       `json:"name"`
	URL            string       `json:"url,omitempty"`
	TriggerURL     string       `json:"trigger_url,omitempty"`
	Deployer       *accountBody `json:"deployer,omitempty"`
	Status         *statusBody  `json:"status"`
	StartDate      string       `json:"start_date,omitempty"`
	CompletionDate string       `json:"completion_date,omitempty"`
	StartedOn      string       `json:"started_on,omitempty"`
	CompletedOn    string       `json:"completed_on,omitempty"`
}

// statusBody is the JSON of the result of a deployment.
type statusBody struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// accountBody is the JSON of a user.
type accountBody struct {
	Type        string `json:"type"`
	DisplayName string `json:"display_name"`
	UUID        string `json:"uuid,omitempty"`
}

// targetBody is the JSON of the target environment of a deployment.
type targetBody struct {
	Type string `json:"type"`
	UUID string `json:"uuid"`
	Name string `json:"name,omitempty"`
}

// releaseBody is the JSON of the deployed release.
type releaseBody struct {
	Type      string      `json:"type"`
	Name      string      `json:"name,omitempty"`
	URL       string      `json:"url,omitempty"`
	Commit    *commitBody `json:"commit,omitempty"`
	CreatedOn string      `json:"created_on,omitempty"`
}

// commitBody is the JSON of the commit of a release.
type commitBody struct {
	Type string `json:"type"`
	Hash string `json:"hash"`
}

// newDeploymentBody returns the JSON of a deployment.
func (e *Emulator) newDeploymentBody(c call, owner *Workspace, repository *Repository, d Deployment) deploymentBody {
	body := deploymentBody{
		Type:        "deployment",
		UUID:        d.UUID,
		State:       stateBody{Type: "deployment_state_" + strings.ToLower(d.State), Name: d.State},
		Environment: targetBody{Type: "deployment_environment", UUID: d.EnvironmentUUID},
	}
	release := &releaseBody{Type: "deployment_release", Name: d.ReleaseName}
	if d.Commit != "" {
		release.Commit = &commitBody{"commit", d.Commit}
	}
	if e.deploymentBehavior.Observed {
		release.Type, body.Deployable = "deployment_deployable", release
		body.Number, body.Key = d.Number, d.Key
		body.CreatedOn, body.LastUpdateTime = d.CreatedOn, cmp.Or(d.CompletedOn, d.StartedOn, d.CreatedOn)
		body.State.StartedOn, body.State.CompletedOn = d.StartedOn, d.CompletedOn
	} else {
		release.URL, release.CreatedOn, body.Release = d.ReleaseURL, d.CreatedOn, release
		body.Environment.Name = d.EnvironmentName
		if i := repository.environment(d.EnvironmentUUID); i >= 0 {
			body.Environment.Name = repository.Environments[i].Name
		}
		body.State.StartDate, body.State.CompletionDate = d.StartedOn, d.CompletedOn
	}
	result := fmt.Sprintf("%s/%s/%s/pipelines/results/%d", c.origin(), owner.Slug, repository.Slug, d.Number)
	if d.State == "UNDEPLOYED" {
		body.State.TriggerURL = result
	} else {
		body.State.URL = result
	}
	if d.Status != "" {
		body.State.Status = &statusBody{"deployment_state_completed_status_" + strings.ToLower(d.Status), d.Status}
	}
	if d.Deployer != "" {
		body.State.Deployer = &accountBody{"user", d.Deployer, d.DeployerUUID}
	}
	return body
}
