package bitbucket

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Environment is a deployment environment of a repository. Fields that Bitbucket omits are
// empty or nil.
type Environment struct {
	UUID, Name, Slug string
	// Type is Test, Staging or Production. Category has the same name, sometimes in capitals.
	Type, Category string
	// Rank is 0 for Test, 1 for Staging and 2 for Production.
	Rank *int64
	// Locked reports whether Bitbucket has locked the environment.
	Locked *bool
}

// EnvironmentsQuery selects the form of a request for environments.
type EnvironmentsQuery struct {
	// WithoutSlash leaves out the slash at the end of the path. The documentation has no
	// slash, but Bitbucket has been observed to answer 404 without it.
	WithoutSlash bool
}

// ListEnvironments returns a pager over the environments of a repository.
//
// GET /repositories/{workspace}/{repo_slug}/environments
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-environments-get
func (c *Client) ListEnvironments(repository Parent, query EnvironmentsQuery) *Pager[Environment] {
	path := []string{"repositories", repository.Workspace, repository.Repository, "environments"}
	if !query.WithoutSlash {
		path = append(path, "")
	}
	return newPager(c, firstPage(c.url(path...)), decodeEnvironment)
}

// environmentBody has the fields of an environment. Only uuid and name are documented.
type environmentBody struct {
	UUID            string          `json:"uuid"`
	Name            string          `json:"name"`
	Slug            string          `json:"slug"`
	Rank            json.RawMessage `json:"rank"`
	EnvironmentType struct {
		Name string `json:"name"`
	} `json:"environment_type"`
	Category struct {
		Name string `json:"name"`
	} `json:"category"`
	Lock environmentLock `json:"lock"`
}

// environmentLock is the lock of an environment. An open lock has the type
// deployment_environment_lock_open and the name OPEN.
type environmentLock struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// decodeEnvironment reads one environment of a page. Few fields are documented, so it ignores
// a field of an unexpected type.
func decodeEnvironment(u *url.URL, value json.RawMessage) (Environment, error) {
	var body environmentBody
	err := json.Unmarshal(value, &body)
	if _, otherType := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !otherType || body.UUID == "" {
		return Environment{}, unusable(http.MethodGet, u, "one of its values has no uuid")
	}
	environment := Environment{
		UUID:     body.UUID,
		Name:     body.Name,
		Slug:     body.Slug,
		Type:     body.EnvironmentType.Name,
		Category: body.Category.Name,
		Locked:   body.Lock.locked(),
	}
	if rank, err := strconv.ParseInt(string(body.Rank), 10, 64); err == nil {
		environment.Rank = &rank
	}
	return environment, nil
}

// locked reports whether the lock is closed. It returns nil if Bitbucket omits the lock.
// Nobody has observed a closed lock, so every lock that is not open counts as closed.
func (l environmentLock) locked() *bool {
	switch {
	case l == environmentLock{}:
		return nil
	case strings.EqualFold(l.Name, "OPEN"), l.Name == "" && strings.HasSuffix(l.Type, "_lock_open"):
		return new(false)
	}
	return new(true)
}
