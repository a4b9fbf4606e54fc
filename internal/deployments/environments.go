package deployments

import (
	"context"
	"slices"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// ListEnvironments returns the environments of a repository. If the repository has none, it
// returns none, whether Bitbucket answers 200 or 404.
func ListEnvironments(ctx context.Context, client *bitbucket.Client, repository bitbucket.Parent) ([]bitbucket.Environment, error) {
	pager, page, err := firstPage(ctx, func(withoutSlash bool) *bitbucket.Pager[bitbucket.Environment] {
		return client.ListEnvironments(repository, bitbucket.EnvironmentsQuery{WithoutSlash: withoutSlash})
	})
	if isMissing(err) {
		return nil, client.CheckRepository(ctx, repository)
	}
	var found []bitbucket.Environment
	seen := map[string]bool{}
	for ; err == nil; page, err = pager.NextPage(ctx) {
		for environment, err := range page {
			if err != nil {
				return nil, err
			}
			// Skip repetitions: an environment that is added meanwhile moves another environment
			// to the next page.
			if uuid := strings.ToLower(environment.UUID); !seen[uuid] {
				seen[uuid] = true
				found = append(found, environment)
			}
		}
		if !pager.HasMore() {
			return found, nil
		}
	}
	return nil, err
}

// LackNames reports whether Bitbucket has sent a deployment with the UUID of its environment,
// but without the name.
func LackNames(list []bitbucket.Deployment) bool { return slices.ContainsFunc(list, lacksName) }

func lacksName(d bitbucket.Deployment) bool {
	return d.EnvironmentUUID != "" && d.EnvironmentName == ""
}

// SetNames fills in the missing names of the deployments' environments. The name of an
// environment that was deleted stays empty.
func SetNames(list []bitbucket.Deployment, environments []bitbucket.Environment) {
	names := map[string]string{}
	for _, environment := range environments {
		names[strings.ToLower(environment.UUID)] = environment.Name
	}
	for i := range list {
		if lacksName(list[i]) {
			list[i].EnvironmentName = names[strings.ToLower(list[i].EnvironmentUUID)]
		}
	}
}
