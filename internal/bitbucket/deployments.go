package bitbucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Deployment is one deployment of a repository, as Bitbucket answers it. What it
// does not say is empty.
type Deployment struct {
	UUID   string
	Number int64
	Key    string
	// State is UNDEPLOYED, IN_PROGRESS or COMPLETED.
	State string
	// Status is SUCCESSFUL, FAILED or STOPPED, "" until the deployment is completed.
	Status                           string
	EnvironmentUUID, EnvironmentName string
	// ReleaseName, ReleaseURL and Commit tell what was deployed.
	ReleaseName, ReleaseURL, Commit string
	// Deployer is the name of whoever deployed it.
	Deployer, DeployerUUID string
	// StartedOn and CompletedOn are ISO 8601, with or without a fraction of a second.
	StartedOn, CompletedOn string

	// at is what it is sorted by: when it was started, else made.
	at time.Time
}

// DeploymentFilter says which deployments are wanted. Its zero value lets all
// through.
type DeploymentFilter struct {
	// EnvironmentUUID is the {uuid} of an environment.
	EnvironmentUUID string
	State           string
	// Limit is how many are wanted, the newest of them, 0 for all.
	Limit int
}

// Deployments returns the deployments of a repository, the newest first. One that
// has never deployed has none, whether Bitbucket answers 200 or 404.
//
// GET /repositories/{workspace}/{repo_slug}/deployments
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deployments-get
func (c *Client) Deployments(ctx context.Context, repository Place, filter DeploymentFilter) ([]Deployment, error) {
	u, values, next, err := c.firstDeployments(ctx, repository, filter)
	if IsNotFound(err) && !hasNoRoute(err) {
		return nil, c.checkRepository(ctx, repository)
	}
	list := deploymentList{filter: filter, seen: map[string]bool{}, sorted: true}
	for read := map[string]bool{}; err == nil; values, next, err = c.page(ctx, u) {
		read[u.String()] = true
		if err := endless(u, next, read); err != nil {
			return nil, err
		}
		if err := list.add(u, values); err != nil {
			return nil, err
		}
		if next == nil || list.hasNewest() {
			return list.newest(), nil
		}
		u = next
	}
	return nil, err
}

// firstDeployments returns the first page and where it is. Sort and filters are
// documented nowhere: where they are refused, Bitbucket is asked without. The
// slash at the end is not documented either, but has been needed.
func (c *Client) firstDeployments(ctx context.Context, repository Place, filter DeploymentFilter) (u *url.URL, values []json.RawMessage, next *url.URL, err error) {
	path := []string{"repositories", repository.Workspace, repository.Repository, "deployments"}
	u = filter.ask(c.url(append(path, "")...))
	if values, next, err = c.page(ctx, u); hasNoRoute(err) {
		u = filter.ask(c.url(path...))
		values, next, err = c.page(ctx, u)
	}
	if HasStatus(err, http.StatusBadRequest) {
		u = firstPage(u)
		values, next, err = c.page(ctx, u)
	}
	return u, values, next, err
}

// ask is where the first page of what the filter lets through should be.
func (f DeploymentFilter) ask(collection *url.URL) *url.URL {
	u := firstPage(collection)
	query := u.Query()
	query.Set("sort", "-state.started_on")
	if f.EnvironmentUUID != "" {
		query.Set("environment", f.EnvironmentUUID)
	}
	if f.State != "" {
		query.Set("state.name", f.State)
	}
	u.RawQuery = query.Encode()
	return u
}

// deploymentList is what was read so far.
type deploymentList struct {
	filter DeploymentFilter
	found  []Deployment
	seen   map[string]bool
	// sorted tells that each one so far was dated and no newer than the one before.
	sorted bool
	last   time.Time
}

// add takes over the deployments of a page.
func (l *deploymentList) add(u *url.URL, values []json.RawMessage) error {
	for _, value := range values {
		d, err := decodeDeployment(u, value)
		if err != nil {
			return err
		}
		if l.seen[d.UUID] { // One that is new meanwhile moves another to the next page.
			continue
		}
		l.sorted = l.sorted && !d.at.IsZero() && (len(l.seen) == 0 || !d.at.After(l.last))
		l.seen[d.UUID], l.last = true, d.at
		if l.filter.allows(d) {
			l.found = append(l.found, d)
		}
	}
	return nil
}

// allows tells whether a deployment is one of those that are wanted: Bitbucket may
// send others.
func (f DeploymentFilter) allows(d Deployment) bool {
	return (f.EnvironmentUUID == "" || strings.EqualFold(f.EnvironmentUUID, d.EnvironmentUUID)) && (f.State == "" || f.State == d.State)
}

// hasNewest tells whether no other page can have one that is wanted: enough were
// found, in an order in which all others are older.
func (l *deploymentList) hasNewest() bool {
	return l.filter.Limit > 0 && len(l.found) >= l.filter.Limit && l.sorted
}

// newest are those that are wanted, sorted.
func (l *deploymentList) newest() []Deployment {
	slices.SortFunc(l.found, func(a, b Deployment) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.Number, a.Number), cmp.Compare(a.UUID, b.UUID))
	})
	if l.filter.Limit > 0 && len(l.found) > l.filter.Limit {
		return l.found[:l.filter.Limit]
	}
	return l.found
}

// deploymentBody is a deployment by its documented names and by those that clients
// of the live API read.
type deploymentBody struct {
	UUID   string      `json:"uuid"`
	Number json.Number `json:"number"`
	Key    any         `json:"key"`
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
		StartDate      string `json:"start_date"` // As documented, and so below.
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

// released is what was deployed.
type released struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Commit struct {
		Hash string `json:"hash"`
	} `json:"commit"`
	CreatedOn string `json:"created_on"`
}

// decodeDeployment reads one deployment of a list. What has another type than it
// should is left out: little of all this is documented.
func decodeDeployment(u *url.URL, value json.RawMessage) (Deployment, error) {
	var body deploymentBody
	err := json.Unmarshal(value, &body)
	if _, otherType := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !otherType || body.UUID == "" {
		return Deployment{}, unusable(http.MethodGet, u, "one of its values is no deployment with a uuid")
	}
	number, err := body.Number.Int64()
	if err != nil {
		number = 0 // Not the largest one.
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
		at:              firstTime(started, body.CreatedOn, body.LastUpdateTime, body.Release.CreatedOn, body.Deployable.CreatedOn),
	}, nil
}

// firstTime is the first of these texts that is a time, else the zero time.
func firstTime(texts ...string) time.Time {
	for _, text := range texts {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
