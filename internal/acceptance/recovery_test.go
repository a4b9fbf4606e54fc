package provider

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// An answer that holds little more than the id is completed from the list.
func TestAccDeployKey_answerWithIDOnly(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		for name, fault := range map[string]emulator.Fault{
			"id alone":     {Body: `{"id":10958984}`},
			"wrong types":  {Body: `{"id":10958984,"key":"ssh-ed25519 AAAA","label":5,"last_used":17,"` + string(at.placeKind) + `":"x"}`},
			"created, 201": {Body: `{"id":10958984}`, Status: http.StatusCreated},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				fault.Method, fault.CarryOut = "POST", true
				if fault.Status == 0 {
					fault.Status = http.StatusOK
				}
				config := f.config(at.deployKey(keyLine(newKey(t)+" me"), `label = "ci"`))
				test(t,
					resource.TestStep{
						PreConfig:         func() { f.Inject(fault) },
						Config:            config,
						ConfigStateChecks: at.has(map[string]string{"id": at.id(firstID), "label": "ci", "comment": "me", string(at.placeKind) + "_uuid": at.uuid}),
					},
					resource.TestStep{Config: config, ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop)},
				)
			})
		}
	})
}

// Bitbucket answers with something else than it was sent: the run does not
// fail, since the key exists, and the next plan shows the difference.
func TestAccDeployKey_answerDiffers(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		config := f.config(at.deployKey(keyLine(key+" asked"), `label = "asked"`))
		test(t,
			resource.TestStep{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Status: 200, Times: 1, Body: fmt.Sprintf(
						`{"id":%d,"key":%q,"label":"answered","comment":"answered","last_used":null,"owner":null,"added_on":null}`, firstID, key)})
				},
				Config:            config,
				ConfigStateChecks: at.has(map[string]string{"label": "asked", "comment": "asked"}),
			},
			resource.TestStep{
				PreConfig: func() {
					f.edit(at, firstID, func(k *emulator.DeployKey) { k.Label, k.Comment = "answered", "answered" })
				},
				Config:           config,
				ConfigPlanChecks: at.plannedChange(),
			},
		)
	})
}

// A key that was added stays in the state, whatever fails after that.
func TestAccDeployKey_createdAndUnreadable(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform := newFake(t), newCLI(t)
		terraform.write(t, f.config(at.deployKey(keyLine(newKey(t)), `label = "ci"`)))
		f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Status: 200, Body: `{"id":10958984}`}, emulator.Fault{Method: "GET", Status: 403})
		terraform.fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", "the reply cannot be used", "To look for it failed as well", "403 Forbidden")
		f.ClearFaults()
		contains(t, terraform.must(t, "state", "show", at.address()), "(tainted)", `label = "ci"`)
		terraform.must(t, "apply", "-auto-approve")
		terraform.must(t, "plan", "-detailed-exitcode")
		if keys := f.keys(at); len(keys) != 1 {
			t.Errorf("there are %v", keys)
		}
	})
}

// The error about a key that is there already holds all that it takes to adopt
// it.
func TestAccDeployKey_duplicate(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		for name, shape := range map[string]emulator.DuplicateBehavior{"fields": emulator.DuplicateFieldErrors, "envelope": emulator.DuplicateEnvelope} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key, terraform := newFake(t), newKey(t), newCLI(t)
				f.SetDuplicate(shape)
				existing := f.add(at, key, "old one")
				config := f.config(at.deployKey(keyLine(key), `label = "old one"`))
				terraform.write(t, config)
				out := terraform.fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", "400 Bad Request", "Someone has already added that access key to this "+string(at.placeKind),
					"The "+string(at.placeKind)+" has this key already:",
					"deploy key 10958984", `label "old one"`, existing.CreatedOn, "import {", "terraform import "+at.typeName()+".NAME "+at.id(firstID), "create_before_destroy")
				if engine.Has(terraformcli.ImportBlocks) {
					block := regexp.MustCompile(`import \{.*?\}`).FindString(out)
					block = strings.NewReplacer("NAME", "test", " id", "\nid", "{", "{\n", "}", "\n}").Replace(block)
					terraform.write(t, config+block)
					contains(t, terraform.must(t, "apply", "-auto-approve"), "1 imported, 0 added, 0 changed, 0 destroyed")
				} else {
					terraform.must(t, "import", at.address(), at.id(firstID))
				}
				terraform.must(t, "plan", "-detailed-exitcode")
			})
		}
	})
}

// A replacement by the same key cannot come before the old one goes. That is
// said, and nothing is lost.
func TestAccDeployKey_createBeforeDestroy(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform, key := newFake(t), newCLI(t), newKey(t)
		strategy := `update_strategy = "replace"`
		if at.placeKind == onProject {
			strategy = "" // There is no other one.
		}
		config := func(label string) string {
			return f.config(at.deployKey(keyLine(key), fmt.Sprintf("label = %q", label), "lifecycle {\n create_before_destroy = true\n }"), strategy)
		}
		terraform.write(t, config("a"))
		terraform.must(t, "apply", "-auto-approve")
		terraform.write(t, config("b"))
		terraform.fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", `deploy key 10958984, label "a"`, "replaced by the same key with create_before_destroy")
		terraform.write(t, config("a"))
		terraform.must(t, "plan", "-detailed-exitcode")
	})
}

// The run ends well although the answer to each write was lost.
func TestAccDeployKey_lostAnswers(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		second := map[placeKind]struct {
			method string
			id     int64
			writes []string
		}{
			onRepository: {"PUT", firstID, []string{"PUT " + at.first() + " 0"}},
			onProject:    {"DELETE", firstID + 1, []string{"DELETE " + at.first() + " 0", "DELETE " + at.first() + " 404", "POST " + at.collection() + " 200"}},
		}[at.placeKind]
		lost := func(method string) func() {
			return func() { f.Inject(emulator.Fault{Method: method, Times: 1, CarryOut: true, Cut: true}) }
		}
		test(t,
			resource.TestStep{
				PreConfig:         lost("POST"),
				Config:            f.config(at.deployKey(keyLine(key), `label = "a"`)),
				ConfigStateChecks: at.has(map[string]string{"id": at.id(firstID), "label": "a"}),
				PostApplyFunc:     f.expectWrites(t, "POST "+at.collection()+" 0"),
			},
			resource.TestStep{
				PreConfig:         lost(second.method),
				Config:            f.config(at.deployKey(keyLine(key), `label = "b"`)),
				ConfigStateChecks: at.has(map[string]string{"id": at.id(second.id), "label": "b"}),
				PostApplyFunc:     f.expectWrites(t, second.writes...),
			},
		)
	})
}

// A repository that was renamed outside of Terraform keeps its keys, under its
// old name in the configuration and under the new one.
func TestAccDeployKey_renamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rename                func(*fake)
		workspace, repository string
	}{
		"repository": {func(f *fake) { f.RenameRepository("acme", "website", "site") }, "acme", "site"},
		"workspace":  {func(f *fake) { f.RenameWorkspace("acme", "umbrella") }, "umbrella", "website"},
		"moved": {func(f *fake) {
			f.RenameRepository("acme", "website", "site")
			f.MoveRepository("acme", "site", "other")
		}, "other", "site"},
		"and its name was taken": {func(f *fake) {
			f.RenameRepository("acme", "website", "site")
			f.AddRepository("acme", emulator.Repository{Slug: "website"})
		}, "acme", "site"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, terraform := newFake(t), newCLI(t)
			first, second := keyLine(newKey(t)), keyLine(newKey(t))
			config := func(workspace, repository, label string) string {
				one := deployKey(first, fmt.Sprintf("label = %q", label), fmt.Sprintf("workspace = %q", workspace), fmt.Sprintf("repository = %q", repository))
				return f.config(one + strings.NewReplacer(`"test"`, `"second"`, first, second).Replace(one))
			}
			terraform.write(t, config("acme", "website", "a"))
			terraform.must(t, "apply", "-auto-approve")
			tc.rename(f)
			f.ForgetRequests()
			out := terraform.must(t, "plan", "-detailed-exitcode")
			contains(t, out, "Warning: Repository has another name now", "acme/website is called \""+tc.workspace+"/"+tc.repository)
			if strings.Count(out, "is called") != 1 {
				t.Errorf("want one warning: %s", out)
			}
			terraform.write(t, config("acme", "website", "b"))
			contains(t, terraform.must(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 2 changed, 0 destroyed")
			f.ForgetRequests()
			terraform.write(t, config(tc.workspace, tc.repository, "b"))
			contains(t, terraform.must(t, "apply", "-auto-approve"), "0 added, 2 changed, 0 destroyed")
			if writes := f.writes(); len(writes) > 0 {
				t.Errorf("sent %v", writes)
			}
			if out := terraform.must(t, "plan", "-detailed-exitcode"); strings.Contains(out, "another name") {
				t.Errorf("still warns: %s", out)
			}
			terraform.must(t, "destroy", "-auto-approve")
			if keys := f.DeployKeys(tc.workspace, tc.repository); len(keys) > 0 {
				t.Errorf("there are %v", keys)
			}
		})
	}
}

// A key of a renamed repository cannot be replaced under the old name: the old
// one would go, and the new one could not come.
func TestAccDeployKey_renamedAndRotated(t *testing.T) {
	t.Parallel()
	f, terraform, rotated := newFake(t), newCLI(t), keyLine(newKey(t))
	terraform.write(t, f.config(deployKey(keyLine(newKey(t)))))
	terraform.must(t, "apply", "-auto-approve")
	f.RenameRepository("acme", "website", "site")
	f.ForgetRequests()
	terraform.write(t, f.config(deployKey(rotated)))
	terraform.fails(t, []string{"apply", "-auto-approve"}, "Repository has another name now", `acme/website is called "acme/site" now`, "Change workspace and repository")
	if writes := f.writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	terraform.write(t, f.config(deployKey(rotated, `repository = "site"`)))
	contains(t, terraform.must(t, "apply", "-auto-approve"), "1 added, 0 changed, 1 destroyed")
	terraform.must(t, "plan", "-detailed-exitcode")
}

// An empty repository that took the name of another says nothing of its keys.
func TestAccDeployKey_nameTaken(t *testing.T) {
	t.Parallel()
	f, terraform := newFake(t), newCLI(t)
	terraform.write(t, f.config(deployKey(keyLine(newKey(t)))))
	terraform.must(t, "apply", "-auto-approve")
	f.RenameRepository("acme", "website", "site")
	f.AddRepository("acme", emulator.Repository{Slug: "website"})
	terraform.must(t, "destroy", "-auto-approve", "-refresh=false")
	if keys := f.DeployKeys("acme", "site"); len(keys) > 0 {
		t.Errorf("there are %v", keys)
	}
}

// The key of a repository that is renamed between plan and apply is removed
// where it is.
func TestAccDeployKey_renamedWhileApplying(t *testing.T) {
	t.Parallel()
	f, terraform := newFake(t), newCLI(t)
	terraform.write(t, f.config(deployKey(keyLine(newKey(t)))))
	terraform.must(t, "apply", "-auto-approve")
	terraform.must(t, "plan", "-destroy", "-out="+filepath.Join(terraform.dir, "plan"))
	f.RenameRepository("acme", "website", "site")
	terraform.must(t, "apply", "plan")
	if keys := f.DeployKeys("acme", "site"); len(keys) > 0 {
		t.Errorf("there are %v", keys)
	}
}

// Where no name leads to the repository, the error tells the way on.
func TestAccDeployKey_renamedOutOfSight(t *testing.T) {
	t.Parallel()
	f, terraform, key := newFake(t), newCLI(t), keyLine(newKey(t))
	terraform.write(t, f.config(deployKey(key)))
	terraform.must(t, "apply", "-auto-approve")
	f.RenameWorkspace("acme", "umbrella")
	f.Inject(emulator.Fault{Path: "/%7B%7D/", Status: 404})
	terraform.fails(t, []string{"plan"}, "Unable to read deploy key", "put the new name into the configuration (workspace, repository)", "-refresh=false")
	f.ForgetRequests()
	terraform.write(t, f.config(deployKey(key, `workspace = "umbrella"`)))
	contains(t, terraform.must(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 1 changed, 0 destroyed")
	if writes := f.writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	terraform.must(t, "plan", "-detailed-exitcode")
}
