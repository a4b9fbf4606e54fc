package acceptance

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// If only the ID in an answer can be used, the provider reads the other fields from the
// list.
func TestAccDeployKey_answerWithIDOnly(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, fault := range map[string]emulator.Fault{
			"id alone":     {Body: `{"id":10958984}`},
			"wrong types":  {Body: `{"id":10958984,"key":"ssh-ed25519 AAAA","label":5,"last_used":17,"` + parent.Kind + `":"x"}`},
			"created, 201": {Body: `{"id":10958984}`, Status: http.StatusCreated},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				fault.Method, fault.CarryOut = "POST", true
				if fault.Status == 0 {
					fault.Status = http.StatusOK
				}
				acctest.Test(t, acctest.Step{
					PreConfig:         func() { f.Inject(fault) },
					Config:            f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t)+" me"), `label = "ci"`)),
					ConfigStateChecks: parent.Has(map[string]string{"id": parent.ImportID(acctest.FirstID), "label": "ci", "comment": "me", parent.Kind + "_uuid": parent.UUID}),
				})
			})
		}
	})
}

// If Bitbucket stores different values than the values that were sent, the run does not
// fail, because the key exists. The next plan shows the difference.
func TestAccDeployKey_answerDiffers(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		config := f.Config(parent.DeployKey(acctest.KeyLine(key+" asked"), `label = "asked"`))
		acctest.Test(t,
			acctest.Step{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Status: 200, Times: 1, Body: fmt.Sprintf(
						`{"id":%d,"key":%q,"label":"answered","comment":"answered","last_used":null,"owner":null,"added_on":null}`, acctest.FirstID, key)})
				},
				Config:            config,
				ConfigStateChecks: parent.Has(map[string]string{"label": "asked", "comment": "asked"}),
			},
			acctest.Step{
				PreConfig: func() {
					f.Edit(parent, acctest.FirstID, func(k *emulator.DeployKey) { k.Label, k.Comment = "answered", "answered" })
				},
				Config:           config,
				ConfigPlanChecks: parent.PlannedChange(),
			},
		)
	})
}

// A key that was added stays in the state, even if a later request fails.
func TestAccDeployKey_createdAndUnreadable(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		terraform.Write(t, f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t)), `label = "ci"`)))
		f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Status: 200, Body: `{"id":10958984}`}, emulator.Fault{Method: "GET", Status: 403})
		terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", "the reply cannot be used", "The lookup failed too", "403 Forbidden")
		f.ClearFaults()
		acctest.Contains(t, terraform.MustRun(t, "state", "show", parent.Address()), "(tainted)", `label = "ci"`)
		terraform.MustRun(t, "apply", "-auto-approve")
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		if keys := f.Keys(parent); len(keys) != 1 {
			t.Errorf("Bitbucket has %v", keys)
		}
	})
}

// The error about an existing key contains everything that a user needs to import it.
func TestAccDeployKey_duplicate(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, shape := range map[string]emulator.DuplicateBehavior{"fields": emulator.DuplicateFieldErrors, "envelope": emulator.DuplicateEnvelope} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key, terraform := acctest.NewFake(t), acctest.NewKey(t), acctest.NewCLI(t)
				f.SetDuplicate(shape)
				existing := f.Add(parent, key, "old one")
				config := f.Config(parent.DeployKey(acctest.KeyLine(key), `label = "old one"`))
				terraform.Write(t, config)
				out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", "400 Bad Request", "Someone has already added that access key to this "+parent.Kind,
					"The "+parent.Kind+" has this key already:",
					"deploy key 10958984", `label "old one"`, existing.CreatedOn, "import {", "terraform import "+parent.TypeName+".NAME "+parent.ImportID(acctest.FirstID))
				acctest.Contains(t, out, "If no resource has this key yet, import it", "do not import the key", "create_before_destroy", "a resource that depends on the key sets it")
				if acctest.Engine.Has(terraformcli.ImportBlocks) {
					block := regexp.MustCompile(`import \{.*?\}`).FindString(out)
					block = strings.NewReplacer("NAME", "test", " id", "\nid", "{", "{\n", "}", "\n}").Replace(block)
					terraform.Write(t, config+block)
					acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "1 imported, 0 added, 0 changed, 0 destroyed")
				} else {
					terraform.MustRun(t, "import", parent.Address(), parent.ImportID(acctest.FirstID))
				}
				terraform.MustRun(t, "plan", "-detailed-exitcode")
			})
		}
	})
}

// With create_before_destroy, a key cannot be replaced by the same key, because Bitbucket
// still has it. The error describes this, and no key is lost.
func TestAccDeployKey_createBeforeDestroy(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.NewKey(t)
		strategy := `update_strategy = "replace"`
		if parent.IsProject() {
			strategy = "" // Keys of projects are always replaced.
		}
		const createFirst = "lifecycle {\n create_before_destroy = true\n }"
		config := func(label string) string {
			return f.Config(parent.DeployKey(acctest.KeyLine(key), fmt.Sprintf("label = %q", label), createFirst), strategy)
		}
		terraform.Write(t, config("a"))
		terraform.MustRun(t, "apply", "-auto-approve")
		terraform.Write(t, config("b"))
		terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", `deploy key 10958984, label "a"`,
			"If this resource has the key in the state", "do not import the key", "With create_before_destroy, a key cannot be replaced by itself")
		terraform.Write(t, config("a"))
		terraform.MustRun(t, "plan", "-detailed-exitcode")

		if !acctest.Engine.Has(terraformcli.TerraformData) {
			return
		}
		// The key has create_before_destroy from a resource that depends on it.
		dependent := fmt.Sprintf("\nresource \"terraform_data\" \"user\" {\n input = %s.key_id\n %s\n}\n", parent.Address(), createFirst)
		terraform.Write(t, dependent+strings.Replace(config("a"), createFirst, "", 1))
		terraform.MustRun(t, "apply", "-auto-approve")
		terraform.Write(t, dependent+strings.Replace(config("b"), createFirst, "", 1))
		terraform.Fails(t, []string{"apply", "-auto-approve"}, "do not import the key", "If this resource does not set it, a resource that depends on the key sets it")
	})
}

// The run succeeds although the answer to each write is lost.
func TestAccDeployKey_lostAnswers(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		second := map[string]struct {
			method string
			id     int64
			writes []string
		}{
			"repository": {"PUT", acctest.FirstID, []string{"PUT " + parent.FirstKey() + " 0"}},
			"project":    {"DELETE", acctest.FirstID + 1, []string{"DELETE " + parent.FirstKey() + " 0", "DELETE " + parent.FirstKey() + " 404", "POST " + parent.Collection() + " 200"}},
		}[parent.Kind]
		lost := func(method string) func() {
			return func() { f.Inject(emulator.Fault{Method: method, Times: 1, CarryOut: true, Cut: true}) }
		}
		acctest.Test(t,
			acctest.Step{
				PreConfig:         lost("POST"),
				Config:            f.Config(parent.DeployKey(acctest.KeyLine(key), `label = "a"`)),
				ConfigStateChecks: parent.Has(map[string]string{"id": parent.ImportID(acctest.FirstID), "label": "a"}),
				PostApplyFunc:     f.ExpectWrites(t, "POST "+parent.Collection()+" 0"),
			},
			acctest.Step{
				PreConfig:         lost(second.method),
				Config:            f.Config(parent.DeployKey(acctest.KeyLine(key), `label = "b"`)),
				ConfigStateChecks: parent.Has(map[string]string{"id": parent.ImportID(second.id), "label": "b"}),
				PostApplyFunc:     f.ExpectWrites(t, second.writes...),
			},
		)
	})
}

// A repository that was renamed outside of Terraform keeps its keys, whether the
// configuration has the old name or the new name.
func TestAccDeployKey_renamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rename                func(*acctest.Fake)
		workspace, repository string
	}{
		"repository": {func(f *acctest.Fake) { f.RenameRepository("acme", "website", "site") }, "acme", "site"},
		"workspace":  {func(f *acctest.Fake) { f.RenameWorkspace("acme", "umbrella") }, "umbrella", "website"},
		"moved": {func(f *acctest.Fake) {
			f.RenameRepository("acme", "website", "site")
			f.MoveRepository("acme", "site", "other")
		}, "other", "site"},
		"and its name was taken": {func(f *acctest.Fake) {
			f.RenameRepository("acme", "website", "site")
			f.AddRepository("acme", emulator.Repository{Slug: "website"})
		}, "acme", "site"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
			first, second := acctest.KeyLine(acctest.NewKey(t)), acctest.KeyLine(acctest.NewKey(t))
			config := func(workspace, repository, label string) string {
				one := acctest.DeployKey(first, fmt.Sprintf("label = %q", label), fmt.Sprintf("workspace = %q", workspace), fmt.Sprintf("repository = %q", repository))
				return f.Config(one + strings.NewReplacer(`"test"`, `"second"`, first, second).Replace(one))
			}
			terraform.Write(t, config("acme", "website", "a"))
			terraform.MustRun(t, "apply", "-auto-approve")
			tc.rename(f)
			f.ForgetRequests()
			out := terraform.MustRun(t, "plan", "-detailed-exitcode")
			acctest.Contains(t, out, "Warning: Repository has another name now", "acme/website is called \""+tc.workspace+"/"+tc.repository)
			if strings.Count(out, "is called") != 1 {
				t.Errorf("want one warning: %s", out)
			}
			terraform.Write(t, config("acme", "website", "b"))
			acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 2 changed, 0 destroyed")
			f.ForgetRequests()
			terraform.Write(t, config(tc.workspace, tc.repository, "b"))
			acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "0 added, 2 changed, 0 destroyed")
			if writes := f.Writes(); len(writes) > 0 {
				t.Errorf("sent %v", writes)
			}
			if out := terraform.MustRun(t, "plan", "-detailed-exitcode"); strings.Contains(out, "another name") {
				t.Errorf("still warns: %s", out)
			}
			terraform.MustRun(t, "destroy", "-auto-approve")
			if keys := f.DeployKeys(tc.workspace, tc.repository); len(keys) > 0 {
				t.Errorf("Bitbucket still has %v", keys)
			}
		})
	}
}

// A key of a renamed repository cannot be replaced under the old name: the provider
// could delete the old key, but could not add the new one.
func TestAccDeployKey_renamedAndRotated(t *testing.T) {
	t.Parallel()
	f, terraform, rotated := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.RenameRepository("acme", "website", "site")
	f.ForgetRequests()
	terraform.Write(t, f.Config(acctest.DeployKey(rotated)))
	terraform.Fails(t, []string{"apply", "-auto-approve"}, "Repository has another name now", `acme/website is called "acme/site" now`, "Change workspace and repository")
	if writes := f.Writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	terraform.Write(t, f.Config(acctest.DeployKey(rotated, `repository = "site"`)))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "1 added, 0 changed, 1 destroyed")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// The empty list of a different repository that now has the name does not prove that our
// key is gone.
func TestAccDeployKey_nameTaken(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.RenameRepository("acme", "website", "site")
	f.AddRepository("acme", emulator.Repository{Slug: "website"})
	terraform.MustRun(t, "destroy", "-auto-approve", "-refresh=false")
	if keys := f.DeployKeys("acme", "site"); len(keys) > 0 {
		t.Errorf("Bitbucket still has %v", keys)
	}
}

// If a repository is renamed between plan and apply, its key is still removed.
func TestAccDeployKey_renamedWhileApplying(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.MustRun(t, "plan", "-destroy", "-out="+filepath.Join(terraform.Dir, "plan"))
	f.RenameRepository("acme", "website", "site")
	terraform.MustRun(t, "apply", "plan")
	if keys := f.DeployKeys("acme", "site"); len(keys) > 0 {
		t.Errorf("Bitbucket still has %v", keys)
	}
}

// If Bitbucket finds the repository under no alias, the error describes what to do.
func TestAccDeployKey_renamedOutOfSight(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	terraform.Write(t, f.Config(acctest.DeployKey(key)))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.RenameWorkspace("acme", "umbrella")
	f.Inject(emulator.Fault{Path: "/%7B%7D/", Status: 404})
	terraform.Fails(t, []string{"plan"}, "Unable to read deploy key", "put the new name into the configuration (workspace, repository)", "-refresh=false")
	f.ForgetRequests()
	terraform.Write(t, f.Config(acctest.DeployKey(key, `workspace = "umbrella"`)))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 1 changed, 0 destroyed")
	if writes := f.Writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	terraform.MustRun(t, "plan", "-detailed-exitcode")
}
