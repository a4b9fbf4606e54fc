package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const readHostKeys = "GET /site/ssh 200"

func TestAccSSHHostKeys_basic(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	lines := slices.Collect(strings.Lines(emulator.HostKeys))
	key := func(line, fingerprint string) knownvalue.Check {
		fields := strings.Fields(line)
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"host":               knownvalue.StringExact(fields[0]),
			"type":               knownvalue.StringExact(fields[1]),
			"key":                knownvalue.StringExact(fields[2]),
			"fingerprint_sha256": knownvalue.StringExact(fingerprint),
		})
	}
	read := func(attribute string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.bitbucket_ssh_host_keys.test", tfjsonpath.New(attribute), check)
	}
	const (
		ed25519 = "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM"
		rsa     = "SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E"
	)
	acctest.Test(t,
		acctest.Step{
			PreConfig: func() { f.SetHostKeys("# Host keys\r\n" + lines[2] + lines[0] + "\r\n" + lines[1] + lines[0]) },
			Config:    f.Config(acctest.DataHostKeys),
			ConfigStateChecks: []statecheck.StateCheck{
				read("known_hosts", knownvalue.StringExact(emulator.HostKeys)),
				read("keys", knownvalue.ListExact([]knownvalue.Check{
					key(lines[0], "SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0"),
					key(lines[1], ed25519),
					key(lines[2], rsa),
				})),
			},
		},
		acctest.Step{
			PreConfig: func() { f.SetHostKeys(lines[1]) }, // A rotation that leaves one key.
			Config:    f.Config(acctest.DataHostKeys),
			ConfigStateChecks: []statecheck.StateCheck{
				read("known_hosts", knownvalue.StringExact(lines[1])),
				read("keys", knownvalue.ListExact([]knownvalue.Check{key(lines[1], ed25519)})),
			},
		},
		acctest.Step{
			PreConfig: func() { f.SetHostKeys("ssh." + lines[1] + "ssh.bitbucket.org," + lines[1] + lines[2]) }, // Both names.
			Config:    f.Config(acctest.DataHostKeys),
			ConfigStateChecks: []statecheck.StateCheck{
				read("known_hosts", knownvalue.StringExact(lines[1]+lines[2]+"ssh."+lines[1])),
				read("keys", knownvalue.ListExact([]knownvalue.Check{key(lines[1], ed25519), key(lines[2], rsa), key("ssh."+lines[1], ed25519)})),
			},
		},
		acctest.Step{
			PreConfig: func() { f.SetHostKeys("ssh." + lines[1]) }, // The new name alone.
			Config:    f.Config(acctest.DataHostKeys),
			ConfigStateChecks: []statecheck.StateCheck{
				read("known_hosts", knownvalue.StringExact("ssh."+lines[1])),
				read("keys", knownvalue.ListExact([]knownvalue.Check{key("ssh."+lines[1], ed25519)})),
			},
		},
	)
}

// Each data block costs one request in a plan, and none in the apply of a saved plan. No
// request has credentials, and an OAuth consumer fetches no access token.
func TestAccSSHHostKeys_requests(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.AllowAccessToken("access-token")
	f.AllowConsumer("id", "secret", 7200)
	expect := func(t *testing.T, command string, want ...string) {
		t.Helper()
		for _, request := range f.Requests() {
			if request.Authorization != "" || !strings.HasPrefix(request.UserAgent, "terraform-provider-bitbucket/") {
				t.Errorf("%s sent %+v", command, request)
			}
		}
		if sent := f.Sent(); !slices.Equal(sent, want) {
			t.Errorf("%s sent %q", command, sent)
		}
	}
	for name, attributes := range map[string]map[string]string{
		"API token":    {"username": "ci@example.com", "token": "api-token"},
		"wrong token":  {"token": "wrong"},
		"access token": {"token": "access-token"},
		"consumer":     {"oauth_client_id": "id", "oauth_client_secret": "secret"},
	} {
		server := acctest.NewServer(t)
		attributes["base_url"] = f.URL + "/2.0"
		configured, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: acctest.ProtocolObject(t, server.Schemas.Provider, attributes)})
		if err != nil || len(configured.Diagnostics) > 0 {
			t.Fatal(err, configured)
		}
		for range 2 {
			if read := readData(t, server, "bitbucket_ssh_host_keys", nil); len(read.diagnostics) > 0 || len(read.column(t, "keys", "host")) != 3 {
				t.Errorf("%s: got %v, %s", name, read.attributes, acctest.Reported(read.diagnostics))
			}
			expect(t, name, readHostKeys)
		}
	}

	terraform := acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DataHostKeys+strings.ReplaceAll(strings.ReplaceAll(acctest.DataHostKeys, `"test"`, `"again"`), `"known_hosts"`, `"again"`)))
	terraform.MustRun(t, "plan", "-out=saved.tfplan")
	expect(t, "plan of two", readHostKeys, readHostKeys)
	terraform.MustRun(t, "apply", "saved.tfplan")
	expect(t, "apply of the plan")
	terraform.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
	expect(t, "second plan", readHostKeys, readHostKeys)
}

// A changed host key shows in the plan.
func TestAccSSHHostKeys_rotation(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DataHostKeys))
	terraform.MustRun(t, "apply", "-auto-approve")
	lines := slices.Collect(strings.Lines(emulator.HostKeys))
	f.SetHostKeys(lines[0] + lines[1])
	acctest.Contains(t, terraform.MustRun(t, "plan"), "Changes to Outputs", "- "+strings.TrimSpace(lines[2]))
}
