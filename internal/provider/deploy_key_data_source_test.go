package provider

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

func dataDeployKey(line string) string {
	return fmt.Sprintf("\ndata \"bitbucket_deploy_key\" \"test\" {\n  workspace = \"acme\"\n  repository = \"website\"\n  %s\n}\n", line)
}

func TestAccDeployKeyDataSource_basic(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	f.AddDeployKey("acme", "website", newKey(t), "other")
	existing := f.AddDeployKey("acme", "website", key+" me@host", "ci")
	f.EditDeployKey("acme", "website", existing.ID, func(k *emulator.DeployKey) { k.LastUsed = new("2026-11-01T10:00:00.5+00:00") })
	parsed, err := sshkey.Split(key)
	if err != nil {
		t.Fatal(err)
	}
	var steps []resource.TestStep
	for _, line := range []string{
		fmt.Sprintf("key_id = %d", existing.ID),
		`label = "ci"`,
		fmt.Sprintf("fingerprint_sha256 = %q", parsed.FingerprintSHA256()),
	} {
		step := resource.TestStep{Config: f.config(dataDeployKey(line))}
		for name, want := range map[string]knownvalue.Check{
			"id":                 knownvalue.StringExact(fmt.Sprintf("acme/website/%d", existing.ID)),
			"key_id":             knownvalue.Int64Exact(existing.ID),
			"key":                knownvalue.StringExact(key),
			"label":              knownvalue.StringExact("ci"),
			"comment":            knownvalue.StringExact("me@host"),
			"key_type":           knownvalue.StringExact("ssh-ed25519"),
			"fingerprint_sha256": knownvalue.StringExact(parsed.FingerprintSHA256()),
			"fingerprint_md5":    knownvalue.StringExact(parsed.FingerprintMD5()),
			"created_on":         knownvalue.NotNull(),
			"last_used":          knownvalue.StringExact("2026-11-01T10:00:00.5+00:00"),
			"repository_uuid":    knownvalue.StringExact(websiteUUID),
		} {
			step.ConfigStateChecks = append(step.ConfigStateChecks,
				statecheck.ExpectKnownValue("data.bitbucket_deploy_key.test", tfjsonpath.New(name), want))
		}
		steps = append(steps, step)
	}
	test(t, steps...)
}

// The id of another provider is the number alone. It finds the key and stays as
// it was written, with the advice to write key_id.
func TestAccDeployKeyDataSource_id(t *testing.T) {
	t.Parallel()
	f, terraform := newFake(t), newCLI(t, attached(t))
	f.AddDeployKey("acme", "website", newKey(t), "ci")
	for _, id := range []string{"10958984", "acme/website/10958984"} {
		terraform.write(t, f.config(dataDeployKey(fmt.Sprintf("id = %q", id))+"output \"found\" {\n  value = [data.bitbucket_deploy_key.test.id, data.bitbucket_deploy_key.test.label]\n}\n"))
		contains(t, terraform.must(t, "apply", "-auto-approve"), "Warning: Setting id is deprecated", "Write key_id")
		if got, want := terraform.output(t, "found"), fmt.Sprintf("[%q,\"ci\"]", id); strings.TrimSpace(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAccDeployKeyDataSource_errors(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	one, two := f.AddDeployKey("acme", "website", newKey(t), "ci"), f.AddDeployKey("acme", "website", newKey(t), "ci")
	f.AddDeployKey("acme", "website", newKey(t), "alone")
	step := func(line string, want ...string) resource.TestStep {
		return resource.TestStep{Config: f.config(dataDeployKey(line)), ExpectError: message(want...)}
	}
	test(t,
		step(`label = "ci"`, "No single deploy key found", "2 deploy keys of acme/website", fmt.Sprintf(`%d  "ci"`, one.ID), fmt.Sprintf(`%d  "ci"`, two.ID)),
		step(`label = "nobody"`, "No single deploy key found", "No deploy key of acme/website", fmt.Sprintf(`%d  "ci"`, one.ID), `"alone"`),
		step(`fingerprint_sha256 = "SHA256:`+strings.Repeat("A", 43)+`"`, "No single deploy key found", "fingerprint SHA256:AAAA"),
		step(`fingerprint_sha256 = "aa:bb"`, "must be a fingerprint as ssh-keygen"),
		step(`key_id = 1`, "No single deploy key found", "No deploy key of acme/website has the number 1", fmt.Sprintf(`%d  "ci"`, one.ID)),
		step(`key_id = 0`, "must be at least 1"),
		step(`id = "acme/7"`, "Invalid id", "must be workspace/repository/key_id, or the number of a key"),
		step("key_id = 1\n  id = \"1\"", "Invalid Attribute Combination"),
		step("", "Invalid Attribute Combination"),
		step("key_id = 1\n  label = \"ci\"", "Invalid Attribute Combination"),
		resource.TestStep{
			PreConfig:   func() { f.RemoveRepository("acme", "website") },
			Config:      f.config(dataDeployKey(`label = "ci"`)),
			ExpectError: message("Unable to list deploy keys", "404 Not Found", "deleted or renamed, or these credentials cannot see it"),
		},
	)
}

func TestAccDeployKeysDataSource_pages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var want []knownvalue.Check
	for i := range 250 {
		key := f.AddDeployKey("acme", "website", newKey(t), fmt.Sprintf("label %d", i))
		want = append(want, knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"key_id":    knownvalue.Int64Exact(key.ID),
			"label":     knownvalue.StringExact(key.Label),
			"id":        knownvalue.StringExact(fmt.Sprintf("acme/website/%d", key.ID)),
			"last_used": knownvalue.Null(),
		}))
	}
	const config = "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  repository = %q\n}\n"
	test(t,
		resource.TestStep{
			Config: f.config(fmt.Sprintf(config, "website")),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.bitbucket_deploy_keys.test", tfjsonpath.New("keys"), knownvalue.ListExact(want)),
			},
			PostApplyFunc: func() {
				var queries []string
				for _, request := range f.Requests() {
					queries = append(queries, request.Query)
				}
				if len(queries) < 3 || !slices.Equal(queries[:3], []string{"pagelen=100", "pagelen=100&page=2", "pagelen=100&page=3"}) {
					t.Errorf("asked for %v", queries)
				}
			},
		},
		resource.TestStep{
			Config: f.config(fmt.Sprintf(config, "api")),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.bitbucket_deploy_keys.test", tfjsonpath.New("keys"), knownvalue.ListSizeExact(0)),
			},
		},
		// A page that fails fails the list: it is never silently shorter.
		resource.TestStep{
			PreConfig:   func() { f.Inject(emulator.Fault{Skip: 2, Status: 403}) },
			Config:      f.config(fmt.Sprintf(config, "website")),
			ExpectError: message("Unable to list deploy keys", "403 Forbidden"),
		},
	)
}

func dataSearch(lines ...string) string {
	return "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  " + strings.Join(lines, "\n  ") + "\n}\n"
}

// foundKeys are the ids of the keys that were found, in their order.
func foundKeys(repository func(i int) string, ids ...int64) statecheck.StateCheck {
	want := make([]knownvalue.Check, len(ids))
	for i, id := range ids {
		slug := repository(i)
		want[i] = knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"id":         knownvalue.StringExact(fmt.Sprintf("acme/%s/%d", slug, id)),
			"workspace":  knownvalue.StringExact("acme"),
			"repository": knownvalue.StringExact(slug),
			"key_id":     knownvalue.Int64Exact(id),
		})
	}
	return statecheck.ExpectKnownValue("data.bitbucket_deploy_keys.test", tfjsonpath.New("keys"), knownvalue.ListExact(want))
}

// Without a repository all of the workspace are searched, sorted by their names.
func TestAccDeployKeysDataSource_workspace(t *testing.T) {
	t.Parallel()
	f := newAudited(t)
	var shared deployKeyModel
	shared.flatten(bitbucket.Place{}, &bitbucket.DeployKey{Key: f.DeployKeys("acme", "api")[0].Key})
	api, website := func(int) string { return "api" }, func(int) string { return "website" }
	both := func(i int) string { return map[bool]string{true: "api", false: "website"}[i < 2] }
	one := func(i int) string { return []string{"api", "website"}[i] }
	step := func(check statecheck.StateCheck, lines ...string) resource.TestStep {
		return resource.TestStep{Config: f.config(dataSearch(lines...)), ConfigStateChecks: []statecheck.StateCheck{check}}
	}
	fails := func(line string, want ...string) resource.TestStep {
		return resource.TestStep{Config: f.config(dataSearch(line)), ExpectError: message(want...)}
	}
	test(t,
		step(foundKeys(both, 10958987, 10958988, 10958984, 10958985)),
		step(foundKeys(website, 10958984, 10958985), `project = "WEB"`),
		step(foundKeys(website, 10958985), `label_pattern = "(?i)^DEPLOY"`),
		step(foundKeys(one, 10958987, 10958984), fmt.Sprintf("fingerprint_sha256 = %q", shared.FingerprintSHA256.ValueString())),
		step(foundKeys(api, 10958987, 10958988), `repository = "api"`, `label_pattern = "^$"`),
		step(foundKeys(api), `project = "NONE"`),
		fails(`label_pattern = "["`, "Invalid label_pattern", "missing closing ]"),
		fails(`project = "web"`, "Expected the key of a project"),
		fails("project = \"WEB\"\n  repository = \"api\"", "Invalid Attribute Combination"),
		fails(`repository = "secret"`, "Unable to list deploy keys", "403 Forbidden"),
		resource.TestStep{
			PreConfig:   func() { f.Inject(emulator.Fault{Path: "/acme/empty/deploy-keys", Status: 400}) },
			Config:      f.config(dataSearch()),
			ExpectError: message("Unable to list deploy keys", "acme/empty", "400"),
		},
		resource.TestStep{
			PreConfig:   func() { f.ClearFaults(); f.RenameWorkspace("acme", "other-name") },
			Config:      f.config(dataSearch()),
			ExpectError: message("Unable to list repositories", "404 Not Found", "Either the workspace was deleted or renamed", "read:repository:bitbucket", "that can see the workspace"),
		},
	)
}

// A token for deploy keys alone cannot find the repositories.
func TestAccDeployKeysDataSource_scopes(t *testing.T) {
	t.Parallel()
	f, terraform := newAudited(t), newCLI(t)
	f.AllowBasic("ci@example.com", "api-token", "admin:repository:bitbucket")
	terraform.write(t, f.config(dataSearch()))
	terraform.fails(t, []string{"plan"}, "Unable to list repositories", "403 Forbidden", "Required scopes: read:repository:bitbucket", "scopes read:repository:bitbucket (OAuth: repository)")
	// And one without that scope is no list of repositories that are all hidden.
	f.AllowBasic("ci@example.com", "api-token", "read:repository:bitbucket")
	terraform.fails(t, []string{"plan"}, "Unable to list deploy keys", "403 Forbidden", "Required scopes: admin:repository:bitbucket")
	f.AllowBasic("ci@example.com", "api-token", "admin:repository:bitbucket", "read:repository:bitbucket")
	contains(t, terraform.must(t, "apply", "-auto-approve"), "Warning: Deploy keys of some repositories are not included", "acme/secret")
}

// What an audit of a workspace costs.
func TestAccDeployKeysDataSource_cost(t *testing.T) {
	t.Parallel()
	var repositories []emulator.Repository
	for i := range 250 {
		keys := []emulator.DeployKey{{Key: newKey(t)}}
		if i < 150 {
			keys = append(keys, emulator.DeployKey{Key: newKey(t)})
		}
		repositories = append(repositories, emulator.Repository{Slug: fmt.Sprintf("repository-%d", i), DeployKeys: keys})
	}
	f, terraform := startFake(t, repositories), newCLI(t)
	terraform.write(t, f.config(dataSearch()+"\noutput \"number\" {\n  value = \"${length(data.bitbucket_deploy_keys.test.keys)} keys\"\n}\n"))
	contains(t, terraform.must(t, "plan"), `number = "400 keys"`)
	most := f.MaxInFlight()
	if sent := f.sent(); len(sent) != 3+250 || most > 10 {
		t.Errorf("%d requests, %d at once", len(sent), most)
	}
}
