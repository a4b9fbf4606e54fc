package provider

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// otherState is a state of another provider with the same resource type.
type otherState struct {
	comment string // comment is the comment in Bitbucket.
	config  map[string]string
	// unread means that a plan without a refresh needs values that the state does not have.
	unread bool
	// sensitive means that a sensitive mark is removed, which Terraform shows as an update.
	sensitive bool
}

func otherStates() map[string]otherState {
	const comment = "deploy@example.com"
	bare := map[string]string{"key": acctest.BareKey, "label": "ci"}
	withComment := map[string]string{"key": acctest.BareKey + " " + comment, "label": "ci"}
	withNewline := map[string]string{"key": acctest.BareKey + " " + comment + "\n", "label": "ci"}
	return map[string]otherState{
		"drfaust92-created":                  {config: bare},
		"drfaust92-created-with-comment":     {comment: comment, config: withComment},
		"drfaust92-created-with-newline":     {comment: comment, config: withNewline},
		"drfaust92-created-with-uuid":        {comment: comment, config: map[string]string{"key": withComment["key"], "label": "ci", "repository": acctest.WebsiteUUID}},
		"drfaust92-created-without-label":    {comment: comment, config: withComment, unread: true},
		"drfaust92-display-name-beside-slug": {comment: comment, config: withComment},
		"drfaust92-imported":                 {comment: comment, config: withComment, unread: true},
		"drfaust92-stale":                    {comment: comment, config: withNewline, unread: true},
		"gilesgamon-created":                 {comment: comment, config: withComment},
		"gilesgamon-project-created":         {comment: comment, config: withNewline},
		"zahiar-created":                     {config: bare, sensitive: true},
		"zahiar-created-with-comment":        {comment: comment, config: withComment, sensitive: true},
		"zahiar-created-with-newline":        {comment: comment, config: withNewline, sensitive: true},
		"zahiar-imported":                    {comment: comment, config: withComment, sensitive: true},
	}
}

// The plan for the state of another provider is empty. The key can then be changed and removed.
func TestDeployKey_replaceProvider(t *testing.T) {
	t.Parallel()
	for state, tc := range otherStates() {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			f, terraform := acctest.Switching(t, state, tc.comment)
			parent := acctest.ParentOfState(state)
			run := func() *keyRun { return newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"}) }
			stored := run().upgraded(t, acctest.ReadFile(t, terraform.Dir+"/terraform.tfstate"))
			if !tc.unread {
				run().plan(t, stored, tc.config).expect(t, nil, nil, nil)
			}
			collection := strings.Replace(parent.Collection(), parent.Name, url.PathEscape(cmp.Or(tc.config["repository"], parent.Name)), 1)
			run().warned(t, []string{"GET " + collection + " 200"}, "", 0, keyStep(stored, tc.config))
			r := run()
			stored = r.refresh(t, stored)
			r.plan(t, stored, tc.config).expect(t, nil, nil, nil)

			changed := maps.Clone(tc.config)
			changed["label"] = "changed"
			plan := r.plan(t, stored, changed)
			if parent.IsProject() {
				stored, _ = r.applyKey(t, stored, r.planDelete(t, stored))
				plan = r.planAgain(t, plan)
			}
			stored, ok := r.applyKey(t, stored, plan)
			if key := f.OnlyKeyOf(t, parent); !ok || key.Label != "changed" {
				t.Fatalf("Bitbucket has %+v", key)
			}
			r = run()
			r.plan(t, r.refresh(t, stored), changed).expect(t, nil, nil, nil)
			if _, ok := r.applyKey(t, stored, r.planDelete(t, stored)); !ok || len(f.Keys(parent)) > 0 {
				t.Errorf("Bitbucket still has %v", f.Keys(parent))
			}
		})
	}
}

// upgraded returns the key in the file of a state, as this provider reads it.
func (r *keyRun) upgraded(t *testing.T, file string) *storedKey {
	t.Helper()
	var state struct {
		Resources []struct {
			Instances []struct {
				SchemaVersion int64 `json:"schema_version"`
				Attributes    json.RawMessage
				Private       []byte
			}
		}
	}
	decode(t, []byte(file), &state)
	instance := state.Resources[0].Instances[0]
	resp, err := r.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{
		TypeName: r.parent.TypeName, Version: instance.SchemaVersion, RawState: &tfprotov6.RawState{JSON: instance.Attributes},
	})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatal(err, diagnosed(resp.Diagnostics))
	}
	return &storedKey{resp.UpgradedState, instance.Private}
}

// The command of the guide replaces the provider.
func TestAccDeployKey_replaceProvider(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"drfaust92-created-with-comment", "gilesgamon-project-created", "zahiar-created-with-newline"} {
		tc := otherStates()[state]
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			f, terraform := acctest.Switching(t, state, tc.comment)
			parent, changed := acctest.ParentOfState(state), "0 added, 1 changed, 0 destroyed"
			if parent.IsProject() {
				changed = "1 added, 0 changed, 1 destroyed"
			}
			resource := parent.DeployKey(acctest.KeyLine(tc.config["key"]), `label = "ci"`)
			terraform.Write(t, f.Config(resource))
			old, _, _ := strings.Cut(state, "-")
			terraform.ReplaceProvider(t, old+"/bitbucket")
			if tc.sensitive {
				acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "will no longer be marked as sensitive", "0 added, 1 changed, 0 destroyed")
			} else {
				terraform.MustRun(t, "plan", "-detailed-exitcode", "-refresh=false")
			}
			terraform.MustRun(t, "plan", "-detailed-exitcode")
			f.ExpectWrites(t)()

			terraform.Write(t, f.Config(strings.Replace(resource, `"ci"`, `"changed"`, 1)))
			acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), changed)
			terraform.MustRun(t, "destroy", "-auto-approve")
			if keys := f.Keys(parent); len(keys) > 0 {
				t.Errorf("Bitbucket still has %v", keys)
			}
		})
	}
}

// If the other provider did not store the key, a plan without a refresh cannot know it.
// Such a plan must not replace the key.
func TestAccDeployKey_replaceProviderUnread(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.Switching(t, "drfaust92-imported", "")
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.BareKey), `label = "ci"`)))
	terraform.ReplaceProvider(t, "drfaust92/bitbucket")
	terraform.Fails(t, []string{"plan", "-refresh=false"}, "Deploy key was not read yet", "Plan without -refresh=false")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// Bitbucket does not find a repository by the display name in the state. To follow the
// advice of the error solves the problem and writes nothing.
func TestAccDeployKey_replaceProviderDisplayName(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.Switching(t, "drfaust92-display-name", "deploy@example.com")
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.BareKey+" deploy@example.com"), `label = "ci"`)))
	terraform.ReplaceProvider(t, "drfaust92/bitbucket")
	terraform.Fails(t, []string{"plan"}, "Unable to read deploy key", "404 Not Found", "put the new name into the configuration", "-refresh=false")
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 1 changed, 0 destroyed")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	f.ExpectWrites(t)()
}

// The error about an unreadable state names what is missing and describes how to import.
func TestAccDeployKey_replaceProviderUnknownShape(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.Switching(t, "unknown-shape", "")
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.BareKey), `label = "ci"`)))
	terraform.ReplaceProvider(t, "drfaust92/bitbucket")
	terraform.Fails(t, []string{"plan"}, "Unable to take over deploy key", "lacks the workspace, the repository, the ID of the key",
		"terraform state rm ADDRESS", "terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID")
	terraform.MustRun(t, "state", "rm", acctest.Address)
	terraform.MustRun(t, "import", acctest.Address, "acme/website/10958984")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// The plan is empty for a recorded state of each schema version that was released.
func TestAccDeployKey_recordedState(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"own-version-1", "own-project-version-1"} {
		f, terraform := acctest.Switching(t, state, "deploy@example.com")
		terraform.Write(t, f.Config(acctest.ParentOfState(state).DeployKey(acctest.KeyLine(acctest.BareKey+" deploy@example.com"), `label = "ci"`)))
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		f.ExpectWrites(t)()
	}
}

// A moved block moves a key from a resource type with another name, as the guide shows.
func TestAccDeployKey_movedFromOtherProvider(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.MovedTypes)
	for state, oldType := range map[string]string{"fabianschurig-created": "bitbucket_repo_deploy_keys", "fabianschurig-project-imported": "bitbucket_project_deploy_keys"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			old, parent := providerserver.NewProtocol6(acctest.OtherProvider{}), acctest.ParentOfState(state)
			f, terraform := acctest.Switching(t, state, "deploy@example.com", acctest.AttachedAs(t, map[string]func() tfprotov6.ProviderServer{
				"bitbucket-deploy-keys/bitbucket": NewServer("test"), "fabianschurig/bitbucket": old,
			}))
			config := parent.DeployKey(acctest.KeyLine(acctest.BareKey+" deploy@example.com"), `label = "ci"`)
			terraform.Write(t, f.Config(config)+fmt.Sprintf("moved {\n  from = %s.old\n  to = %s\n}\n", oldType, parent.Address()))
			acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "0 added, 0 changed, 0 destroyed")
			terraform.MustRun(t, "plan", "-detailed-exitcode")
			f.ExpectWrites(t)()

			terraform.Write(t, f.Config(strings.Replace(config, `"ci"`, `"changed"`, 1)))
			terraform.MustRun(t, "apply", "-auto-approve")
			if key := f.OnlyKeyOf(t, parent); key.Label != "changed" {
				t.Errorf("Bitbucket has %+v", key)
			}
			terraform.MustRun(t, "destroy", "-auto-approve")
			if keys := f.Keys(parent); len(keys) > 0 {
				t.Errorf("Bitbucket still has %v", keys)
			}
		})
	}
}

// A configuration can use both providers. Each deploy key then names this provider, and no
// command is needed.
func TestAccDeployKey_besideOtherProvider(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.Switching(t, "drfaust92-created-with-comment", "deploy@example.com", acctest.AttachedAs(t, map[string]func() tfprotov6.ProviderServer{
		"bitbucket-deploy-keys/bitbucket": NewServer("test"), "drfaust92/bitbucket": providerserver.NewProtocol6(acctest.OtherProvider{}),
	}))
	config := f.Config(acctest.DeployKey("provider = deploykeys", acctest.KeyLine(acctest.BareKey+" deploy@example.com"), `label = "ci"`))
	config = strings.NewReplacer("    bitbucket = {\n", "    bitbucket = {\n      source = \"drfaust92/bitbucket\"\n    }\n    deploykeys = {\n",
		`provider "bitbucket" {`, "provider \"bitbucket\" {}\n\nprovider \"deploykeys\" {").Replace(config)
	terraform.Write(t, config)
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	f.ExpectWrites(t)()

	terraform.Write(t, strings.Replace(config, `"ci"`, `"changed"`, 1))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "0 added, 1 changed, 0 destroyed")
	terraform.MustRun(t, "destroy", "-auto-approve")
	if keys := f.DeployKeys("acme", "website"); len(keys) > 0 {
		t.Errorf("Bitbucket still has %v", keys)
	}
}

// To switch back, restore the old state. It still matches Bitbucket.
func TestAccDeployKey_switchBack(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.Switching(t, "zahiar-created", "")
	before, err := os.ReadFile(filepath.Join(terraform.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	terraform.WriteFile(t, "before.tfstate", string(before))
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.BareKey), `label = "ci"`)))
	terraform.ReplaceProvider(t, "zahiar/bitbucket")
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.MustRun(t, "state", "push", "-force", "before.tfstate")
	after, err := os.ReadFile(filepath.Join(terraform.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	acctest.Contains(t, strings.ReplaceAll(string(after), " ", ""), "zahiar/bitbucket", `"schema_version":0`) // OpenTofu 1.10 writes no spaces.
	f.ExpectWrites(t)()
}

// The resource type and the content decide what a move accepts, not the address of the
// other provider.
func TestDeployKey_moveState(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		typeName, json string
		id             string // id is the ID of the key, "" for a state that is not accepted.
		refused        string
	}{
		"key_id is a number":          {"bitbucket_deploy_key", `{"workspace":"acme","repository":"website","key_id":9007199254740993,"key":null}`, "acme/website/9007199254740993", ""},
		"other type":                  {"bitbucket_repository_deploy_key", `{"workspace":"acme","repo_slug":"website","id":"7","label":["?"],"key":"no key"}`, "acme/website/7", ""},
		"our own":                     {"bitbucket_deploy_key", `{"workspace":"acme","repository":"website","id":"acme/website/7","key_id":7,"repository_uuid":"{1}"}`, "acme/website/7", ""},
		"project key":                 {"bitbucket_project_deploy_keys", `{"workspace":"acme","project_key":"WEB","key_id":"7"}`, "", ""},
		"our own, of project":         {"bitbucket_project_deploy_key", `{"workspace":"acme","project":"WEB","id":"acme/WEB/7","key_id":7,"project_uuid":"{1}"}`, "", ""},
		"another thing":               {"bitbucket_repository", `{"workspace":"acme","repository":"website","id":"7"}`, "", ""},
		"another product":             {"github_repository_deploy_key", `{"repository":"website","id":"website:7"}`, "", ""},
		"no number":                   {"bitbucket_deploy_key", `{"workspace":"acme","repository":"website","id":""}`, "", "lacks the ID of the key"},
		"no repository":               {"bitbucket_deploy_key", `{"workspace":"acme","repository":"..","id":"7"}`, "", "lacks the repository"},
		"no object":                   {"bitbucket_deploy_key", `[]`, "", "lacks the workspace, the repository, the ID"},
		"project: key_id is a number": {"bitbucket_deploy_key", `{"workspace":"acme","project_key":"WEB","key_id":9007199254740993,"key":null}`, "acme/WEB/9007199254740993", ""},
		"project: other type":         {"bitbucket_project_deploy_keys", `{"workspace":"acme","project":{"key":"X"},"project_key":"WEB","id":"7","label":["?"],"key":"no key"}`, "acme/WEB/7", ""},
		"project: name in the id":     {"bitbucket_project_deploy_key", `{"workspace":"acme","project_key":"web","id":"acme/WEB/7","key_id":"7"}`, "acme/WEB/7", ""},
		"project: our own":            {"bitbucket_project_deploy_key", `{"workspace":"acme","project":"WEB","id":"acme/WEB/7","key_id":7,"project_uuid":"{1}"}`, "acme/WEB/7", ""},
		"project: of repository":      {"bitbucket_repo_deploy_keys", `{"workspace":"acme","repo_slug":"website","key_id":"7"}`, "", ""},
		"project: another thing":      {"bitbucket_project", `{"workspace":"acme","project_key":"WEB","id":"7"}`, "", ""},
		"project: no number":          {"bitbucket_project_deploy_key", `{"workspace":"acme","project_key":"WEB","id":""}`, "", "lacks the ID of the key"},
		"project: no project":         {"bitbucket_project_deploy_key", `{"workspace":"acme","project_key":"..","id":"7"}`, "", "lacks the project.*WORKSPACE/PROJECT/KEY_ID.*in the settings of the project"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := acctest.Website
			if strings.HasPrefix(name, "project: ") {
				target = acctest.WEB
			}
			resp, err := NewServer("test")().MoveResourceState(t.Context(), &tfprotov6.MoveResourceStateRequest{
				SourceProviderAddress: "mirror.example.com/somebody/bitbucket", SourceTypeName: tc.typeName,
				SourceState: &tfprotov6.RawState{JSON: []byte(tc.json)}, TargetTypeName: target.TypeName,
			})
			if err != nil {
				t.Fatal(err)
			}
			var messages string
			for _, d := range resp.Diagnostics {
				messages += d.Summary + ": " + d.Detail
			}
			switch {
			case tc.id == "":
				if resp.TargetState != nil || !regexp.MustCompile("(?s)"+tc.refused).MatchString(messages) {
					t.Errorf("got %v, %s", resp.TargetState, messages)
				}
				if unsupported := strings.Contains(messages, "Unable to Move Resource State"); unsupported != (tc.refused == "") {
					t.Errorf("got %s", messages)
				}
			case messages != "" || !strings.Contains(string(resp.TargetState.MsgPack), tc.id) || resp.TargetIdentity == nil:
				t.Errorf("got %s, %v, %v", messages, resp.TargetState, resp.TargetIdentity)
			}
		})
	}
}
