package provider

import (
	"fmt"
	"slices"
	"strconv"
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

func dataDeployKey(line string) string { return website.data(line) }

func TestAccDeployKeyDataSource_basic(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		f.add(at, newKey(t), "other")
		existing := f.add(at, key+" me@host", "ci")
		f.edit(at, existing.ID, func(k *emulator.DeployKey) { k.LastUsed = new("2026-11-01T10:00:00.5+00:00") })
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
			step := resource.TestStep{Config: f.config(at.data(line))}
			for name, want := range map[string]knownvalue.Check{
				"id":                           knownvalue.StringExact(at.id(existing.ID)),
				"key_id":                       knownvalue.Int64Exact(existing.ID),
				"key":                          knownvalue.StringExact(key),
				"label":                        knownvalue.StringExact("ci"),
				"comment":                      knownvalue.StringExact("me@host"),
				"key_type":                     knownvalue.StringExact("ssh-ed25519"),
				"fingerprint_sha256":           knownvalue.StringExact(parsed.FingerprintSHA256()),
				"fingerprint_md5":              knownvalue.StringExact(parsed.FingerprintMD5()),
				"created_on":                   knownvalue.NotNull(),
				"last_used":                    knownvalue.StringExact("2026-11-01T10:00:00.5+00:00"),
				string(at.placeKind) + "_uuid": knownvalue.StringExact(at.uuid),
			} {
				step.ConfigStateChecks = append(step.ConfigStateChecks,
					statecheck.ExpectKnownValue("data."+at.address(), tfjsonpath.New(name), want))
			}
			steps = append(steps, step)
		}
		test(t, steps...)
	})
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
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newFake(t)
		one, two := f.add(at, newKey(t), "ci"), f.add(at, newKey(t), "ci")
		f.add(at, newKey(t), "alone")
		step := func(line string, want ...string) resource.TestStep {
			return resource.TestStep{Config: f.config(at.data(line)), ExpectError: message(want...)}
		}
		byID := step(`id = "acme/7"`, "Invalid id", "must be workspace/repository/key_id, or the number of a key")
		byBoth := step("key_id = 1\n  id = \"1\"", "Invalid Attribute Combination")
		if at.placeKind == onProject { // No other provider finds a key by it.
			byID, byBoth = step(`id = "acme/WEB/7"`, "Invalid Configuration for Read-Only Attribute"), step("key_id = 1\n  id = \"1\"", "Invalid Configuration for Read-Only Attribute")
		}
		test(t,
			step(`label = "ci"`, "No single deploy key found", "2 deploy keys of acme/"+at.name, fmt.Sprintf(`%d  "ci"`, one.ID), fmt.Sprintf(`%d  "ci"`, two.ID)),
			step(`label = "nobody"`, "No single deploy key found", "No deploy key of acme/"+at.name, fmt.Sprintf(`%d  "ci"`, one.ID), `"alone"`),
			step(`fingerprint_sha256 = "SHA256:`+strings.Repeat("A", 43)+`"`, "No single deploy key found", "fingerprint SHA256:AAAA"),
			step(`fingerprint_sha256 = "aa:bb"`, "must be a fingerprint as ssh-keygen"),
			step(`key_id = 1`, "No single deploy key found", "No deploy key of acme/"+at.name+" has the number 1. The "+string(at.placeKind)+" has these:", fmt.Sprintf(`%d  "ci"`, one.ID)),
			step(`key_id = 0`, "must be at least 1"),
			byID, byBoth,
			step("", "Invalid Attribute Combination"),
			step("key_id = 1\n  label = \"ci\"", "Invalid Attribute Combination"),
			resource.TestStep{
				PreConfig:   func() { f.removePlace(at) },
				Config:      f.config(at.data(`label = "ci"`)),
				ExpectError: message("Unable to list deploy keys", "list the deploy keys of "+at.String(), "404 Not Found", "Either the "+string(at.placeKind)+" was deleted or renamed, or these credentials cannot see it", "admin:"+string(at.placeKind)+":bitbucket"),
			},
		)
	})
}

func TestAccDeployKeysDataSource_pages(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newFake(t)
		var want []knownvalue.Check
		for i := range 250 {
			key := f.add(at, newKey(t), fmt.Sprintf("label %d", i))
			want = append(want, knownvalue.ObjectPartial(map[string]knownvalue.Check{
				"key_id":    knownvalue.Int64Exact(key.ID),
				"label":     knownvalue.StringExact(key.Label),
				"id":        knownvalue.StringExact(at.id(key.ID)),
				"last_used": knownvalue.Null(),
			}))
		}
		here, empty := f.config(at.search(at.in(at.name))), f.config(at.search(at.in(at.other)))
		test(t,
			resource.TestStep{
				Config: here,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("data."+at.typeName()+"s.test", tfjsonpath.New("keys"), knownvalue.ListExact(want)),
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
				Config: empty,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("data."+at.typeName()+"s.test", tfjsonpath.New("keys"), knownvalue.ListSizeExact(0)),
				},
			},
			// A page that fails fails the list: it is never silently shorter.
			resource.TestStep{
				PreConfig:   func() { f.Inject(emulator.Fault{Skip: 2, Status: 403}) },
				Config:      here,
				ExpectError: message("Unable to list deploy keys", "403 Forbidden"),
			},
		)
	})
}

// search is a data source for many keys.
func (p testPlace) search(lines ...string) string {
	return fmt.Sprintf("\ndata \"%ss\" \"test\" {\n  workspace = \"acme\"\n  %s\n}\n", p.typeName(), strings.Join(lines, "\n  "))
}

// found expects these keys, as names and numbers, in this order.
func (p testPlace) found(keys ...string) statecheck.StateCheck {
	want := make([]knownvalue.Check, len(keys))
	for i, key := range keys {
		name, number, _ := strings.Cut(p.said(key), "/")
		id, _ := strconv.ParseInt(number, 10, 64)
		want[i] = knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"id":                knownvalue.StringExact(p.named(name).id(id)),
			"workspace":         knownvalue.StringExact("acme"),
			string(p.placeKind): knownvalue.StringExact(name),
			"key_id":            knownvalue.Int64Exact(id),
		})
	}
	return statecheck.ExpectKnownValue("data."+p.typeName()+"s.test", tfjsonpath.New("keys"), knownvalue.ListExact(want))
}

// Without a repository or project all of the workspace are searched, sorted by
// their names.
func TestAccDeployKeysDataSource_workspace(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newAudited(t, at)
		var shared deployKeyModel
		shared.flatten(bitbucket.Place{}, &bitbucket.DeployKey{Key: f.keys(at.named(at.other))[0].Key})
		step := func(check statecheck.StateCheck, lines ...string) resource.TestStep {
			return resource.TestStep{Config: f.config(at.search(lines...)), ConfigStateChecks: []statecheck.StateCheck{check}}
		}
		fails := func(line string, want ...string) resource.TestStep {
			return resource.TestStep{Config: f.config(at.search(line)), ExpectError: message(want...)}
		}
		steps := []resource.TestStep{
			step(at.found("api/10958987", "api/10958988", "website/10958984", "website/10958985")),
			step(at.found("website/10958984", "website/10958985"), `project = "WEB"`),
			step(at.found("website/10958985"), `label_pattern = "(?i)^DEPLOY"`),
			step(at.found("api/10958987", "website/10958984"), fmt.Sprintf("fingerprint_sha256 = %q", shared.FingerprintSHA256.ValueString())),
			step(at.found("api/10958987", "api/10958988"), at.in(at.other), `label_pattern = "^$"`),
			fails(`label_pattern = "["`, "Invalid label_pattern", "missing closing ]"),
			fails(`project = "web"`, "Expected the key of a project"),
			fails(at.in(at.said("secret")), "Unable to list deploy keys", "403 Forbidden"),
		}
		if at.placeKind == onRepository {
			steps = append(steps,
				step(at.found(), `project = "NONE"`),
				fails("project = \"WEB\"\n  repository = \"api\"", "Invalid Attribute Combination"),
			)
		} else {
			steps = append(steps, fails(`project = "NONE"`, "Unable to list deploy keys", "404 Not Found"))
		}
		test(t, append(steps,
			resource.TestStep{
				PreConfig:   func() { f.Inject(emulator.Fault{Path: at.said("/empty/deploy-keys"), Status: 400}) },
				Config:      f.config(at.search()),
				ExpectError: message("Unable to list deploy keys", at.said("acme/empty"), "400"),
			},
			resource.TestStep{
				PreConfig:   func() { f.ClearFaults(); f.Inject(emulator.Redirect("https://login.example.com/")) },
				Config:      f.config(at.search()),
				ExpectError: message(at.said("Unable to list repositories"), "The address has moved: the workspace may have another name now", "Check workspace, base_url"),
			},
			resource.TestStep{
				PreConfig:   func() { f.ClearFaults(); f.RenameWorkspace("acme", "other-name") },
				Config:      f.config(at.search()),
				ExpectError: message(at.said("Unable to list repositories"), at.said("list the repositories of acme"), "404 Not Found", "Either the workspace was deleted or renamed", at.said("read:repository:bitbucket"), "that can see the workspace"),
			},
		)...)
	})
}

// A token for deploy keys alone cannot find the repositories.
func TestAccDeployKeysDataSource_scopes(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform := newAudited(t, at), newCLI(t)
		admin, read := at.said("admin:repository:bitbucket"), at.said("read:repository:bitbucket")
		f.AllowBasic("ci@example.com", "api-token", admin)
		terraform.write(t, f.config(at.search()))
		terraform.fails(t, []string{"plan"}, at.said("Unable to list repositories"), "403 Forbidden", "Required scopes: "+read, "scopes "+read+" (OAuth: "+string(at.placeKind)+")")
		// And one without that scope is no list of repositories that are all hidden.
		f.AllowBasic("ci@example.com", "api-token", read)
		terraform.fails(t, []string{"plan"}, "Unable to list deploy keys", "403 Forbidden", "Required scopes: "+admin)
		f.AllowBasic("ci@example.com", "api-token", admin, read)
		contains(t, terraform.must(t, "apply", "-auto-approve"), at.said("Warning: Deploy keys of some repositories are not included"), at.said("acme/secret"))
	})
}

// What an audit of a workspace costs.
func TestAccDeployKeysDataSource_cost(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, places := newFakeOfMany(t, at, 250)
		for i, place := range places {
			f.add(place, newKey(t), "")
			if i < 150 {
				f.add(place, newKey(t), "")
			}
		}
		terraform := newCLI(t)
		terraform.write(t, f.config(at.search()+fmt.Sprintf("\noutput \"number\" {\n  value = \"${length(data.%ss.test.keys)} keys\"\n}\n", at.typeName())))
		contains(t, terraform.must(t, "plan"), `number = "400 keys"`)
		most := f.MaxInFlight()
		if sent := f.sent(); len(sent) != 3+250 || most > 10 {
			t.Errorf("%d requests, %d at once", len(sent), most)
		}
	})
}
