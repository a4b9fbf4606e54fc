package acctest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Address is the address of the resource that DeployKey declares.
const Address = "bitbucket_deploy_key.test"

// DeployKey returns a resource with these lines. It is for acme/website, unless the lines
// name another repository.
func DeployKey(lines ...string) string { return Website.DeployKey(lines...) }

// DataDeployKey returns a data source for one key of acme/website.
func DataDeployKey(line string) string { return Website.Data(line) }

// The environments of the deployments that tests add.
const (
	ProductionUUID = "{8a1ea3a4-6a09-4ae3-ba0c-9ab2d8a2b0cc}"
	StagingUUID    = "{8a1ea3a4-6a09-4ae3-ba0c-9ab2d8a2b0dd}"
)

// DataDeployments returns a data source for the deployments of acme/website, unless a line
// names another repository.
func DataDeployments(lines ...string) string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "repository") }) {
		lines = append(lines, `repository = "website"`)
	}
	return "\ndata \"bitbucket_deployments\" \"test\" {\n  workspace = \"acme\"\n  " + strings.Join(lines, "\n  ") +
		"\n}\n\noutput \"uuids\" {\n  value = data.bitbucket_deployments.test.deployments[*].uuid\n}\n"
}

// DataHostKeys is a data source for the host keys, with an output.
const DataHostKeys = `
data "bitbucket_ssh_host_keys" "test" {}

output "known_hosts" {
  value = data.bitbucket_ssh_host_keys.test.known_hosts
}
`

// DataEnvironments returns a data source for the environments of acme/website, unless a line
// names another repository.
func DataEnvironments(lines ...string) string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "repository") }) {
		lines = append(lines, `repository = "website"`)
	}
	return "\ndata \"bitbucket_environments\" \"test\" {\n  workspace = \"acme\"\n  " + strings.Join(lines, "\n  ") +
		"\n}\n\noutput \"environments\" {\n  value = data.bitbucket_environments.test.environments\n}\n"
}

// KeyLine returns the line of a configuration that sets the key.
func KeyLine(key string) string { return fmt.Sprintf("key = %q", key) }

// HCL returns a text as a quoted string of a configuration.
func HCL(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// OutputBlock returns an output with this value.
func OutputBlock(value string) string { return "\noutput \"test\" {\n  value = " + value + "\n}\n" }

// ParseCall returns a call of the function parse_ssh_public_key.
func ParseCall(argument string) string {
	return "provider::bitbucket::parse_ssh_public_key(" + argument + ")"
}

// ImportIDCall returns a call of the function deploy_key_import_id.
func ImportIDCall(workspace, repository, keyID string) string {
	return fmt.Sprintf("provider::bitbucket::deploy_key_import_id(%s, %s, %s)", workspace, repository, keyID)
}
