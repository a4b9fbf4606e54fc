package acceptance

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// If somebody changes a key in Bitbucket, the plan shows the change and apply reverts it.
func TestAccDeployKey_drift(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		other := acctest.NewKey(t)
		change := func(p acctest.Parent) []plancheck.PlanCheck { return p.PlannedChange() }
		replace := func(p acctest.Parent) []plancheck.PlanCheck {
			return p.Planned(plancheck.ResourceActionReplace, p.Unknown()...)
		}
		same := func(p acctest.Parent) []plancheck.PlanCheck { return p.Planned(plancheck.ResourceActionNoop) }
		cases := []struct {
			resource string
			edit     func(*emulator.DeployKey)
			plan     func(acctest.Parent) []plancheck.PlanCheck
			method   string
		}{
			{"label", func(k *emulator.DeployKey) { k.Label = "theirs" }, change, "PUT"},
			{"comment", func(k *emulator.DeployKey) { k.Comment = "theirs" }, change, "PUT"},
			{"lost_comment", func(k *emulator.DeployKey) { k.Comment = "" }, change, "PUT"},
			{"key", func(k *emulator.DeployKey) { k.Key = other }, replace, "DELETE"},
			{"broken_key", func(k *emulator.DeployKey) { k.Key = "ssh-ed25519 not*base64" }, replace, "DELETE"},
			{"last_used", func(k *emulator.DeployKey) { k.LastUsed = new("2026-11-01T10:00:00+00:00") }, same, ""},
		}
		f, parents := acctest.NewFakeOfMany(t, parent, len(cases))
		var resources string
		var plan []plancheck.PlanCheck
		for i, tc := range cases {
			parents[i].Resource = tc.resource
			resources += parents[i].DeployKey(acctest.KeyLine(acctest.NewKey(t)+" our own\n"), `label = "ours"`)
			plan = append(plan, tc.plan(parents[i])...)
		}
		var want []string
		editAll := func() {
			for i, tc := range cases {
				collection, id := parents[i].Collection(), f.OnlyKeyOf(t, parents[i]).ID
				f.Edit(parents[i], id, tc.edit)
				switch {
				case tc.method == "PUT" && !parent.IsProject():
					want = append(want, fmt.Sprintf("PUT %s/%d 200", collection, id))
				case tc.method != "": // A change of the key of a project is a replacement too.
					want = append(want, fmt.Sprintf("DELETE %s/%d 204", collection, id), "POST "+collection+" 200")
				}
			}
			f.ForgetRequests()
		}
		config := f.Config(resources)
		acctest.Test(t,
			acctest.Step{Config: config},
			acctest.Step{
				PreConfig:        editAll,
				Config:           config,
				ConfigPlanChecks: plan,
				PostApplyFunc: func() {
					got := f.Writes()
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						t.Errorf("sent %q, want %q", got, want)
					}
				},
			},
		)
	})
}

func TestAccDeployKey_gone(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
		deletes := []string{"DELETE " + parent.SecondKey() + " 404"}
		if !parent.IsProject() { // An empty repository may be a different repository with the same name.
			deletes = append(deletes, "DELETE acme/"+url.PathEscape(parent.UUID)+"/deploy-keys/10958985 404")
		}
		acctest.Test(t,
			acctest.Step{Config: config},
			acctest.Step{
				PreConfig:        func() { f.Remove(parent, acctest.FirstID); f.ForgetRequests() },
				Config:           config,
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionCreate, parent.Unknown()...),
				PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
			},
			// A key that disappears between refresh and delete counts as deleted.
			acctest.Step{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "DELETE", CarryOut: true, Status: 404, Times: 1})
				},
				Config:        config,
				Destroy:       true,
				PostApplyFunc: f.ExpectWrites(t, deletes...),
			},
		)
	})
}

// A 404 for a repository or project could mean lost permission, so it leaves the state
// unchanged.
func TestAccDeployKey_placeOutOfSight(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
		outOfSight := emulator.Fault{Status: 404, Body: `{"type":"error","error":{"message":"You may not have access to this repository or it no longer exists in this workspace. If you think this repository exists and you have access, make sure you are authenticated."}}`}
		want := []string{"404 Not Found", "You may not have access", "deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.", "still in the Terraform state", fmt.Sprintf(`If the %s or its workspace was renamed.*\(workspace, %[1]s\)`, parent.Kind), "terraform state rm"}
		acctest.Test(t,
			acctest.Step{Config: config},
			acctest.Step{
				PreConfig:   func() { f.ForgetRequests(); f.Inject(outOfSight) },
				Config:      config,
				ExpectError: acctest.Message(append([]string{"Unable to read deploy key"}, want...)...),
			},
			// The same applies to a delete if Bitbucket answers 404 to the write and then
			// to the list.
			acctest.Step{
				PreConfig: func() {
					f.ExpectWrites(t)()
					f.ClearFaults()
					f.Inject(emulator.Fault{Method: "DELETE", Status: 404}, emulator.Fault{Method: "GET", Path: "deploy-keys", Skip: 1, Status: 404})
				},
				Config: config, Destroy: true,
				ExpectError: acctest.Message(append([]string{"Unable to delete deploy key"}, want[2:]...)...),
			},
			acctest.Step{
				PreConfig: f.ClearFaults,
				Config:    config,
				PlanOnly:  true,
			},
		)
	})
}

// An error reply to a read must not change the state. The next plan without errors is
// empty.
func TestAccDeployKey_readErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		const single = "/10958984"
		admin := fmt.Sprintf("admin:%s:bitbucket", parent.Kind)
		for name, tc := range map[string]struct {
			// The path is "" for a fault that affects the list.
			fault emulator.Fault
			want  []string
		}{
			"401": {emulator.Unauthorized(), []string{"401 Unauthorized", "Token is invalid, expired", "username"}},
			"403 scope": {
				emulator.MissingScope([]string{admin}, []string{"read:repository:bitbucket"}),
				[]string{"403 Forbidden", "privilege scopes", "Required scopes: " + admin, "Granted scopes: read:repository:bitbucket", "A scope cannot be added to a token: create a new token", "an administrator of the " + parent.Kind, "Scopes of its API token: " + admin},
			},
			"429":        {emulator.RateLimited(), []string{"429 Too Many Requests", "Rate limit for this resource has been exceeded", "1,000 requests an hour"}},
			"500":        {emulator.ServerError(), []string{"500 Internal Server Error", "Temporary lookup failure", "Request ID: 5c99b0118d884499b54591e0293a90ed"}},
			"502":        {emulator.BadGateway(), []string{"502 Bad Gateway", `an HTML page with the title "502 Bad Gateway"`}},
			"html":       {emulator.Fault{Status: 200, Body: "<!doctype html><title>Sign in</title>"}, []string{"the reply cannot be used", "Sign in", "proxy"}},
			"empty":      {emulator.Fault{Status: 200}, []string{"the reply cannot be used", "an empty reply"}},
			"no list":    {emulator.Fault{Status: 200, Body: `{"id":7,"key":"ssh-ed25519 AAAA"}`}, []string{"the reply cannot be used", "no usable list of values"}},
			"other key":  {emulator.Fault{Status: 200, Path: single, Body: `{"id":7,"key":"ssh-ed25519 AAAA"}`}, []string{"the reply cannot be used", "about deploy key 7"}},
			"no id":      {emulator.Fault{Status: 200, Path: single, Body: `{"key":"ssh-ed25519 AAAA"}`}, []string{"the reply cannot be used", "no deploy key with an id"}},
			"single 403": {emulator.Fault{Status: 403, Path: single}, []string{"403 Forbidden"}},
			"single 500": {emulator.Fault{Status: 500, Path: single}, []string{"500 Internal Server Error"}},
			"redirect":   {emulator.Fault{Status: 302, Header: http.Header{"Location": {"https://login.example.com/"}}}, []string{"302 Found", "The address has moved. Either the " + parent.Kind + " has another name now", "Check workspace, " + parent.Kind + ", base_url"}},
			"cut":        {emulator.Fault{Cut: true}, []string{"EOF", "the network and the proxy"}},
			"truncated":  {emulator.Fault{Truncate: true}, []string{"unexpected EOF"}},
		} {
			want := acctest.Message(append([]string{"Unable to read deploy key", "Could not read deploy key 10958984 of " + parent.String(), "GET " + strings.Replace(parent.Path, parent.Name, ".*", 1) + "/deploy-keys" + tc.fault.Path + ":"}, tc.want...)...)
			faults := []emulator.Fault{tc.fault}
			if tc.fault.Path == single { // A single key is requested only if the list does not contain it.
				faults = append(faults, emulator.Fault{Status: 200, Body: `{"values":[]}`})
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				if name == "403 scope" {
					config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
					acctest.Test(t,
						acctest.Step{Config: config},
						acctest.Step{PreConfig: func() { f.ForgetRequests(); f.Inject(faults...) }, Config: config, ExpectError: want},
						acctest.Step{PreConfig: func() { f.ClearFaults(); f.ExpectWrites(t)() }, Config: config, PlanOnly: true},
					)
					return
				}
				key := f.Add(parent, acctest.NewKey(t), "")
				read := func() (string, bool) { // In a run of its own.
					server := acctest.NewServerWith(t, f, map[string]string{"max_rate_limit_wait": "0s"})
					state := acctest.ProtocolObject(t, server.Schemas.ResourceSchemas[parent.TypeName], map[string]string{
						"id": parent.ImportID(key.ID), "key_id": strconv.FormatInt(key.ID, 10), "key": key.Key, "label": "", "comment": "", "workspace": "acme", parent.Kind: parent.Name, parent.Kind + "_uuid": parent.UUID,
					})
					resp, err := server.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: parent.TypeName, CurrentState: state})
					if err != nil {
						t.Fatal(err)
					}
					out, ok := acctest.Reported(resp.Diagnostics), !acctest.HasError(resp.Diagnostics)
					if !ok && !reflect.DeepEqual(resp.NewState, state) {
						t.Error("the state changed")
					}
					if null, err := resp.NewState.IsNull(); err != nil || null {
						t.Errorf("the key is lost: %v", err)
					}
					return out, ok
				}
				f.Inject(faults...)
				if out, ok := read(); ok || !want.MatchString(out) {
					t.Errorf("want the error %s, got %s", want, out)
				}
				f.ClearFaults()
				if out, ok := read(); !ok {
					t.Error(out)
				}
				f.ExpectWrites(t)()
			})
		}
	})
}

func TestAccDeployKey_createErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		admin := fmt.Sprintf("admin:%s:bitbucket", parent.Kind)
		for name, tc := range map[string]struct {
			setUp func(*acctest.Fake)
			want  []string
			// posts is the number of POSTs.
			posts int
		}{
			"401 wrong token": {func(f *acctest.Fake) { f.Revoke() }, []string{"401 Unauthorized", "username"}, 1},
			"403 scope": {
				func(f *acctest.Fake) { f.Revoke(); f.AllowBasic("ci@example.com", "api-token", admin) },
				[]string{"403 Forbidden", "Required scopes: .*write:ssh-key:bitbucket", "Granted scopes: " + admin, admin + " and write:ssh-key:bitbucket"},
				1,
			},
			"404": {func(f *acctest.Fake) { f.RemoveParent(parent) }, []string{"404 Not Found", "the " + parent.Kind + " was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases."}, 1},
			"500": {
				func(f *acctest.Fake) { f.Inject(emulator.ServerError()) },
				[]string{"500 Internal Server Error", "The lookup failed too: GET " + parent.Path + "/deploy-keys: 500", "may have added the key anyway"},
				1,
			},
			"502, list works": {
				func(f *acctest.Fake) { f.Inject(emulator.Fault{Method: "POST", Status: 502, Body: "<html>"}) },
				[]string{"502 Bad Gateway", "HTML page", "may have added the key anyway", "The provider looked for the key and did not find it"},
				2,
			},
			"cut after it was carried out": {
				func(f *acctest.Fake) {
					f.Inject(emulator.Fault{Method: "POST", Cut: true, CarryOut: true}, emulator.Fault{Method: "GET", Status: 403})
				},
				[]string{"EOF", "The lookup failed too: .* 403", "may have added the key"},
				1,
			},
			"202 is not what the API documents": {
				func(f *acctest.Fake) { f.Inject(emulator.Fault{Method: "POST", Status: 202, Body: "<html>"}) },
				[]string{"202 Accepted"},
				2,
			},
			"not ours": {
				func(f *acctest.Fake) {
					f.Inject(emulator.Fault{Method: "POST", Status: 200, Body: `{"id":7,"key":"ssh-ed25519 AAAA"}`})
				},
				[]string{"the reply cannot be used: it is about another public key"},
				1,
			},
			"taken by an account": {
				func(f *acctest.Fake) {
					f.Inject(emulator.Fault{Method: "POST", Status: 400, Body: `{"error":{"message":"Someone has already registered that SSH key."}}`})
				},
				[]string{"400 Bad Request", "so a user account or a workspace has it"},
				1,
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				tc.setUp(f)
				acctest.Test(t, acctest.Step{
					Config: f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))), "max_retries = 1"),
					ExpectError: acctest.Message(append([]string{
						"Unable to create deploy key", "Could not add a deploy key to " + parent.String(),
						"POST " + parent.Path + "/deploy-keys",
					}, tc.want...)...),
				})
				if posts := len(f.Writes()); posts != tc.posts {
					t.Errorf("%d requests to add the key, want %d", posts, tc.posts)
				}
			})
		}
	})
}

// A request that gets a 429 was not carried out, so the provider repeats even a POST.
func TestAccDeployKey_retries(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		wait := emulator.RateLimited()
		wait.Times, wait.Header = 1, wait.Header.Clone()
		wait.Header.Set("Retry-After", "0")
		once := func(method string, fault emulator.Fault) emulator.Fault {
			fault.Method, fault.Times = method, 1
			return fault
		}
		key, writes, last := acctest.KeyLine(acctest.NewKey(t)), parent.SentChange(), parent.FirstKey()
		if len(writes) > 1 {
			last = parent.SecondKey() // The key was replaced.
		}
		method, rest, _ := strings.Cut(writes[0], " ")
		path, _, _ := strings.Cut(rest, " ")
		acctest.Test(t,
			acctest.Step{
				PreConfig:     func() { f.Inject(once("POST", wait)) },
				Config:        f.Config(parent.DeployKey(key)),
				PostApplyFunc: f.ExpectWrites(t, "POST "+parent.Collection()+" 429", "POST "+parent.Collection()+" 200"),
			},
			acctest.Step{
				PreConfig: func() {
					f.Inject(once("GET", wait), once("GET", emulator.BadGateway()), once(method, emulator.ServerError()))
				},
				Config:        f.Config(parent.DeployKey(key, `label = "x"`)),
				PostApplyFunc: f.ExpectWrites(t, append([]string{method + " " + path + " 500"}, writes...)...),
			},
			// The DELETE is carried out, but its answer is lost.
			acctest.Step{
				PreConfig:   func() { f.Inject(emulator.Fault{Method: "DELETE", Cut: true, CarryOut: true, Times: 1}) },
				Config:      f.Config(parent.DeployKey(key, `label = "x"`)),
				Destroy:     true,
				ExpectError: nil,
			},
		)
		if got, want := f.Sent(), []string{"DELETE " + last + " 0", "DELETE " + last + " 404", "GET " + parent.Collection() + " 200"}; !slices.Equal(got[len(got)-3:], want) {
			t.Errorf("the last requests are %v, want %v", got, want)
		}
	})
}

// Only a 204 means that the key was deleted. The page of a proxy with status 200 does not.
func TestAccDeployKey_deleteAnsweredByProxy(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
		acctest.Test(t,
			acctest.Step{Config: config},
			acctest.Step{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "DELETE", Status: 200, Body: "<html><title>Log in</title></html>"})
				},
				Config: config, Destroy: true,
				ExpectError: acctest.Message("Unable to delete deploy key", "200 OK", `HTML page with the title "Log in"`),
			},
			acctest.Step{
				PreConfig: f.ClearFaults, Config: config, PlanOnly: true,
			},
		)
	})
}

// A 404 for a key that is still listed proves nothing, so the key stays in the state.
func TestAccDeployKey_deleteRefusesListedKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
		acctest.Test(t,
			acctest.Step{Config: config},
			acctest.Step{
				PreConfig: func() { f.Inject(emulator.Fault{Method: "DELETE", Status: 404}) },
				Config:    config, Destroy: true,
				ExpectError: acctest.Message("Unable to delete deploy key", "delete deploy key 10958984 of "+parent.String(), "404 Not Found", "still in the Terraform state"),
			},
			acctest.Step{
				PreConfig: f.ClearFaults, Config: config, PlanOnly: true,
			},
		)
	})
}

// A server that does not support PUT may answer 405.
func TestAccDeployKey_updateNotAllowed(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.NewKey(t)
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(key), `label = "one"`)))
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(key), `label = "two"`)))
	f.Inject(emulator.Fault{Method: "PUT", Status: 405, Body: "Method Not Allowed"})
	terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to update deploy key", "405 Method Not Allowed", "-replace=ADDRESS", `update_strategy = "replace"`)
	if label := f.OnlyKey(t).Label; label != "one" {
		t.Errorf("the label is %q", label)
	}
}
