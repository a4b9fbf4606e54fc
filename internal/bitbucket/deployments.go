package bitbucket

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Deployment is one deployment of a repository. Fields that Bitbucket omits are empty.
type Deployment struct {
	UUID   string
	Number int64
	Key    string
	// State is UNDEPLOYED, IN_PROGRESS or COMPLETED.
	State string
	// Status is SUCCESSFUL, FAILED or STOPPED, "" until the deployment is completed.
	Status                           string
	EnvironmentUUID, EnvironmentName string
	ReleaseName, ReleaseURL, Commit  string
	// Deployer is the name of the account that deployed.
	Deployer, DeployerUUID string
	// StartedOn and CompletedOn are ISO 8601, with or without a fraction of a second.
	StartedOn, CompletedOn string
	// At is the start of the deployment. If Bitbucket omits the start, At is the creation,
	// the last update or the creation of the release. If Bitbucket omits all of these, At is
	// the zero time.
	At time.Time
}

// DeploymentsQuery selects deployments. The zero value selects all.
type DeploymentsQuery struct {
	// EnvironmentUUID is the {uuid} of an environment.
	EnvironmentUUID string
	State           string
	// NewestFirst requests the deployments sorted by their start. Like the fields above,
	// the parameter is not documented: Bitbucket may ignore it or answer 400.
	NewestFirst bool
	// WithoutSlash leaves out the slash at the end of the path. The documentation has no
	// slash, but Bitbucket has been observed to answer 404 without it.
	WithoutSlash bool
}

// ListDeployments returns a pager over the deployments of a repository. For a repository
// that has never deployed, Bitbucket answers 200 or 404.
//
// GET /repositories/{workspace}/{repo_slug}/deployments
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deployments-get
func (c *Client) ListDeployments(repository Parent, query DeploymentsQuery) *Pager[Deployment] {
	path := []string{"repositories", repository.Workspace, repository.Repository, "deployments"}
	if !query.WithoutSlash {
		path = append(path, "")
	}
	u := firstPage(c.url(path...))
	values := u.Query()
	if query.NewestFirst {
		values.Set("sort", "-state.started_on")
	}
	if query.EnvironmentUUID != "" {
		values.Set("environment", query.EnvironmentUUID)
	}
	if query.State != "" {
		values.Set("state.name", query.State)
	}
	u.RawQuery = values.Encode()
	return newPager(c, u, decodeDeployment)
}

// deploymentBody has the documented names of a deployment's fields and also the names that
// other clients of the live API use.
type deploymentBody struct {
	UUID   string          `json:"uuid"`
	Number json.RawMessage `json:"number"`
	Key    any             `json:"key"`
	State  struct {
		Name   string `json:"name"`
		Status struct {
			Name string `json:"name"`
		} `json:"status"`
		Deployer struct {
			UUID        string `json:"uuid"`
			DisplayName string `json:"display_name"`
			Nickname    string `json:"nickname"`
		} `json:"deployer"`
		StartedOn      string `json:"started_on"`
		StartDate      string `json:"start_date"` // The documentation uses the names start_date and completion_date.
		CompletedOn    string `json:"completed_on"`
		CompletionDate string `json:"completion_date"`
	} `json:"state"`
	Environment struct {
		UUID string `json:"uuid"`
		Name string `json:"name"`
	} `json:"environment"`
	Release        released `json:"release"`
	Deployable     released `json:"deployable"` // Not documented.
	CreatedOn      string   `json:"created_on"`
	LastUpdateTime string   `json:"last_update_time"`
}

// released is the release that was deployed.
type released struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Commit struct {
		Hash string `json:"hash"`
	} `json:"commit"`
	CreatedOn string `json:"created_on"`
}

// decodeDeployment reads one deployment of a page. Few fields are documented, so it ignores
// a field of an unexpected type.
func decodeDeployment(u *url.URL, value json.RawMessage) (Deployment, error) {
	var body deploymentBody
	err := json.Unmarshal(value, &body)
	if _, otherType := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !otherType || body.UUID == "" {
		return Deployment{}, unusable(http.MethodGet, u, "one of its values has no uuid")
	}
	number, err := strconv.ParseInt(strings.Trim(string(body.Number), `"`), 10, 64)
	if err != nil {
		number = 0 // On overflow, ParseInt returns the largest number.
	}
	key, _ := body.Key.(string)
	if numbered, ok := body.Key.(float64); ok {
		key = strconv.FormatFloat(numbered, 'f', -1, 64)
	}
	state := body.State
	started := cmp.Or(state.StartedOn, state.StartDate)
	return Deployment{
		UUID:            body.UUID,
		Number:          number,
		Key:             key,
		State:           state.Name,
		Status:          state.Status.Name,
		EnvironmentUUID: body.Environment.UUID,
		EnvironmentName: body.Environment.Name,
		ReleaseName:     cmp.Or(body.Release.Name, body.Deployable.Name),
		ReleaseURL:      cmp.Or(body.Release.URL, body.Deployable.URL),
		Commit:          cmp.Or(body.Release.Commit.Hash, body.Deployable.Commit.Hash),
		Deployer:        cmp.Or(state.Deployer.DisplayName, state.Deployer.Nickname),
		DeployerUUID:    state.Deployer.UUID,
		StartedOn:       started,
		CompletedOn:     cmp.Or(state.CompletedOn, state.CompletionDate),
		At:              firstTime(started, body.CreatedOn, body.LastUpdateTime, body.Release.CreatedOn, body.Deployable.CreatedOn),
	}, nil
}

// firstTime returns the first of these texts that is a time, or the zero time.
func firstTime(texts ...string) time.Time {
	for _, text := range texts {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
