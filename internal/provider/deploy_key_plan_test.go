package provider

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

func TestAccDeployKey_otherKeyReplaces(t *testing.T) {
	t.Parallel()
	f, one, two := acctest.NewFake(t), acctest.NewKey(t), acctest.NewKey(t)
	id := statecheck.CompareValue(compare.ValuesDiffer())
	differs := func() statecheck.StateCheck { return id.AddStateValue(acctest.Address, tfjsonpath.New("id")) }
	acctest.Test(t,
		acctest.Step{Config: f.Config(acctest.DeployKey(acctest.KeyLine(one + " same"))), ConfigStateChecks: []statecheck.StateCheck{differs()}},
		acctest.Step{
			PreConfig:         f.ForgetRequests,
			Config:            f.Config(acctest.DeployKey(acctest.KeyLine(two + " same"))),
			ConfigStateChecks: append(has(map[string]string{"key": two + " same"}), differs()),
			PostApplyFunc:     f.ExpectWrites(t, "DELETE "+acctest.FirstKey+" 204", "POST "+acctest.Collection+" 200"),
		},
		acctest.Step{
			Config:        f.Config(acctest.DeployKey(acctest.KeyLine(one), `lifecycle { create_before_destroy = true }`)),
			PostApplyFunc: f.ExpectWrites(t, "POST "+acctest.Collection+" 200", "DELETE "+acctest.SecondKey+" 204"),
		},
	)
}

// A value that is unknown until apply may be another value. An example is the key of a
// tls_private_key that is replaced.
func TestAccDeployKey_unknownValues(t *testing.T) {
	t.Parallel()
	f, key, moved, one, two := acctest.NewFake(t), acctest.NewKey(t), acctest.NewKey(t), acctest.NewKey(t), acctest.NewKey(t)
	config := func(input, comment, repository, project string) string {
		config := "\nresource \"terraform_data\" \"later\" {\n  input = " + input + "\n  triggers_replace = " + input + "\n}\n"
		for parent, name := range map[acctest.Parent]string{acctest.Website: repository, acctest.WEB: project} {
			config += withName(parent.DeployKey("key = terraform_data.later.output.key", `label = "ci"`), "key") +
				withName(parent.DeployKey(acctest.KeyLine(key+comment), "label = terraform_data.later.output.text", "comment = terraform_data.later.output.text"), "text") +
				withName(parent.DeployKey(acctest.KeyLine(moved), parent.Kind+" = "+name), "place")
		}
		return f.Config(config)
	}
	values := func(key, comment, text string) (checks []statecheck.StateCheck) {
		for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
			for attribute, want := range map[string]string{"key.key": key, "key.comment": comment, "text.label": text, "text.comment": text} {
				name, attribute, _ := strings.Cut(attribute, ".")
				checks = append(checks, statecheck.ExpectKnownValue(parent.TypeName+"."+name, tfjsonpath.New(attribute), knownvalue.StringExact(want)))
			}
		}
		return checks
	}
	acctest.Test(t,
		acctest.Step{
			Config:            config(fmt.Sprintf("{ key = %q, text = \"a\" }", one+" me\n"), " in key", `"website"`, `"WEB"`),
			ConfigStateChecks: values(one+" me\n", "me", "a"),
		},
		acctest.Step{
			PreConfig: f.ForgetRequests,
			Config: config(fmt.Sprintf("{ key = %q, text = \"b\", repository = \"api\", project = \"API\" }", two+"\n"), " another in key\n",
				"terraform_data.later.output.repository", "terraform_data.later.output.project"),
			ConfigStateChecks: values(two+"\n", "", "b"),
			PostApplyFunc: func() {
				// Only label and comment of a key of a repository are updated.
				counts := map[string]int{}
				for _, line := range f.Writes() {
					method, path, _ := strings.Cut(line, " ")
					counts[method+" "+path[:strings.Index(path, "/deploy-keys")]]++
				}
				projects := "/2.0/workspaces/acme/projects/"
				if want := map[string]int{
					"PUT acme/website": 1, "DELETE acme/website": 2, "POST acme/website": 1, "POST acme/api": 1,
					"DELETE " + projects + "WEB": 3, "POST " + projects + "WEB": 2, "POST " + projects + "API": 1,
				}; !maps.Equal(counts, want) {
					t.Errorf("sent %v, want %v", counts, want)
				}
			},
		},
	)
}

func TestAccDeployKey_otherPlaceReplaces(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	terraform.Write(t, f.Config(acctest.Website.DeployKey(key)+acctest.WEB.DeployKey(key)))
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.Write(t, f.Config(acctest.Website.DeployKey(key, `repository = "api"`)+acctest.WEB.DeployKey(key, `project = "API"`)))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "2 added, 0 changed, 2 destroyed")
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		if keys := f.Keys(parent); len(keys) > 0 {
			t.Errorf("%s still has %v", parent, keys)
		}
		f.OnlyKeyOf(t, parent.Named(parent.Other))
	}
}

// A replacement in another place deletes the key and adds it there.
func TestDeployKeyApply_otherPlace(t *testing.T) {
	t.Parallel()
	const toolsUUID = "{00000000-0000-4000-8000-00000000beef}"
	for name, tc := range map[string]struct {
		parent               acctest.Parent
		attribute, value     string
		inCollection, posted string
	}{
		"repository":        {acctest.Website, "repository", "api", "website", "api"},
		"project":           {acctest.WEB, "project", "API", "WEB", "API"},
		"workspace":         {acctest.Website, "workspace", "other", "acme", "other"},
		"project workspace": {acctest.WEB, "workspace", "other", "acme", "other"},
		"uuid":              {acctest.Website, "repository", toolsUUID, "website", url.PathEscape(toolsUUID)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, config := newFakeWith(t, emulator.Repository{Slug: "tools", UUID: toolsUUID}), map[string]string{"key": acctest.NewKey(t)}
			stored := createKey(t, f, tc.parent, nil, config)
			config[tc.attribute] = tc.value
			newKeyRun(t, f, tc.parent, nil).change(t, stored, config)
			f.ExpectWrites(t, "DELETE "+tc.parent.FirstKey()+" 204", "POST "+strings.Replace(tc.parent.Collection(), tc.inCollection, tc.posted, 1)+" 200")()
		})
	}
}

// Another spelling of the same parent is an update without requests that write.
func TestAccDeployKey_sameParent(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
	byUUID := fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)
	parents := func(lines ...string) string {
		lines = append(lines, key)
		return f.Config(acctest.Website.DeployKey(lines...) + acctest.WEB.DeployKey(lines...))
	}
	acctest.Test(t,
		acctest.Step{Config: parents()},
		acctest.Step{
			PreConfig: f.ForgetRequests,
			Config:    parents(byUUID),
			ConfigStateChecks: append(has(map[string]string{"workspace": acctest.WorkspaceUUID, "repository_uuid": acctest.WebsiteUUID}),
				acctest.WEB.Has(map[string]string{"workspace": acctest.WorkspaceUUID, "project_uuid": acctest.ProjectUUID})...),
			PostApplyFunc: f.ExpectWrites(t),
		},
	)
}

func TestDeployKeyApply_sameParent(t *testing.T) {
	t.Parallel()
	byUUID := url.PathEscape(acctest.WorkspaceUUID)
	for _, tc := range []struct {
		parent    acctest.Parent
		spellings [][2]string
		renamed   []string // renamed has the requests that change the label too, by the last spelling.
	}{
		{
			acctest.Website,
			[][2]string{
				{"acme", "WebSite"},
				{"ACME", acctest.WebsiteUUID},
				{acctest.WorkspaceUUID, acctest.WebsiteUUID},
				{acctest.WorkspaceUUID, "website"},
				{"acme", "website"},
				{"acme", acctest.WebsiteUUID},
			},
			[]string{"PUT acme/" + url.PathEscape(acctest.WebsiteUUID) + "/deploy-keys/10958984 200"},
		},
		{
			acctest.WEB,
			[][2]string{{"ACME", "WEB"}, {acctest.WorkspaceUUID, "WEB"}, {"acme", "WEB"}, {acctest.WorkspaceUUID, "WEB"}},
			[]string{"DELETE " + acctest.WEB.FirstKey() + " 204", "POST " + strings.Replace(acctest.WEB.Collection(), "acme", byUUID, 1) + " 200"},
		},
	} {
		f, strategy := acctest.NewFake(t), map[string]string{"update_strategy": "in_place"}
		config := map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, tc.parent, nil, config)
		for i, spelling := range tc.spellings {
			config["workspace"], config[tc.parent.Kind] = spelling[0], spelling[1]
			if i == len(tc.spellings)-1 {
				config["label"] = "x" // If another attribute changes too, the requests use the new spelling.
			}
			r := newKeyRun(t, f, tc.parent, strategy)
			if stored = r.change(t, stored, config); i == len(tc.spellings)-1 {
				f.ExpectWrites(t, tc.renamed...)()
				continue
			}
			f.ExpectWrites(t)()
			values := r.values(t, stored.state)
			if want := fmt.Sprintf("%s/%s/%d", spelling[0], spelling[1], acctest.FirstID); values["id"] != want || values[tc.parent.Kind+"_uuid"] != tc.parent.UUID {
				t.Errorf("got %v, want the id %s", values, want)
			}
			r = newKeyRun(t, f, tc.parent, strategy)
			r.plan(t, r.refresh(t, stored), config).expect(t, nil, nil, nil)
		}
	}
}

// If the provider cannot compare the parents, it reports an error and replaces nothing.
func TestDeployKeyPlan_lookUpFails(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, config)
		for want, fault := range map[string]emulator.Fault{
			"403 Forbidden":                        emulator.Forbidden(),
			"401 Unauthorized":                     emulator.Unauthorized(),
			"429 Too Many Requests":                emulator.RateLimited(),
			"500 Internal Server Error":            emulator.ServerError(),
			"EOF":                                  {Cut: true},
			`an HTML page with the title "Log in"`: {Status: 200, Body: "<html><title>Log in</title></html>"},
		} {
			fault.Path = "/" + parent.Other + "/"
			f.Inject(fault)
			plan := newKeyRun(t, f, parent, map[string]string{"max_rate_limit_wait": "0s"}).plan(t, stored, map[string]string{"key": config["key"], parent.Kind: parent.Other})
			acctest.Contains(t, acctest.Reported(plan.response.Diagnostics), "Error: Unable to read deploy key", want, "is a new name of acme/"+parent.Name+", the "+parent.Kind+" in the state")
			f.ClearFaults()
			newKeyRun(t, f, parent, nil).plan(t, stored, config).expect(t, nil, nil, nil)
			f.ExpectWrites(t)()
		}
	})
}

// Bitbucket may omit the UUID of a repository. The key is then kept if a repository with
// another spelling has the same key; otherwise the plan fails.
func TestDeployKeyPlan_lookUpWithoutUUID(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, config)
		config["workspace"] = acctest.WorkspaceUUID
		_, below, _ := strings.Cut(parent.FirstKey(), "acme")
		plan := func(key string) keyPlan {
			f.ClearFaults()
			f.Inject(emulator.Fault{Method: "GET", Path: "%7D" + below, Status: 200, Body: fmt.Sprintf(`{"id":10958984,"key":%q}`, key)})
			return newKeyRun(t, f, parent, nil).plan(t, stored, config)
		}
		acctest.Contains(t, acctest.Reported(plan(acctest.NewKey(t)).response.Diagnostics), "Error: Unable to read deploy key", "does not identify the "+parent.Kind)
		plan(config["key"]).expect(t, map[string]string{"workspace": acctest.WorkspaceUUID, "id": fmt.Sprintf("%s/%s/%d", acctest.WorkspaceUUID, parent.Name, acctest.FirstID)}, nil, nil)
	})
}

// keyRun is a run of Terraform with deploy keys of one parent: it calls the provider over the
// protocol, because no CLI is needed to see what the provider plans, sends and reports.
type keyRun struct {
	acctest.Server
	*acctest.Fake
	parent acctest.Parent
}

// newKeyRun starts a run. The attributes are added to the provider block.
func newKeyRun(t *testing.T, f *acctest.Fake, parent acctest.Parent, attributes map[string]string) *keyRun {
	t.Helper()
	return &keyRun{acctest.NewServerWith(t, f, attributes), f, parent}
}

// storedKey is a deploy key in the state.
type storedKey struct {
	state   *tfprotov6.DynamicValue
	private []byte
}

// keyPlan is what a plan of one deploy key has decided.
type keyPlan struct {
	// changes has the planned values that differ from the values in the state.
	changes map[string]string
	// replaces has the attributes whose change forces replacement.
	replaces []string
	// diagnostics has the severity, the attribute and the summary of each diagnostic.
	diagnostics []string
	response    *tfprotov6.PlanResourceChangeResponse
	config      *tfprotov6.DynamicValue
}

// object returns a value of the resource. A nil map is null.
func (r *keyRun) object(t *testing.T, values map[string]string) *tfprotov6.DynamicValue {
	t.Helper()
	schema := r.Schemas.ResourceSchemas[r.parent.TypeName]
	if values != nil {
		return acctest.ProtocolObject(t, schema, values)
	}
	null, err := tfprotov6.NewDynamicValue(schema.ValueType(), tftypes.NewValue(schema.ValueType(), nil))
	if err != nil {
		t.Fatal(err)
	}
	return &null
}

// values returns the attributes of an object that are not null.
func (r *keyRun) values(t *testing.T, object *tfprotov6.DynamicValue) map[string]string {
	t.Helper()
	value, err := object.Unmarshal(r.Schemas.ResourceSchemas[r.parent.TypeName].ValueType())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	if value.IsNull() {
		return values
	}
	var attributes map[string]tftypes.Value
	if err := value.As(&attributes); err != nil {
		t.Fatal(err)
	}
	for name, attribute := range attributes {
		switch {
		case attribute.IsNull():
		case !attribute.IsKnown():
			values[name] = acctest.UnknownValue
		case attribute.Type().Is(tftypes.Number):
			var number big.Float
			err = attribute.As(&number)
			values[name] = number.Text('f', 0)
		default:
			var text string
			err = attribute.As(&text)
			values[name] = text
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// plan plans a key. The configuration is for the parent unless it names another one. prior is
// nil for a new key. As Terraform does, plan proposes the values in the state for the
// attributes that the configuration does not set.
func (r *keyRun) plan(t *testing.T, prior *storedKey, config map[string]string) keyPlan {
	t.Helper()
	config = maps.Clone(config)
	config["workspace"] = cmp.Or(config["workspace"], "acme")
	config[r.parent.Kind] = cmp.Or(config[r.parent.Kind], r.parent.Name)
	if prior == nil {
		prior = &storedKey{state: r.object(t, nil)}
	}
	before := r.values(t, prior.state)
	proposed := maps.Clone(before)
	maps.Copy(proposed, config)
	return r.propose(t, prior, r.object(t, config), r.object(t, proposed))
}

// planDelete plans to delete a key.
func (r *keyRun) planDelete(t *testing.T, prior *storedKey) keyPlan {
	t.Helper()
	return r.propose(t, prior, r.object(t, nil), r.object(t, nil))
}

// planAgain plans without the state, as Terraform does for a replacement after the first plan.
func (r *keyRun) planAgain(t *testing.T, first keyPlan) keyPlan {
	t.Helper()
	return r.propose(t, &storedKey{r.object(t, nil), first.response.PlannedPrivate}, first.config, first.config)
}

func (r *keyRun) propose(t *testing.T, prior *storedKey, config, proposed *tfprotov6.DynamicValue) keyPlan {
	t.Helper()
	resp, err := r.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: r.parent.TypeName, PriorState: prior.state, PriorPrivate: prior.private, Config: config, ProposedNewState: proposed,
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := keyPlan{changes: map[string]string{}, diagnostics: diagnosed(resp.Diagnostics), response: resp, config: config}
	for _, attribute := range resp.RequiresReplace {
		plan.replaces = append(plan.replaces, pathOf(attribute))
	}
	slices.Sort(plan.replaces)
	before, after := r.values(t, prior.state), r.values(t, resp.PlannedState)
	for name, value := range after {
		if old, found := before[name]; !found || old != value {
			plan.changes[name] = value
		}
	}
	for name := range before {
		if _, found := after[name]; !found && len(after) > 0 {
			plan.changes[name] = "(null)"
		}
	}
	return plan
}

// pathOf returns the path of an attribute without its syntax.
func pathOf(path *tftypes.AttributePath) string {
	if path == nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(path.String(), `AttributeName("`), `")`)
}

// diagnosed returns diagnostics as "SEVERITY attribute: summary".
func diagnosed(diagnostics []*tfprotov6.Diagnostic) []string {
	var lines []string
	for _, d := range diagnostics {
		lines = append(lines, fmt.Sprintf("%s %s: %s", d.Severity, pathOf(d.Attribute), d.Summary))
	}
	return lines
}

// createKey plans and applies a new key, in a run of its own.
func createKey(t *testing.T, f *acctest.Fake, parent acctest.Parent, attributes, config map[string]string) *storedKey {
	t.Helper()
	stored := newKeyRun(t, f, parent, attributes).change(t, nil, config)
	f.ForgetRequests()
	return stored
}

// change plans and applies a configuration. As Terraform does for a replacement, it plans
// twice, and deletes the key before it creates another.
func (r *keyRun) change(t *testing.T, prior *storedKey, config map[string]string) *storedKey {
	t.Helper()
	plan := r.plan(t, prior, config)
	diagnostics := plan.diagnostics
	if len(plan.replaces) > 0 {
		r.apply(t, prior, r.planDelete(t, prior))
		prior, plan = nil, r.planAgain(t, plan)
	}
	stored, out := r.apply(t, prior, plan)
	if out != "" || len(diagnostics) > 0 {
		t.Fatal(diagnostics, out)
	}
	return stored
}

// apply applies a plan. It returns what the provider reports.
func (r *keyRun) apply(t *testing.T, prior *storedKey, plan keyPlan) (*storedKey, string) {
	t.Helper()
	if prior == nil {
		prior = &storedKey{state: r.object(t, nil)}
	}
	resp, err := r.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: r.parent.TypeName, PriorState: prior.state, Config: plan.config,
		PlannedState: plan.response.PlannedState, PlannedPrivate: plan.response.PlannedPrivate, PlannedIdentity: plan.response.PlannedIdentity,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &storedKey{resp.NewState, resp.Private}, acctest.Reported(resp.Diagnostics)
}

// importKey imports and reads a key. It returns what the provider reports.
func (r *keyRun) importKey(t *testing.T, id string) (*storedKey, string) {
	t.Helper()
	resp, err := r.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{TypeName: r.parent.TypeName, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if out := acctest.Reported(resp.Diagnostics); out != "" {
		return nil, out
	}
	return r.read(t, &storedKey{resp.ImportedResources[0].State, resp.ImportedResources[0].Private})
}

// read reads a key. It returns what the provider reports.
func (r *keyRun) read(t *testing.T, key *storedKey) (*storedKey, string) {
	t.Helper()
	resp, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: r.parent.TypeName, CurrentState: key.state, Private: key.private})
	if err != nil {
		t.Fatal(err)
	}
	return &storedKey{resp.NewState, resp.Private}, acctest.Reported(resp.Diagnostics)
}

// refresh reads a key, as a run does before it plans.
func (r *keyRun) refresh(t *testing.T, key *storedKey) *storedKey {
	t.Helper()
	read, out := r.read(t, key)
	if out != "" {
		t.Fatal(out)
	}
	r.ForgetRequests()
	return read
}

// expect compares a plan with what is wanted.
func (p keyPlan) expect(t *testing.T, changes map[string]string, replaces, diagnostics []string) {
	t.Helper()
	if !maps.Equal(p.changes, changes) {
		t.Errorf("the plan changes %v, want %v", p.changes, changes)
	}
	if !slices.Equal(p.replaces, replaces) {
		t.Errorf("%v force replacement, want %v", p.replaces, replaces)
	}
	if !slices.Equal(p.diagnostics, diagnostics) {
		t.Errorf("got the diagnostics %q, want %q", p.diagnostics, diagnostics)
	}
}

// sends checks the requests since the last call.
func (r *keyRun) sends(t *testing.T, want ...string) {
	t.Helper()
	if got := r.Sent(); !slices.Equal(got, want) {
		t.Errorf("the plan sends %v, want %v", got, want)
	}
}

// expectErrors compares the diagnostics of a plan that fails.
func (p keyPlan) expectErrors(t *testing.T, want []string) {
	t.Helper()
	if !slices.Equal(p.diagnostics, want) || !slices.ContainsFunc(want, isError) {
		t.Errorf("got the diagnostics %q, want %q with an error", p.diagnostics, want)
	}
}

func isError(diagnostic string) bool { return strings.HasPrefix(diagnostic, "ERROR ") }

// A change is in one attribute. Whether it updates or replaces the key depends on the parent
// and on update_strategy.
func TestDeployKeyPlan_labelAndComment(t *testing.T) {
	t.Parallel()
	const mayRefuse = "WARNING : Bitbucket may refuse to update this deploy key"
	for name, tc := range map[string]struct {
		parent      acctest.Parent
		strategy    string
		replaces    bool
		diagnostics []string
	}{
		"repository":           {acctest.Website, "", false, []string{mayRefuse}},
		"repository, in_place": {acctest.Website, "in_place", false, nil},
		"repository, replace":  {acctest.Website, "replace", true, nil},
		"repository, unknown":  {acctest.Website, acctest.UnknownValue, false, []string{"ERROR : Update strategy is not known yet"}},
		"project":              {acctest.WEB, "", true, nil},
		"project, in_place":    {acctest.WEB, "in_place", true, nil},
		"project, unknown":     {acctest.WEB, acctest.UnknownValue, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, key := acctest.NewFake(t), acctest.NewKey(t)
			attributes := map[string]string{}
			if tc.strategy != "" {
				attributes["update_strategy"] = tc.strategy
			}
			stored := createKey(t, f, tc.parent, attributes, map[string]string{"key": key + " me", "label": "ci"})
			unknown := map[string]string{}
			for _, attribute := range tc.parent.Unknown() {
				unknown[attribute] = acctest.UnknownValue
			}
			for change, edit := range map[string]struct {
				config  map[string]string
				changes map[string]string
			}{
				"nothing":                    {map[string]string{"key": key + " me", "label": "ci"}, nil},
				"white space in key":         {map[string]string{"key": "\ufeff " + key + "  me\r\n", "label": "ci"}, nil},
				"comment moves out of key":   {map[string]string{"key": key, "label": "ci", "comment": "me"}, nil},
				"unused comment in key":      {map[string]string{"key": key + " you", "label": "ci", "comment": "me"}, nil},
				"white space around comment": {map[string]string{"key": key + " you", "label": "ci", "comment": " me\t"}, nil},
				"label":                      {map[string]string{"key": key + " me", "label": "prod"}, map[string]string{"label": "prod"}},
				"no label":                   {map[string]string{"key": key + " me"}, map[string]string{"label": ""}},
				"comment":                    {map[string]string{"key": key + " me", "label": "ci", "comment": "you"}, map[string]string{"comment": "you"}},
				"comment in key":             {map[string]string{"key": key + " you", "label": "ci"}, map[string]string{"comment": "you", "key": key + " you"}},
				"no comment in key":          {map[string]string{"key": key, "label": "ci"}, map[string]string{"comment": "", "key": key}},
				"unknown label":              {map[string]string{"key": key + " me", "label": acctest.UnknownValue}, map[string]string{"label": acctest.UnknownValue}},
				"unknown comment":            {map[string]string{"key": key + " me", "label": "ci", "comment": acctest.UnknownValue}, map[string]string{"comment": acctest.UnknownValue}},
				"label and comment":          {map[string]string{"key": key + " you", "label": "prod"}, map[string]string{"comment": "you", "key": key + " you", "label": "prod"}},
			} {
				t.Run(change, func(t *testing.T) {
					r := newKeyRun(t, f, tc.parent, attributes)
					plan := r.plan(t, stored, edit.config)
					r.sends(t)
					if len(edit.changes) == 0 {
						plan.expect(t, nil, nil, nil)
						return
					}
					want, replaces := maps.Clone(edit.changes), []string{}
					if tc.replaces {
						maps.Copy(want, unknown)
						for _, attribute := range []string{"comment", "label"} {
							if _, changes := want[attribute]; changes {
								replaces = append(replaces, attribute)
							}
						}
					}
					if slices.ContainsFunc(tc.diagnostics, isError) {
						plan.expectErrors(t, tc.diagnostics)
						return
					}
					plan.expect(t, want, replaces, tc.diagnostics)
				})
			}
		})
	}
}

func TestDeployKeyPlan_create(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key := acctest.NewKey(t)
		parsed, err := sshkey.Split(key)
		if err != nil {
			t.Fatal(err)
		}
		const later = acctest.UnknownValue
		for name, tc := range map[string]struct {
			config, want map[string]string
			diagnostics  []string
		}{
			"key alone":       {map[string]string{"key": key}, map[string]string{"key": key, "comment": "", "label": ""}, nil},
			"comment in key":  {map[string]string{"key": key + " me"}, map[string]string{"key": key + " me", "comment": "me", "label": ""}, nil},
			"two comments":    {map[string]string{"key": key + " me", "comment": "you"}, map[string]string{"key": key + " me", "comment": "you", "label": ""}, nil},
			"empty comment":   {map[string]string{"key": key + " me", "comment": ""}, map[string]string{"key": key + " me", "comment": "", "label": ""}, nil},
			"label":           {map[string]string{"key": key, "label": "ci"}, map[string]string{"key": key, "comment": "", "label": "ci"}, nil},
			"unknown label":   {map[string]string{"key": key, "label": later}, map[string]string{"key": key, "comment": "", "label": later}, nil},
			"unknown comment": {map[string]string{"key": key, "comment": later}, map[string]string{"key": key, "comment": later, "label": ""}, nil},
			"unknown parent":  {map[string]string{"key": key, parent.Kind: later}, map[string]string{"key": key, "comment": "", "label": "", parent.Kind: later}, nil},
			"unknown key":     {map[string]string{"key": later}, map[string]string{"key": later, "comment": later, "label": ""}, nil},
			"unknown key, comment": {
				map[string]string{"key": later, "comment": "me"}, map[string]string{"key": later, "comment": "me", "label": ""}, nil,
			},
			"short key":        {map[string]string{"key": acctest.ShortRSA(t)}, nil, []string{"ERROR key: Bitbucket refuses this key"}},
			"control in label": {map[string]string{"key": key, "label": "a\x1b"}, nil, []string{"ERROR label: Invalid label"}},
			"label of spaces":  {map[string]string{"key": key, "label": " a"}, nil, []string{"ERROR label: Invalid label"}},
			"comment of lines": {map[string]string{"key": key, "comment": "a\nb"}, nil, []string{"ERROR comment: Invalid comment"}},
			"control in key":   {map[string]string{"key": key + " a\x1b"}, nil, []string{"ERROR key: Invalid comment"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newKeyRun(t, acctest.NewFake(t), parent, nil)
				plan := r.plan(t, nil, tc.config)
				r.sends(t)
				if tc.want == nil {
					plan.expectErrors(t, tc.diagnostics)
					return
				}
				want := map[string]string{"workspace": "acme", parent.Kind: parent.Name, "key_type": parsed.Type, "fingerprint_sha256": parsed.FingerprintSHA256(), "fingerprint_md5": parsed.FingerprintMD5()}
				if tc.want["key"] == later {
					want["key_type"], want["fingerprint_sha256"], want["fingerprint_md5"] = later, later, later
				}
				for _, attribute := range parent.Unknown() {
					want[attribute] = later
				}
				maps.Copy(want, tc.want)
				plan.expect(t, want, nil, nil)
			})
		}
	})
}

// Another key, and every value that is unknown, replaces the key.
func TestDeployKeyPlan_otherKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key, other := acctest.NewFake(t), acctest.NewKey(t), acctest.NewKey(t)
		stored := createKey(t, f, parent, map[string]string{"update_strategy": "in_place"}, map[string]string{"key": key + " me", "label": "ci"})
		parsed, err := sshkey.Split(other)
		if err != nil {
			t.Fatal(err)
		}
		material, keyAndComment := []string{"key", "key_type", "fingerprint_sha256", "fingerprint_md5"}, []string{"key"}
		if parent.IsProject() {
			keyAndComment = []string{"comment", "key"}
		}
		for name, tc := range map[string]struct {
			config            map[string]string
			replaces, unknown []string
			err               string
		}{
			"other key":              {map[string]string{"key": other + " me", "label": "ci"}, []string{"key"}, nil, ""},
			"unknown key":            {map[string]string{"key": acctest.UnknownValue, "label": "ci", "comment": "me"}, []string{"key"}, material, ""},
			"unknown key, comment":   {map[string]string{"key": acctest.UnknownValue, "label": "ci"}, keyAndComment, append(material, "comment"), ""},
			"other key in other":     {map[string]string{"key": other + " me", "label": "ci", parent.Kind: parent.Other}, []string{"key"}, nil, ""},
			"unknown workspace":      {map[string]string{"key": key + " me", "label": "ci", "workspace": acctest.UnknownValue}, []string{"workspace"}, []string{"workspace"}, ""},
			"unknown parent":         {map[string]string{"key": key + " me", "label": "ci", parent.Kind: acctest.UnknownValue}, []string{parent.Kind}, []string{parent.Kind}, ""},
			"unknown, both":          {map[string]string{"key": key + " me", "label": "ci", parent.Kind: acctest.UnknownValue, "workspace": acctest.UnknownValue}, []string{parent.Kind, "workspace"}, []string{parent.Kind, "workspace"}, ""},
			"other key, short":       {map[string]string{"key": acctest.ShortRSA(t) + " me", "label": "ci"}, nil, nil, "ERROR key: Bitbucket refuses this key"},
			"other key, bad comment": {map[string]string{"key": other + " me", "label": "ci", "comment": "a\x1b"}, nil, nil, "ERROR comment: Invalid comment"},
		} {
			t.Run(name, func(t *testing.T) {
				r := newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"})
				plan := r.plan(t, stored, tc.config)
				r.sends(t)
				if tc.err != "" {
					plan.expectErrors(t, []string{tc.err})
					return
				}
				if !slices.Equal(plan.replaces, tc.replaces) || len(plan.diagnostics) > 0 {
					t.Errorf("%v force replacement, want %v; got the diagnostics %q", plan.replaces, tc.replaces, plan.diagnostics)
				}
				var unknown []string
				for attribute, value := range plan.changes {
					if value == acctest.UnknownValue {
						unknown = append(unknown, attribute)
					}
				}
				if slices.Sort(unknown); !slices.Equal(unknown, slices.Sorted(slices.Values(parent.Unknown(tc.unknown...)))) {
					t.Errorf("known after apply: %v", unknown)
				}
				if fingerprint := plan.changes["fingerprint_sha256"]; name == "other key" && fingerprint != parsed.FingerprintSHA256() {
					t.Errorf("the plan has the fingerprint %s", fingerprint)
				}
				second := r.planAgain(t, plan)
				if len(second.diagnostics) > 0 {
					t.Errorf("the second plan gives the diagnostics %q", second.diagnostics)
				}
			})
		}
	})
}

// A different spelling of the parent in state is an update without a write. If the names do
// not show whether it is the same parent, the plan requests the key under the new name.
func TestDeployKeyPlan_otherParent(t *testing.T) {
	t.Parallel()
	other := emulator.Repository{Slug: "tools", UUID: "{00000000-0000-4000-8000-00000000beef}"}
	get := func(path string, status int) []string {
		return []string{fmt.Sprintf("GET %s/deploy-keys/%d %d", path, acctest.FirstID, status)}
	}
	const (
		websiteUUID   = "%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D"
		workspaceUUID = "%7B2f5a9b2e-0000-4000-8000-0000000000ac%7D"
		projects      = "/2.0/workspaces/"
	)
	rename := func(f *acctest.Fake) { f.RenameRepository("acme", "website", "site") }
	for name, tc := range map[string]struct {
		parent          acctest.Parent
		workspace, name string // workspace and name are "" if they do not change.
		prepare         func(f *acctest.Fake)
		sends, replaces []string
		diagnostics     []string
	}{
		"other case":               {parent: acctest.Website, workspace: "ACME", name: "WebSite"},
		"other case, project":      {parent: acctest.WEB, workspace: "ACME", name: "web"},
		"UUID":                     {parent: acctest.Website, name: acctest.WebsiteUUID},
		"UUID, other case":         {parent: acctest.Website, workspace: "Acme", name: strings.ToUpper(acctest.WebsiteUUID)},
		"other UUID":               {parent: acctest.Website, name: other.UUID, replaces: []string{"repository"}},
		"other UUID and workspace": {parent: acctest.Website, workspace: acctest.WorkspaceUUID, name: other.UUID, replaces: []string{"repository", "workspace"}},
		"UUID of workspace":        {parent: acctest.Website, workspace: acctest.WorkspaceUUID, sends: get(workspaceUUID+"/website", 200)},
		"UUID of both":             {parent: acctest.Website, workspace: acctest.WorkspaceUUID, name: acctest.WebsiteUUID, sends: get(workspaceUUID+"/"+websiteUUID, 200)},
		"workspace, project":       {parent: acctest.WEB, workspace: acctest.WorkspaceUUID, sends: get(projects+workspaceUUID+"/projects/WEB", 200)},
		"other repository":         {parent: acctest.Website, name: "api", sends: get("acme/api", 404), replaces: []string{"repository"}},
		"other project":            {parent: acctest.WEB, name: "API", sends: get(projects+"acme/projects/API", 404), replaces: []string{"project"}},
		"other workspace":          {parent: acctest.Website, workspace: "other", sends: get("other/website", 404), replaces: []string{"workspace"}},
		"UUID, other workspace":    {parent: acctest.Website, workspace: "other", name: acctest.WebsiteUUID, sends: get("other/"+websiteUUID, 404), replaces: []string{"repository", "workspace"}, diagnostics: []string{"WARNING : Not found: other/" + acctest.WebsiteUUID}},
		"not found": {
			parent: acctest.Website, name: "web-site", sends: get("acme/web-site", 404), replaces: []string{"repository"},
			diagnostics: []string{"WARNING : Not found: acme/web-site"},
		},
		"renamed":                     {parent: acctest.Website, prepare: rename, name: "site", sends: get("acme/site", 200)},
		"renamed project":             {parent: acctest.WEB, prepare: func(f *acctest.Fake) { f.RenameProject("acme", "WEB", "SITE") }, name: "SITE", sends: get(projects+"acme/projects/SITE", 200)},
		"same ID in other repository": {parent: acctest.Website, name: "api", prepare: answerKey("/api/", other.UUID), sends: get("acme/api", 200), replaces: []string{"repository"}},
		"same UUID in capitals":       {parent: acctest.Website, name: "api", prepare: answerKey("/api/", strings.ToUpper(acctest.WebsiteUUID)), sends: get("acme/api", 200)},
		"forbidden":                   {parent: acctest.Website, name: "api", prepare: inject(emulator.Forbidden()), sends: get("acme/api", 403), diagnostics: []string{"ERROR : Unable to read deploy key"}},
		"server error":                {parent: acctest.WEB, name: "API", prepare: inject(emulator.ServerError()), sends: get(projects+"acme/projects/API", 500), diagnostics: []string{"ERROR : Unable to read deploy key"}},
		"other key without a UUID":    {parent: acctest.Website, name: "api", prepare: answerKey("/api/", ""), sends: get("acme/api", 200), diagnostics: []string{"ERROR : Unable to read deploy key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeWith(t, other)
			config := map[string]string{"key": acctest.NewKey(t), "label": "ci"}
			stored := createKey(t, f, tc.parent, nil, config)
			if tc.prepare != nil {
				tc.prepare(f)
			}
			changes := map[string]string{}
			if tc.workspace != "" {
				config["workspace"], changes["workspace"] = tc.workspace, tc.workspace
			}
			if tc.name != "" {
				config[tc.parent.Kind], changes[tc.parent.Kind] = tc.name, tc.name
			}
			r := newKeyRun(t, f, tc.parent, map[string]string{"max_rate_limit_wait": "0s"})
			plan := r.plan(t, stored, config)
			r.sends(t, tc.sends...)
			switch {
			case slices.ContainsFunc(tc.diagnostics, isError):
				plan.expectErrors(t, tc.diagnostics)
				return
			case tc.replaces != nil:
				for _, attribute := range tc.parent.Unknown() {
					changes[attribute] = acctest.UnknownValue
				}
			default:
				changes["id"] = fmt.Sprintf("%s/%s/%d", cmp.Or(tc.workspace, "acme"), cmp.Or(tc.name, tc.parent.Name), acctest.FirstID)
			}
			plan.expect(t, changes, tc.replaces, tc.diagnostics)
		})
	}
}

// answerKey lets Bitbucket answer a request for a key with another key, and with the UUID of
// the repository unless it is "".
func answerKey(path, uuid string) func(f *acctest.Fake) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	body := fmt.Sprintf(`{"id": %d, "key": %q}`, acctest.FirstID, key)
	if uuid != "" {
		body = fmt.Sprintf(`{"id": %d, "key": %q, "repository": {"uuid": %q}}`, acctest.FirstID, key, uuid)
	}
	return inject(emulator.Fault{Method: "GET", Path: path, Status: 200, Body: body})
}

func inject(fault emulator.Fault) func(f *acctest.Fake) {
	return func(f *acctest.Fake) { f.Inject(fault) }
}

// edited returns a stored key with other values in its state. The value "" is null.
func (r *keyRun) edited(t *testing.T, key *storedKey, values map[string]string) *storedKey {
	t.Helper()
	state := r.values(t, key.state)
	for name, value := range values {
		if state[name] = value; value == "" {
			delete(state, name)
		}
	}
	return &storedKey{r.object(t, state), key.private}
}

// What Bitbucket has already is accepted, although it would not be accepted for a new key.
func TestDeployKeyPlan_existing(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, short := acctest.NewFake(t), acctest.ShortRSA(t)
		key := acctest.NewKey(t)
		stored := createKey(t, f, parent, nil, map[string]string{"key": key + " me", "label": "ci"})
		refused := []string{"WARNING key: Bitbucket refuses new keys of this kind"}
		for name, tc := range map[string]struct {
			state, config, changes map[string]string
			diagnostics            []string
		}{
			"short key":            {map[string]string{"key": short + " me"}, map[string]string{"key": short + " me", "label": "ci"}, nil, refused},
			"short key, spacing":   {map[string]string{"key": short + " me"}, map[string]string{"key": short + "  me\n", "label": "ci"}, nil, refused},
			"bad label":            {map[string]string{"label": " a\x1b"}, map[string]string{"key": key + " me", "label": " a\x1b"}, nil, nil},
			"bad comment":          {map[string]string{"comment": "a\x1b"}, map[string]string{"key": key + " me", "label": "ci", "comment": "a\x1b"}, nil, nil},
			"bad comment in key":   {map[string]string{"key": key + " a\x1b", "comment": "a\x1b"}, map[string]string{"key": key + " a\x1b", "label": "ci"}, nil, nil},
			"other bad label":      {map[string]string{"label": " a\x1b"}, map[string]string{"key": key + " me", "label": " b\x1b"}, nil, []string{"ERROR label: Invalid label"}},
			"other bad comment":    {map[string]string{"comment": "a\x1b"}, map[string]string{"key": key + " me", "label": "ci", "comment": "b\x1b"}, nil, []string{"ERROR comment: Invalid comment"}},
			"comment of lines":     {nil, map[string]string{"key": key + " a\x1b", "label": "ci"}, nil, []string{"ERROR key: Invalid comment"}},
			"of another provider":  {map[string]string{"key": ""}, map[string]string{"key": key + " me", "label": "ci"}, nil, []string{"ERROR : Deploy key was not read yet"}},
			"spacing of a comment": {map[string]string{"comment": "build  agent"}, map[string]string{"key": key, "label": "ci", "comment": "build agent"}, nil, nil},
			"spacing in the key":   {map[string]string{"key": key + " build  agent", "comment": "build  agent"}, map[string]string{"key": key + " build agent", "label": "ci"}, nil, nil},
		} {
			t.Run(name, func(t *testing.T) {
				r := newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"})
				plan := r.plan(t, r.edited(t, stored, tc.state), tc.config)
				r.sends(t)
				if slices.ContainsFunc(tc.diagnostics, isError) {
					plan.expectErrors(t, tc.diagnostics)
					return
				}
				plan.expect(t, tc.changes, nil, tc.diagnostics)
			})
		}
	})
}

// While the credentials are not known, the plan decides what it can without a request.
func TestDeployKeyPlan_notConfigured(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		config := map[string]string{"key": key, "label": "ci"}
		stored := createKey(t, f, parent, nil, config)
		r := newKeyRun(t, f, parent, map[string]string{"token": acctest.UnknownValue})
		r.plan(t, stored, config).expect(t, nil, nil, nil)
		if plan := r.plan(t, nil, config); len(plan.diagnostics) > 0 {
			t.Errorf("a new key: got the diagnostics %q", plan.diagnostics)
		}
		if plan := r.plan(t, stored, map[string]string{"key": acctest.NewKey(t), "label": "ci"}); !slices.Equal(plan.replaces, []string{"key"}) || len(plan.diagnostics) > 0 {
			t.Errorf("another key: %v force replacement, got the diagnostics %q", plan.replaces, plan.diagnostics)
		}
		if plan := r.planDelete(t, stored); len(plan.diagnostics) > 0 {
			t.Errorf("a delete: got the diagnostics %q", plan.diagnostics)
		}
		config[parent.Kind] = parent.Other
		r.plan(t, stored, config).expectErrors(t, []string{"ERROR : Provider configuration is not known yet"})
		r.sends(t)
	})
}

// A key that refresh_after has left out is read before it is replaced.
func TestDeployKeyPlan_readBeforeReplacement(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		refreshAfter string
		prepare      func(f *acctest.Fake)
		reads        bool
		diagnostics  []string
	}{
		"left out":     {"24h", func(*acctest.Fake) {}, true, nil},
		"not left out": {"0s", func(*acctest.Fake) {}, false, nil},
		"gone":         {"24h", func(f *acctest.Fake) { f.RemoveDeployKey("acme", "website", acctest.FirstID) }, true, nil},
		"forbidden":    {"24h", inject(emulator.Forbidden()), true, []string{"ERROR : Unable to read deploy key"}},
		"renamed": {
			"24h", func(f *acctest.Fake) { f.RenameRepository("acme", "website", "site") }, true,
			[]string{"WARNING : Repository has another name now", "ERROR : Repository has another name now"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, key, attributes := acctest.NewFake(t), acctest.NewKey(t), map[string]string{"refresh_after": tc.refreshAfter}
			stored := createKey(t, f, acctest.Website, attributes, map[string]string{"key": key, "label": "ci"})
			r := newKeyRun(t, f, acctest.Website, attributes)
			stored = r.refresh(t, stored)
			tc.prepare(f)
			plan := r.plan(t, stored, map[string]string{"key": acctest.NewKey(t), "label": "ci"})
			if sent := r.Sent(); tc.reads != (len(sent) > 0) {
				t.Errorf("the plan sends %v", sent)
			}
			if !slices.Equal(plan.diagnostics, tc.diagnostics) || !slices.Equal(plan.replaces, []string{"key"}) {
				t.Errorf("got the diagnostics %q, want %q; %v force replacement", plan.diagnostics, tc.diagnostics, plan.replaces)
			}
		})
	}
}

// Each plan records what it decides, so that a later plan of the same run can warn.
func TestDeployKeyPlan_laterWarnings(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key, other := acctest.NewKey(t), acctest.NewKey(t)
		old, added := map[string]string{"key": key, "label": "ci"}, map[string]string{"key": other, "label": "ci"}
		cannot := func(verb string) string { return "WARNING : Credentials cannot " + verb + " deploy keys" }
		twice := "WARNING : Same deploy key twice in " + parent.String()
		refused := "ERROR key: Bitbucket refuses this key"
		add, del, update := cannot("add"), cannot("delete"), []string{cannot("update")}
		if parent.IsProject() {
			update = []string{del, add}
			slices.Sort(update)
		}
		for name, tc := range map[string]struct {
			plans func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan
			want  []string
		}{
			"unchanged": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, old)}
			}, nil},
			"delete": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.planDelete(t, stored)}
			}, []string{del}},
			"label": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": key, "label": "x"})}
			}, update},
			"comment": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": key, "label": "ci", "comment": "x"})}
			}, update},
			"spelling": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": key, "label": "ci", "workspace": "ACME"})}
			}, nil},
			"new key": {func(t *testing.T, r *keyRun, _ *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, nil, added)}
			}, []string{add}},
			"two new keys": {func(t *testing.T, r *keyRun, _ *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, nil, added), r.plan(t, nil, added)}
			}, []string{add, twice}},
			"key that another resource keeps": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, old), r.plan(t, nil, old)}
			}, []string{add, twice}},
			"key that another resource keeps under another spelling": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": key, "label": "ci", "workspace": "ACME"}), r.plan(t, nil, old)}
			}, []string{add, twice}},
			"key that another resource loses": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.planDelete(t, stored), r.plan(t, nil, old)}
			}, []string{del, add}},
			"replacement": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, added)
				return []keyPlan{first, r.planAgain(t, first)}
			}, []string{add, del}},
			"replacement, and the same new key": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, added)
				return []keyPlan{first, r.planAgain(t, first), r.plan(t, nil, added)}
			}, []string{add, del, twice}},
			"replacement, and the old key": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, added)
				return []keyPlan{first, r.planAgain(t, first), r.plan(t, nil, old)}
			}, []string{add, del}},
			// Terraform plans a key that is unchanged, and with -replace once more without its state.
			"-replace": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, old)
				return []keyPlan{first, r.planAgain(t, first), r.planDelete(t, stored)}
			}, []string{add, del}},
			"-replace, spelling": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, map[string]string{"key": key, "label": "ci", "workspace": "ACME"})
				return []keyPlan{first, r.planAgain(t, first), r.planDelete(t, stored)}
			}, []string{add, del}},
			"new key that is refused": {func(t *testing.T, r *keyRun, _ *storedKey) []keyPlan {
				short := map[string]string{"key": acctest.ShortRSA(t)}
				return []keyPlan{r.plan(t, nil, short), r.plan(t, nil, short)}
			}, []string{refused, refused}},
			"replacement that is refused": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": acctest.ShortRSA(t), "label": "ci"}), r.plan(t, nil, old)}
			}, []string{refused, add}},
			"label that is refused": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				return []keyPlan{r.plan(t, stored, map[string]string{"key": key, "label": "a\x1b"}), r.plan(t, nil, added)}
			}, []string{"ERROR label: Invalid label", add}},
			"-replace, and the same new key": {func(t *testing.T, r *keyRun, stored *storedKey) []keyPlan {
				first := r.plan(t, stored, old)
				return []keyPlan{first, r.planAgain(t, first), r.plan(t, nil, old)}
			}, []string{add, del, twice}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				stored := createKey(t, f, parent, nil, old)
				f.SetCredentialHeaders(http.Header{"X-Oauth-Scopes": {"admin:" + parent.Kind + ":bitbucket"}})
				r := newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"})
				stored = r.refresh(t, stored)
				var got []string
				for _, plan := range tc.plans(t, r, stored) {
					got = append(got, plan.diagnostics...)
				}
				slices.Sort(got)
				if want := slices.Sorted(slices.Values(tc.want)); !slices.Equal(got, want) {
					t.Errorf("got the diagnostics %q, want %q", got, want)
				}
			})
		}
	})
}

// The replies to a refresh show what the credentials may do.
func TestDeployKeyPlan_credentials(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, config)
		admin := "admin:" + parent.Kind + ":bitbucket"
		for name, tc := range map[string]struct {
			kind, scopes string
			warns        bool
		}{
			"not known":                    {"", "", false},
			"all scopes":                   {"api_token", admin + " delete:ssh-key:bitbucket", false},
			"admin alone":                  {"api_token", admin, true},
			"admin of others alone":        {"api_token", "admin:workspace:bitbucket delete:ssh-key:bitbucket", true},
			"delete alone":                 {"api_token", "delete:ssh-key:bitbucket", true},
			"unknown scope":                {"api_token", admin + " everything", false},
			"OAuth admin":                  {"oauth2", parent.Kind + ":admin", false},
			"OAuth without admin":          {"oauth2", "repository project account", true},
			"both forms, with OAuth admin": {"", admin + " " + parent.Kind + ":admin", false},
			"access token":                 {"workspace_access_token", parent.Kind + ":admin", !parent.IsProject()},
			"access token without scopes":  {"repo_access_token", "", !parent.IsProject()},
		} {
			f.SetCredentialHeaders(http.Header{"X-Credential-Type": {tc.kind}, "X-Oauth-Scopes": {tc.scopes}})
			r := newKeyRun(t, f, parent, nil)
			r.refresh(t, stored)
			if plan := r.planDelete(t, stored); len(plan.diagnostics) > 0 != tc.warns {
				t.Errorf("%s: got the diagnostics %q", name, plan.diagnostics)
			}
		}
	})
}

// A listed key that no resource of the run has is one that a new resource cannot add.
func TestDeployKeyPlan_listedKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		one, two := createKey(t, f, parent, nil, config), createKey(t, f, parent, nil, map[string]string{"key": acctest.NewKey(t)})
		exists := []string{"WARNING : Deploy key exists already in " + parent.String()}
		for name, tc := range map[string]struct {
			before func(t *testing.T, r *keyRun)
			want   []string
		}{
			"of nobody": {func(*testing.T, *keyRun) {}, exists},
			"deleted":   {func(t *testing.T, r *keyRun) { r.planDelete(t, one) }, nil},
			"read":      {func(t *testing.T, r *keyRun) { r.refresh(t, one) }, nil},
			"imported": {func(t *testing.T, r *keyRun) {
				resp, err := r.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{TypeName: parent.TypeName, ID: parent.ImportID(acctest.FirstID)})
				if err != nil || len(resp.Diagnostics) > 0 {
					t.Fatal(err, diagnosed(resp.Diagnostics))
				}
			}, nil},
		} {
			r := newKeyRun(t, f, parent, nil)
			tc.before(t, r)
			r.refresh(t, two)
			if plan := r.plan(t, nil, config); !slices.Equal(plan.diagnostics, tc.want) {
				t.Errorf("%s: got the diagnostics %q, want %q", name, plan.diagnostics, tc.want)
			}
		}
	})
}

// Without a refresh, the plan learns the place of a key from the state.
func TestDeployKeyPlan_laterWarningsWithoutRefresh(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, config)
		r := newKeyRun(t, f, parent, nil)
		r.plan(t, stored, config).expect(t, nil, nil, nil)
		if plan := r.plan(t, nil, config); !slices.Equal(plan.diagnostics, []string{"WARNING : Same deploy key twice in " + parent.String()}) {
			t.Errorf("got the diagnostics %q", plan.diagnostics)
		}
		r.sends(t)
	})
}

// A comment that is not configured any more is the comment in the key again.
func TestDeployKeyPlan_commentNotConfigured(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	stored := createKey(t, f, acctest.Website, nil, map[string]string{"key": key + " me", "comment": "you"})
	r := newKeyRun(t, f, acctest.Website, map[string]string{"update_strategy": "in_place"})
	r.plan(t, stored, map[string]string{"key": key + " me"}).expect(t, map[string]string{"comment": "me"}, nil, nil)
}

// The plan of a key completes the warning about an exclusive set that lacks the key, unless
// the key is to be deleted.
func TestDeployKeyPlan_exclusiveSet(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, config)
		for name, tc := range map[string]struct {
			plan func(r *keyRun) keyPlan
			want []string
		}{
			"kept":    {func(r *keyRun) keyPlan { return r.plan(t, stored, config) }, []string{"WARNING : Managed deploy keys of " + parent.String() + " are not in key_ids"}},
			"deleted": {func(r *keyRun) keyPlan { return r.planDelete(t, stored) }, nil},
			"new":     {func(r *keyRun) keyPlan { return r.plan(t, nil, config) }, nil},
		} {
			r := newKeyRun(t, f, parent, nil)
			r.planEmptySet(t)
			if plan := tc.plan(r); !slices.Equal(plan.diagnostics, tc.want) {
				t.Errorf("%s: got the diagnostics %q, want %q", name, plan.diagnostics, tc.want)
			}
		}
	})
}

// planEmptySet plans a new exclusive set of the parent without any key.
func (r *keyRun) planEmptySet(t *testing.T) {
	t.Helper()
	typeName := r.parent.TypeName + "s_exclusive"
	object, ok := r.Schemas.ResourceSchemas[typeName].ValueType().(tftypes.Object)
	if !ok {
		t.Fatal("the type of the schema is not an object")
	}
	attributes := map[string]tftypes.Value{}
	for name, attribute := range object.AttributeTypes {
		attributes[name] = tftypes.NewValue(attribute, nil)
	}
	attributes["workspace"] = tftypes.NewValue(tftypes.String, "acme")
	attributes[r.parent.Kind] = tftypes.NewValue(tftypes.String, r.parent.Name)
	attributes["key_ids"] = tftypes.NewValue(object.AttributeTypes["key_ids"], []tftypes.Value{})
	config, err := tfprotov6.NewDynamicValue(object, tftypes.NewValue(object, attributes))
	if err != nil {
		t.Fatal(err)
	}
	null, err := tfprotov6.NewDynamicValue(object, tftypes.NewValue(object, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{TypeName: typeName, PriorState: &null, Config: &config, ProposedNewState: &config})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatal(err, diagnosed(resp.Diagnostics))
	}
}

// What Bitbucket has stored is compared with the plan. Only for a difference that the
// configuration can remove, the warning says how.
func TestDeployKeyModel_reconcileWithPlan(t *testing.T) {
	t.Parallel()
	plan := deployKeyModel{
		Label: types.StringValue("ci"), Comment: types.StringValue("build agent"), KeyType: types.StringValue("ssh-ed25519"),
		CreatedOn: types.StringUnknown(), ParentUUID: types.StringValue(acctest.WebsiteUUID),
	}
	for name, tc := range map[string]struct {
		stored            func(m *deployKeyModel)
		differs, settable bool
	}{
		"as planned":       {func(*deployKeyModel) {}, false, false},
		"unknown":          {func(m *deployKeyModel) { m.CreatedOn = types.StringValue("2026-09-30T13:07:33+00:00") }, false, false},
		"spaces":           {func(m *deployKeyModel) { m.Comment = types.StringValue(" build  agent") }, false, false},
		"label":            {func(m *deployKeyModel) { m.Label = types.StringValue("CI") }, true, true},
		"comment":          {func(m *deployKeyModel) { m.Comment = types.StringValue("buildagent") }, true, true},
		"type":             {func(m *deployKeyModel) { m.KeyType = types.StringValue("ssh-rsa") }, true, false},
		"UUID":             {func(m *deployKeyModel) { m.ParentUUID = types.StringValue(acctest.WorkspaceUUID) }, true, false},
		"UUID is omitted":  {func(m *deployKeyModel) { m.ParentUUID = types.StringNull() }, false, false},
		"label, then UUID": {func(m *deployKeyModel) { m.Label, m.ParentUUID = types.StringValue("CI"), types.StringValue("x") }, true, true},
	} {
		stored, diags := plan, diag.Diagnostics{}
		stored.CreatedOn = types.StringNull()
		tc.stored(&stored)
		if asPlanned := stored.reconcileWithPlan(&plan, &diags); asPlanned == tc.differs || tc.differs != (diags.WarningsCount() == 1) {
			t.Errorf("%s: asPlanned is %t, got the diagnostics %v", name, asPlanned, diags)
		}
		if len(diags) > 0 && strings.Contains(diags[0].Detail(), "ignore_changes") != tc.settable {
			t.Errorf("%s: got the warning %s", name, diags[0].Detail())
		}
		want := plan
		want.CreatedOn = stored.CreatedOn // What is not planned is as Bitbucket has stored it.
		if stored != want || stored.CreatedOn.IsUnknown() {
			t.Errorf("%s: got %v instead of the planned values", name, stored)
		}
	}
}

// Fields that Bitbucket omits keep their known values, and no others do.
func TestDeployKeyModel_retainOmitted(t *testing.T) {
	t.Parallel()
	null, old, now := types.StringNull(), types.StringValue("old"), types.StringValue("new")
	for _, tc := range []struct{ got, known, want types.String }{
		{null, old, old}, {now, old, now}, {null, types.StringUnknown(), null}, {now, types.StringUnknown(), now}, {null, null, null},
	} {
		m := deployKeyModel{ParentUUID: tc.got, CreatedOn: tc.got}
		m.retainOmitted(&deployKeyModel{ParentUUID: tc.known, CreatedOn: tc.known})
		if m.ParentUUID != tc.want || m.CreatedOn != tc.want {
			t.Errorf("%v with the known value %v: got %v and %v", tc.got, tc.known, m.ParentUUID, m.CreatedOn)
		}
	}
}

// The text of an imported key has its comment, as a .pub file has it, unless that would make
// the text invalid.
func TestDeployKeyModel_attachComment(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	for comment, want := range map[string]string{"": key, "me": key + " me", "a\nb": key} {
		m := deployKeyModel{Key: newPublicKeyValue(key), Comment: types.StringValue(comment)}
		if m.attachComment(); m.Key.ValueString() != want {
			t.Errorf("the comment %q: got %q", comment, m.Key.ValueString())
		}
	}
}
