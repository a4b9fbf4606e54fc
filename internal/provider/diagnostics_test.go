package provider

import (
	"strings"
	"testing"
)

// An operation that lacks a field would name the scopes and the account of another one.
func TestOperations_complete(t *testing.T) {
	t.Parallel()
	summaries := map[string]bool{}
	for _, o := range []operation{
		createDeployKey, readDeployKey, listDeployKeys, updateDeployKey, deleteDeployKey, listRepositories, listProjects, listDeployments, listEnvironments,
	} {
		if o.summary == "" || summaries[o.summary] || !strings.Contains(o.request, "%s") {
			t.Errorf("%+v has no summary of its own, or its request does not name the parent", o)
		}
		summaries[o.summary] = true
		if o.deployKeys != (o.account == "") || o.deployKeys != (o.object == "") || !o.deployKeys && (o.scopes == "" || o.oauth == "") {
			t.Errorf("%q must have scopes, oauth, account and object, or be about deploy keys", o.summary)
		}
		if o.writes != (o.verb != "") || o.writes != (o.ownScope != "" && strings.Contains(o.scopes, o.ownScope)) {
			t.Errorf("%q must have a verb and a scope of its own if it changes deploy keys", o.summary)
		}
		needed := o.requiredCredentials(repositoryKind)
		if admin := strings.Contains(needed, "admin:repository:bitbucket"); admin != o.deployKeys {
			t.Errorf("%q: %s", o.summary, needed)
		}
	}
}
