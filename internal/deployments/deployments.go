// Package deployments finds the deployments and the environments of a repository, although
// Bitbucket's endpoints for them differ from their documentation. It does not depend on
// Terraform.
package deployments

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Filter selects deployments. The zero value selects all.
type Filter struct {
	// EnvironmentUUID is the {uuid} of an environment.
	EnvironmentUUID string
	State           string
	// Limit is how many deployments to return, the newest ones, or 0 for all.
	Limit int
}

// Find returns the deployments of a repository, the newest first. For a repository that has
// never deployed, it returns none, whether Bitbucket answers 200 or 404.
func Find(ctx context.Context, client *bitbucket.Client, repository bitbucket.Parent, filter Filter) ([]bitbucket.Deployment, error) {
	pager, page, err := firstDeployments(ctx, client, repository, filter)
	if isMissing(err) {
		return nil, client.CheckRepository(ctx, repository)
	}
	found := newCollection(filter)
	for ; err == nil; page, err = pager.NextPage(ctx) {
		if err := found.add(page); err != nil {
			return nil, err
		}
		if !pager.HasMore() || found.isComplete() {
			return found.newest(), nil
		}
	}
	return nil, err
}

// firstDeployments requests the first page. If Bitbucket refuses to sort and filter, it
// requests all deployments.
func firstDeployments(ctx context.Context, client *bitbucket.Client, repository bitbucket.Parent, filter Filter) (*bitbucket.Pager[bitbucket.Deployment], bitbucket.Page[bitbucket.Deployment], error) {
	query := bitbucket.DeploymentsQuery{EnvironmentUUID: filter.EnvironmentUUID, State: filter.State, NewestFirst: true}
	pager, page, err := firstPage(ctx, func(withoutSlash bool) *bitbucket.Pager[bitbucket.Deployment] {
		query.WithoutSlash = withoutSlash
		return client.ListDeployments(repository, query)
	})
	if bitbucket.HasStatus(err, http.StatusBadRequest) {
		pager = client.ListDeployments(repository, bitbucket.DeploymentsQuery{WithoutSlash: query.WithoutSlash})
		page, err = pager.NextPage(ctx)
	}
	return pager, page, err
}

// firstPage requests the first page of a list. If Bitbucket has no endpoint with a slash at
// the end, it tries without the slash.
func firstPage[T any](ctx context.Context, list func(withoutSlash bool) *bitbucket.Pager[T]) (*bitbucket.Pager[T], bitbucket.Page[T], error) {
	pager := list(false)
	page, err := pager.NextPage(ctx)
	if _, noEndpoint := errors.AsType[*bitbucket.NoEndpointError](err); noEndpoint {
		pager = list(true)
		page, err = pager.NextPage(ctx)
	}
	return pager, page, err
}

// isMissing reports whether Bitbucket answered 404 for a list. Either the list is empty, or
// the repository does not exist or is hidden.
func isMissing(err error) bool {
	_, noEndpoint := errors.AsType[*bitbucket.NoEndpointError](err)
	return bitbucket.IsNotFound(err) && !noEndpoint
}

// collection holds the deployments of the pages so far.
type collection struct {
	filter Filter
	found  []bitbucket.Deployment
	seen   map[string]bool
	// sorted reports whether each deployment so far has a time and is not newer than the
	// deployment before it.
	sorted bool
	last   time.Time
}

func newCollection(filter Filter) *collection {
	return &collection{filter: filter, seen: map[string]bool{}, sorted: true}
}

// add adds the deployments of a page. A deployment that starts meanwhile moves another
// deployment to the next page, so add skips deployments that it has already seen.
func (c *collection) add(page bitbucket.Page[bitbucket.Deployment]) error {
	for d, err := range page {
		if err != nil {
			return err
		}
		if c.seen[d.UUID] {
			continue
		}
		c.sorted = c.sorted && !d.At.IsZero() && (len(c.seen) == 0 || !d.At.After(c.last))
		c.seen[d.UUID], c.last = true, d.At
		if c.filter.matches(d) {
			c.found = append(c.found, d)
		}
	}
	return nil
}

// matches reports whether a deployment is selected. This is necessary because Bitbucket may
// ignore the filter in the request.
func (f Filter) matches(d bitbucket.Deployment) bool {
	return (f.EnvironmentUUID == "" || strings.EqualFold(f.EnvironmentUUID, d.EnvironmentUUID)) && (f.State == "" || f.State == d.State)
}

// isComplete reports whether no other page can have a selected deployment: enough were
// found, and all remaining deployments are older.
func (c *collection) isComplete() bool {
	return c.filter.Limit > 0 && len(c.found) >= c.filter.Limit && c.sorted
}

// newest returns the selected deployments, the newest first.
func (c *collection) newest() []bitbucket.Deployment {
	slices.SortFunc(c.found, func(a, b bitbucket.Deployment) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Number, a.Number), cmp.Compare(a.UUID, b.UUID))
	})
	if c.filter.Limit > 0 && len(c.found) > c.filter.Limit {
		return c.found[:c.filter.Limit]
	}
	return c.found
}
