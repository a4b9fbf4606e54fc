package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// exclusive is a parent whose keys only Terraform may add, with a fake.
type exclusive struct {
	*acctest.Fake
	parent acctest.Parent
}

// exclusives are a repository and a project in one configuration.
type exclusives struct {
	*acctest.Fake
	*acctest.CLI
	both []*exclusive
}

func newExclusives(t *testing.T, terraform *acctest.CLI) *exclusives {
	t.Helper()
	f := newFakeOfSets(t)
	return &exclusives{f, terraform, []*exclusive{{f, acctest.Website}, {f, acctest.WEB}}}
}

func newFakeOfSets(t *testing.T) *acctest.Fake {
	t.Helper()
	return acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID, Project: "WEB"}, {Slug: "api"}})
}

// write writes the blocks of both kinds.
func (es *exclusives) write(t *testing.T, blocks func(e *exclusive) string) {
	t.Helper()
	config := ""
	for _, e := range es.both {
		config += blocks(e)
	}
	es.Write(t, es.Config(config))
}

// apply applies the blocks of both kinds.
func (es *exclusives) apply(t *testing.T, blocks func(e *exclusive) string, args ...string) string {
	t.Helper()
	es.write(t, blocks)
	return es.MustRun(t, append([]string{"apply", "-auto-approve"}, args...)...)
}

// addByHand adds a key of each kind outside of Terraform.
func (es *exclusives) addByHand(t *testing.T, label string) map[*exclusive]emulator.DeployKey {
	t.Helper()
	added := map[*exclusive]emulator.DeployKey{}
	for _, e := range es.both {
		added[e] = e.addByHand(t, label)
	}
	return added
}

func (es *exclusives) expectLabels(t *testing.T, labels ...string) {
	t.Helper()
	for _, e := range es.both {
		e.expectLabels(t, labels...)
	}
}

// expectSent checks the requests of each kind since the last call.
func (es *exclusives) expectSent(t *testing.T, want func(e *exclusive) []string) {
	t.Helper()
	got := es.Sent()
	for _, e := range es.both {
		var sent []string
		for _, line := range got {
			if strings.Contains(line, " "+e.parent.Collection()) {
				sent = append(sent, line)
			}
		}
		if !slices.Equal(sent, want(e)) {
			t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(sent, "\n  "), strings.Join(want(e), "\n  "))
		}
	}
}

// expectEmptyPlan checks that the plan is empty and lists the keys of each kind once.
func (es *exclusives) expectEmptyPlan(t *testing.T) {
	t.Helper()
	es.Sent()
	es.MustRun(t, "plan", "-detailed-exitcode")
	es.expectSent(t, (*exclusive).list)
}

// removals saves a plan and returns its output, and which keys it shows as removed, from its
// JSON: what an approver or a policy reads.
func (es *exclusives) removals(t *testing.T) (string, map[*exclusive]map[string]map[string]string) {
	t.Helper()
	out := es.MustRun(t, "plan", "-out=saved")
	type keys struct {
		OtherKeys map[string]map[string]string `json:"other_keys"`
	}
	var plan struct {
		ResourceChanges []struct {
			Type   string
			Change struct{ Before, After keys }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(es.MustRun(t, "show", "-json", "saved")), &plan); err != nil {
		t.Fatal(err)
	}
	removed := map[*exclusive]map[string]map[string]string{}
	for _, change := range plan.ResourceChanges {
		for _, e := range es.both {
			if change.Type == e.typeName() {
				removed[e] = change.Change.Before.OtherKeys
				for id := range change.Change.After.OtherKeys {
					t.Errorf("the plan keeps %s in other_keys", id)
				}
			}
		}
	}
	return out, removed
}

// expectRemoval saves a plan that removes this key of each kind.
func (es *exclusives) expectRemoval(t *testing.T, keys map[*exclusive]emulator.DeployKey) {
	t.Helper()
	_, removed := es.removals(t)
	for _, e := range es.both {
		if got := slices.Collect(maps.Keys(removed[e])); !slices.Equal(got, []string{strconv.FormatInt(keys[e].ID, 10)}) {
			t.Errorf("the plan removes %q, want %d", got, keys[e].ID)
		}
	}
}

// expectNoRemoval checks that no key was removed since the last look at the requests.
func (es *exclusives) expectNoRemoval(t *testing.T, out string) {
	t.Helper()
	if warns(out) {
		t.Errorf("it warns: %s", out)
	}
	for _, request := range es.Writes() {
		if strings.HasPrefix(request, "DELETE") {
			t.Errorf("sent %s", request)
		}
	}
}

func (e *exclusive) typeName() string { return e.parent.TypeName + "s_exclusive" }

// list returns the request that lists the keys.
func (e *exclusive) list() []string { return []string{"GET " + e.parent.Collection() + " 200"} }

// keys returns blocks of keys by label. Each key has these lines.
func (e *exclusive) keys(keys map[string]string, lines ...string) string {
	values := ""
	for name, key := range keys {
		values += fmt.Sprintf("    %s = %q\n", name, key)
	}
	return fmt.Sprintf("\nresource %q \"this\" {\n  for_each = {\n%s  }\n  workspace = \"acme\"\n  %s\n  key = each.value\n  label = each.key\n  %s\n}\n",
		e.parent.TypeName, values, e.parent.Line(e.parent.Name), strings.Join(lines, "\n  "))
}

// only returns the exclusive resource with these lines.
func (e *exclusive) only(lines ...string) string {
	return fmt.Sprintf("\nresource %q \"this\" {\n  workspace = \"acme\"\n  %s\n  %s\n}\n", e.typeName(), e.parent.Line(e.parent.Name), strings.Join(lines, "\n  "))
}

// these returns the line that allows the keys of keys.
func (e *exclusive) these() string {
	return fmt.Sprintf("key_ids = [for key in %s.this : key.key_id]", e.parent.TypeName)
}

// onlyKey returns the line that allows only this key.
func onlyKey(key emulator.DeployKey) string { return fmt.Sprintf("key_ids = [%d]", key.ID) }

// addByHand adds a key outside of Terraform.
func (e *exclusive) addByHand(t *testing.T, label string) emulator.DeployKey {
	t.Helper()
	return e.Add(e.parent, acctest.NewKey(t), label)
}

func (e *exclusive) expectLabels(t *testing.T, want ...string) {
	t.Helper()
	labels := []string{}
	for _, key := range e.Keys(e.parent) {
		labels = append(labels, key.Label)
	}
	if slices.Sort(labels); !slices.Equal(labels, want) {
		t.Errorf("%s has the keys %q, want %q", e.parent.Name, labels, want)
	}
}

// expectSent checks the requests since the last call.
func (e *exclusive) expectSent(t *testing.T, want ...string) {
	t.Helper()
	if got := e.Sent(); !slices.Equal(got, want) {
		t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// deletes returns the request that removes a key.
func (e *exclusive) deletes(key emulator.DeployKey) string {
	return fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), key.ID)
}

// warns reports whether the provider has warned.
func warns(out string) bool { return len(warnings(out)) > 0 }

// setRuns has an exclusive set in a state. It plans and applies over the protocol, because no
// CLI is needed to see what a set removes. Terraform starts the provider for each plan and for
// each apply.
type setRuns struct {
	exclusive
	state *tfprotov6.DynamicValue // state is null before the first apply.
}

// forBoth runs a test for a repository and for a project.
func forBoth(t *testing.T, run func(t *testing.T, s *setRuns)) {
	t.Helper()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		s := &setRuns{exclusive: exclusive{newFakeOfSets(t), parent}}
		s.state = s.null(t)
		run(t, s)
	})
}

// setPlan is what a plan of a set has decided.
type setPlan struct {
	config       map[string]any
	prior, after map[string]tftypes.Value
	replaces     bool
	messages     string
	response     *tfprotov6.PlanResourceChangeResponse
	refreshed    *tfprotov6.DynamicValue
}

// ids are the values of key_ids.
func ids(keys ...emulator.DeployKey) map[string]any {
	values := []tftypes.Value{}
	for _, key := range keys {
		values = append(values, tftypes.NewValue(tftypes.Number, key.ID))
	}
	return map[string]any{"key_ids": values}
}

// unlisted is a key that no parent has.
var unlisted = emulator.DeployKey{ID: 5}

// setObject returns an exclusive set of acme. Attributes that are not in values are null.
func setObject(t *testing.T, server acctest.Server, parent acctest.Parent, values map[string]any) *tfprotov6.DynamicValue {
	t.Helper()
	types, ok := server.Schemas.ResourceSchemas[parent.TypeName+"s_exclusive"].ValueType().(tftypes.Object)
	if !ok {
		t.Fatal("the type of the schema is not an object")
	}
	values = mergedWith(map[string]any{"workspace": "acme", parent.Kind: parent.Name}, values)
	attributes := map[string]tftypes.Value{}
	for name, attribute := range types.AttributeTypes {
		value, isValue := values[name].(tftypes.Value)
		if !isValue {
			value = tftypes.NewValue(attribute, values[name])
		}
		attributes[name] = value
	}
	object, err := tfprotov6.NewDynamicValue(types, tftypes.NewValue(types, attributes))
	if err != nil {
		t.Fatal(err)
	}
	return &object
}

func mergedWith(values, more map[string]any) map[string]any {
	merged := maps.Clone(values)
	maps.Copy(merged, more)
	return merged
}

func (s *setRuns) schemaType(t *testing.T) tftypes.Type {
	t.Helper()
	return acctest.NewServer(t).Schemas.ResourceSchemas[s.typeName()].ValueType()
}

func (s *setRuns) null(t *testing.T) *tfprotov6.DynamicValue {
	t.Helper()
	null, err := tfprotov6.NewDynamicValue(s.schemaType(t), tftypes.NewValue(s.schemaType(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	return &null
}

// attributes returns the attributes of an object, none for null.
func (s *setRuns) attributes(t *testing.T, object *tfprotov6.DynamicValue) map[string]tftypes.Value {
	t.Helper()
	value, err := object.Unmarshal(s.schemaType(t))
	if err != nil {
		t.Fatal(err)
	}
	attributes := map[string]tftypes.Value{}
	if !value.IsNull() {
		if err := value.As(&attributes); err != nil {
			t.Fatal(err)
		}
	}
	return attributes
}

// plan refreshes and plans the set with this configuration.
func (s *setRuns) plan(t *testing.T, config map[string]any) setPlan {
	t.Helper()
	return s.planWith(t, acctest.NewServerWith(t, s.Fake, nil), config)
}

func (s *setRuns) planWith(t *testing.T, server acctest.Server, config map[string]any) setPlan {
	t.Helper()
	prior, diagnostics := s.state, []*tfprotov6.Diagnostic(nil)
	if len(s.attributes(t, prior)) > 0 {
		read, err := server.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: s.typeName(), CurrentState: prior})
		if err != nil {
			t.Fatal(err)
		}
		if diagnostics = read.Diagnostics; strings.Contains(acctest.Reported(diagnostics), "Error: ") {
			return setPlan{messages: acctest.Reported(diagnostics)}
		}
		prior = read.NewState
	}
	plan := s.propose(t, server, prior, config)
	plan.messages = acctest.Reported(diagnostics) + plan.messages
	return plan
}

// propose validates and plans. As Terraform does, it proposes the values in the state for the
// attributes that the configuration does not set.
func (s *setRuns) propose(t *testing.T, server acctest.Server, prior *tfprotov6.DynamicValue, config map[string]any) setPlan {
	t.Helper()
	object := setObject(t, server, s.parent, config)
	validated, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: s.typeName(), Config: object})
	if err != nil {
		t.Fatal(err)
	}
	if len(validated.Diagnostics) > 0 {
		return setPlan{messages: acctest.Reported(validated.Diagnostics)}
	}
	proposed := map[string]any{}
	for name, value := range s.attributes(t, prior) {
		proposed[name] = value
	}
	for name, value := range s.attributes(t, object) {
		if !value.IsNull() {
			proposed[name] = value
		}
	}
	resp, err := server.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: s.typeName(), PriorState: prior, Config: object, ProposedNewState: setObject(t, server, s.parent, proposed),
	})
	if err != nil {
		t.Fatal(err)
	}
	return setPlan{config, s.attributes(t, prior), s.attributes(t, resp.PlannedState), len(resp.RequiresReplace) > 0, acctest.Reported(resp.Diagnostics), resp, prior}
}

// applyPlan applies a plan. As Terraform does, it plans again before, with the values that are
// known only now, and checks that the result has the planned values. It returns the messages.
func (s *setRuns) applyPlan(t *testing.T, plan setPlan, known ...map[string]any) string {
	t.Helper()
	if strings.Contains(plan.messages, "Error: ") {
		return plan.messages
	}
	server, config := acctest.NewConfiguredServer(t, s.Fake), plan.config
	for _, values := range known {
		config = mergedWith(config, values)
	}
	again := s.propose(t, server, plan.refreshed, config)
	if strings.Contains(again.messages, "Error: ") {
		return again.messages
	}
	resp, err := server.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: s.typeName(), PriorState: plan.refreshed, Config: setObject(t, server, s.parent, config), PlannedState: again.response.PlannedState,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.state = resp.NewState
	if len(resp.Diagnostics) == 0 {
		expectPlanned(t, plan.after, again.after)
		expectPlanned(t, again.after, s.attributes(t, s.state))
	}
	return acctest.Reported(resp.Diagnostics)
}

// expectPlanned checks that the attributes that a plan knows stay as they are.
func expectPlanned(t *testing.T, planned, got map[string]tftypes.Value) {
	t.Helper()
	for name, value := range planned {
		if value.IsFullyKnown() && !value.Equal(got[name]) {
			t.Errorf("%s is %s, but the plan was %s", name, got[name], value)
		}
	}
}

// apply plans and applies a configuration, without any message.
func (s *setRuns) apply(t *testing.T, config map[string]any) {
	t.Helper()
	s.applySaved(t, s.plan(t, config))
}

// applySaved applies a plan, without any message.
func (s *setRuns) applySaved(t *testing.T, plan setPlan) {
	t.Helper()
	if out := plan.messages + s.applyPlan(t, plan); out != "" {
		t.Fatalf("got the messages %s", out)
	}
}

// applyWithoutRemoval applies a configuration, which must remove no key.
func (s *setRuns) applyWithoutRemoval(t *testing.T, config map[string]any) {
	t.Helper()
	s.Sent()
	s.apply(t, config)
	if writes := s.Writes(); len(writes) > 0 {
		t.Errorf("sent %q", writes)
	}
}

// removes returns the IDs of the keys that a plan shows as removed: other_keys loses them.
func (p setPlan) removes(t *testing.T) []string {
	t.Helper()
	before, after := map[string]tftypes.Value{}, map[string]tftypes.Value{}
	if p.after["other_keys"].IsFullyKnown() {
		if err := p.after["other_keys"].As(&after); err != nil {
			t.Fatal(err)
		}
		if err := p.prior["other_keys"].As(&before); err != nil {
			t.Fatal(err)
		}
	}
	if len(after) > 0 {
		t.Errorf("the plan keeps %v in other_keys", after)
	}
	return slices.Sorted(maps.Keys(before))
}

// expectRemoval plans and checks which keys the plan shows as removed.
func (s *setRuns) expectRemoval(t *testing.T, config map[string]any, keys ...emulator.DeployKey) setPlan {
	t.Helper()
	plan := s.plan(t, config)
	want := []string{}
	for _, key := range keys {
		want = append(want, strconv.FormatInt(key.ID, 10))
	}
	if got := plan.removes(t); !slices.Equal(got, want) || plan.messages != "" {
		t.Errorf("the plan removes %q, want %q, %s", got, want, plan.messages)
	}
	return plan
}

// expectEmptyPlan checks that the plan is empty and sends one request, which lists the keys.
func (s *setRuns) expectEmptyPlan(t *testing.T, config map[string]any) {
	t.Helper()
	s.Sent()
	s.expectNoChange(t, config)
	s.expectSent(t, s.list()...)
}

// expectNoChange checks that the plan is empty.
func (s *setRuns) expectNoChange(t *testing.T, config map[string]any) {
	t.Helper()
	plan := s.plan(t, config)
	for name, value := range plan.after {
		if !value.Equal(plan.prior[name]) {
			t.Errorf("the plan changes %s from %s to %s", name, plan.prior[name], value)
		}
	}
	if plan.messages != "" || plan.response == nil {
		t.Errorf("the plan gives the messages %s", plan.messages)
	}
}

// expectError plans and applies a configuration, which must fail with these words.
func (s *setRuns) expectError(t *testing.T, config map[string]any, words ...string) {
	t.Helper()
	acctest.Contains(t, s.applyPlan(t, s.plan(t, config)), append([]string{"Error: "}, words...)...)
}

// A new set only stores the keys that existed before. The next plan shows each of them, also
// in JSON, and its apply removes them.
func TestAccDeployKeysExclusive_adopt(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	old, used := es.addByHand(t, "old laptop"), es.addByHand(t, "ci \"2019\"")
	when := "2021-03-04T05:06:07.000000+00:00"
	keys := map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t)}
	for _, e := range es.both {
		e.Edit(e.parent, used[e].ID, func(key *emulator.DeployKey) { key.LastUsed = &when })
	}
	es.write(t, func(e *exclusive) string { return e.keys(keys) + e.only(e.these()) })
	out := es.MustRun(t, "plan")
	acctest.Contains(t, out, "6 to add, 0 to change, 0 to destroy")
	if strings.Count(out, "+ key_ids = [ + (known after apply), + (known after apply), ]") != 2 ||
		strings.Count(strings.ReplaceAll(out, "{ } -> ", ""), "+ other_keys = (known after apply)") != 2 { // Terraform 1.0 shows an empty map before.
		t.Errorf("the plan is %s", out)
	}
	es.expectSent(t, func(*exclusive) []string { return nil })
	es.expectNoRemoval(t, es.MustRun(t, "apply", "-auto-approve"))
	es.expectLabels(t, "a", "b", `ci "2019"`, "old laptop")

	out, removed := es.removals(t)
	if warns(out) {
		t.Errorf("the plan says it twice: %s", out)
	}
	for _, e := range es.both {
		acctest.Contains(t, out, "~ other_keys = {",
			fmt.Sprintf(`- "%d" = {`, old[e].ID), "- fingerprint_sha256 = \"SHA256:", `- label = "old laptop"`,
			fmt.Sprintf(`- "%d" = {`, used[e].ID), "- fingerprint_sha256 = \"SHA256:", `- label = "ci \"2019\""`, `- last_used = "`+when, "0 to add, 2 to change, 0 to destroy")
		for _, key := range []emulator.DeployKey{old[e], used[e]} {
			shown := removed[e][strconv.FormatInt(key.ID, 10)]
			if shown["label"] != key.Label || !strings.HasPrefix(shown["fingerprint_sha256"], "SHA256:") || shown["last_used"] != map[int64]string{used[e].ID: when}[key.ID] {
				t.Errorf("the plan shows %q in JSON", shown)
			}
		}
	}
	es.Sent()
	if out := es.MustRun(t, "apply", "saved"); warns(out) {
		t.Errorf("the apply says it again: %s", out)
	}
	es.expectSent(t, func(e *exclusive) []string { return append(e.list(), e.deletes(old[e]), e.deletes(used[e])) })
	es.expectLabels(t, "a", "b")
	es.expectEmptyPlan(t)
}

// Between plan and apply, somebody adds a key and removes another one. The apply removes only
// what the plan has shown. The next plan shows the new key.
func TestDeployKeysExclusive_betweenPlanAndApply(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		first, second, kept := s.addByHand(t, "first"), s.addByHand(t, "second"), s.addByHand(t, "kept")
		s.applyWithoutRemoval(t, ids(kept))
		saved := s.expectRemoval(t, ids(kept), first, second)
		s.Remove(s.parent, first.ID)
		late := s.addByHand(t, "late")
		s.Sent()
		s.applySaved(t, saved)
		s.expectSent(t, append(s.list(), s.deletes(second))...)
		s.expectLabels(t, "kept", "late")
		s.applySaved(t, s.expectRemoval(t, ids(kept), late))
		s.expectLabels(t, "kept")
		s.expectEmptyPlan(t, ids(kept))
	})
}

// With create_before_destroy, the old key stays until everything that depends on the new key
// has changed, because the set does not remove the old key. It also stays if a machine cannot
// be reached.
func TestAccDeployKeysExclusive_rotation(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	// The machine comes after the set, so that the set has done all it does when the machine fails.
	rotating := func(key, deploy string) func(e *exclusive) string {
		return func(e *exclusive) string {
			return e.keys(map[string]string{"ci": key}, "lifecycle {", "  create_before_destroy = true", "}") + e.only(e.these()) +
				fmt.Sprintf("\nresource \"terraform_data\" %[1]q {\n  triggers_replace = [%[2]s.this[\"ci\"].key_id]\n  depends_on = [%[3]s.this]\n  provisioner \"local-exec\" {\n    command = %[4]q\n  }\n}\n",
					"machine_of_"+e.parent.Kind, e.parent.TypeName, e.typeName(), deploy)
		}
	}
	es.apply(t, rotating(acctest.NewKey(t), "exit 0"))
	old := map[*exclusive]emulator.DeployKey{}
	for _, e := range es.both {
		old[e] = e.OnlyKeyOf(t, e.parent)
	}
	rotated := acctest.NewKey(t)
	es.write(t, rotating(rotated, "exit 1"))
	es.Fails(t, []string{"apply", "-auto-approve"}, "exit status 1", "exit status 1")
	es.expectLabels(t, "ci", "ci")

	es.Sent()
	es.apply(t, rotating(rotated, "exit 0"))
	writes := es.Writes()
	slices.Sort(writes)
	if want := []string{es.both[1].deletes(old[es.both[1]]), es.both[0].deletes(old[es.both[0]])}; !slices.Equal(writes, want) {
		t.Errorf("sent %q", writes)
	}
	// Terraform 1.16 destroys the machine that failed only in the next apply.
	es.MustRun(t, "apply", "-auto-approve")
	if writes = es.Writes(); len(writes) > 0 {
		t.Errorf("sent %q", writes)
	}
	es.expectEmptyPlan(t)
}

// The listing that decides is new: a key that another provider configuration has just added
// counts.
func TestAccDeployKeysExclusive_newListing(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewBuiltCLI(t)) // Each provider configuration needs its own process.
	es.addByHand(t, "stranger")
	for generation := range 2 {
		key := acctest.NewKey(t)
		provider := fmt.Sprintf(`
provider "bitbucket" {
  alias    = "other"
  base_url = "%s/2.0"
  username = "ci@example.com"
  token    = "api-token"
}

resource "terraform_data" "generation" {
  input = %d
}
`, es.URL, generation)
		es.apply(t, func(e *exclusive) string {
			config := provider
			provider = ""
			return config + fmt.Sprintf(`
data "%[1]ss" "before" {
  workspace  = "acme"
  %[2]s
  depends_on = [terraform_data.generation]
}

resource %[1]q "this" {
  provider   = bitbucket.other
  workspace  = "acme"
  %[2]s
  key        = %[3]q
  label      = "ci"
  depends_on = [data.%[1]ss.before]
}
`, e.parent.TypeName, e.parent.Line(e.parent.Name), key) + e.only(fmt.Sprintf("key_ids = [%s.this.key_id]", e.parent.TypeName))
		})
	}
	es.expectLabels(t, "ci")
}

// A key that a resource of the same configuration manages is not removed if key_ids forgets it:
// no apply adds again what another apply has removed.
func TestAccDeployKeysExclusive_managed(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	listed, key := es.addByHand(t, "listed"), map[string]string{"forgotten": acctest.NewKey(t)}
	forgotten := func(e *exclusive) string {
		return e.keys(key, "lifecycle {", "  prevent_destroy = true", "}")
	}
	// The set is planned after the key.
	set := func(e *exclusive) string {
		return e.only(onlyKey(listed[e]), fmt.Sprintf("depends_on = [%s.this]", e.parent.TypeName))
	}
	es.apply(t, forgotten)
	expectForgotten := func(out, summary string, words ...string) {
		t.Helper()
		for _, e := range es.both {
			name := strings.ReplaceAll(summary, "PARENT", e.parent.String())
			acctest.Contains(t, out, append([]string{name, fmt.Sprint(e.Keys(e.parent)[1].ID), `"forgotten"`}, words...)...)
		}
	}
	const warning = "Managed deploy keys of PARENT are not in key_ids"
	expectForgotten(es.apply(t, func(e *exclusive) string { return forgotten(e) + set(e) }), warning, "The set does not remove these keys", "Add the key_id of each resource to key_ids")
	// The apply has stored the key: it does not know the resources that do not change.
	stranger := es.addByHand(t, "stranger")
	expectForgotten(es.Fails(t, []string{"plan", "-refresh=false"}), "Managed deploy key would be removed", "Nothing was changed")

	es.expectRemoval(t, stranger)
	es.MustRun(t, "apply", "saved")
	es.expectLabels(t, "forgotten", "listed")
	out := es.MustRun(t, "plan", "-detailed-exitcode")
	if expectForgotten(out, warning); strings.Count(out, "Managed deploy keys of ") != 2 {
		t.Errorf("the empty plan does not warn once: %s", out)
	}

	if out := es.apply(t, func(e *exclusive) string {
		return e.keys(key) + e.only(fmt.Sprintf("key_ids = concat([%d], [for key in %s.this : key.key_id])", listed[e].ID, e.parent.TypeName))
	}); warns(out) {
		t.Errorf("it warns: %s", out)
	}
	es.expectEmptyPlan(t)
}

// A resource that removes its key in the same run as the set is no error.
func TestAccDeployKeysExclusive_removedByItsResource(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	listed, keys := es.addByHand(t, "listed"), map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t)}
	es.apply(t, func(e *exclusive) string { return e.keys(keys) })
	es.apply(t, func(e *exclusive) string { return e.keys(keys) + e.only(onlyKey(listed[e])) })
	es.apply(t, func(e *exclusive) string { return e.only(onlyKey(listed[e])) }, "-refresh=false")
	es.expectLabels(t, "listed")
	es.expectEmptyPlan(t)
}

// A resource for a key that the set is to remove takes the key over, and no access is lost.
func TestAccDeployKeysExclusive_takenOver(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	listed, stranger := es.addByHand(t, "listed"), es.addByHand(t, "stranger")
	es.expectNoRemoval(t, es.apply(t, func(e *exclusive) string { return e.only(onlyKey(listed[e])) }))
	es.write(t, func(e *exclusive) string {
		return e.keys(map[string]string{"stranger": stranger[e].Key}) + e.only(onlyKey(listed[e]))
	})
	es.expectRemoval(t, stranger)
	es.MustRun(t, "apply", "saved")
	es.expectLabels(t, "listed", "stranger")
}

// If the set is planned before the key, the plan already shows the key as removed. That is an
// error.
func TestAccDeployKeysExclusive_managedLater(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	listed, key := es.addByHand(t, "listed"), acctest.NewKey(t)
	es.apply(t, func(e *exclusive) string {
		return e.keys(map[string]string{"later": key}, "depends_on = ["+e.typeName()+".this]") + e.only(onlyKey(listed[e]))
	})
	out := es.Fails(t, []string{"plan"}, "Managed deploy key would be removed", `"later"`, "Managed deploy key would be removed", `"later"`)
	for _, e := range es.both {
		acctest.Contains(t, out, e.parent.String())
	}
	es.expectLabels(t, "later", "listed")
}

// An entry of the list that cannot be read may be any key. Nothing is removed then.
func TestDeployKeysExclusive_unreadable(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		kept, stranger, unreadable := s.addByHand(t, "kept"), s.addByHand(t, "stranger"), s.addByHand(t, "unreadable")
		s.applyWithoutRemoval(t, ids(kept))
		saved := s.expectRemoval(t, ids(kept), stranger, unreadable)
		s.Edit(s.parent, unreadable.ID, func(key *emulator.DeployKey) { key.Key = "" })
		s.Sent()
		for _, out := range []string{s.applyPlan(t, saved), s.plan(t, ids(kept)).messages} {
			acctest.Contains(t, out, "Error: Unable to list deploy keys", "An exclusive set removes no deploy key as long as it cannot read every entry of the list")
		}
		if writes := s.Writes(); len(writes) > 0 {
			t.Errorf("wrote %q", writes)
		}
		s.expectLabels(t, "kept", "stranger", "unreadable")
	})
}

// A key that somebody adds later shows as drift.
func TestDeployKeysExclusive_drift(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		kept := s.addByHand(t, "kept")
		s.apply(t, ids(kept))
		stranger := s.addByHand(t, "stranger")
		s.Sent()
		s.applySaved(t, s.expectRemoval(t, ids(kept), stranger))
		s.expectLabels(t, "kept")
		s.expectSent(t, append(s.list(), append(s.list(), s.deletes(stranger))...)...)
		s.expectEmptyPlan(t, ids(kept))
	})
}

// One apply can add and remove keys and change the set, in any order.
func TestAccDeployKeysExclusive_noOrder(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"destroy first": nil, "create first": {"lifecycle {", "  create_before_destroy = true", "}"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			es := newExclusives(t, acctest.NewCLI(t))
			keys := map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t), "c": acctest.NewKey(t)}
			blocks := func(e *exclusive) string { return e.keys(keys, lines...) + e.only(e.these()) }
			es.apply(t, blocks)
			es.addByHand(t, "stranger")
			// One key is replaced, one is removed, and one is added.
			delete(keys, "b")
			keys["a"], keys["d"] = acctest.NewKey(t), acctest.NewKey(t)
			es.apply(t, blocks)
			es.expectLabels(t, "a", "c", "d")
			es.expectEmptyPlan(t)
		})
	}
}

// A key whose ID leaves key_ids is removed one apply later, after a plan has shown it.
func TestDeployKeysExclusive_smallerSet(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		first, second := s.addByHand(t, "first"), s.addByHand(t, "second")
		s.apply(t, ids(first, second))
		s.expectEmptyPlan(t, ids(first, second))
		s.applyWithoutRemoval(t, ids(second))
		s.expectRemoval(t, ids(second), first)
		// A key that goes back into the set stays, although other_keys shrinks.
		s.applyWithoutRemoval(t, ids(first, second))
		s.applyWithoutRemoval(t, ids(second))
		s.apply(t, ids(second))
		s.expectLabels(t, "second")
		s.expectEmptyPlan(t, ids(second))
	})
}

// Without the resource, any key is allowed again.
func TestAccDeployKeysExclusive_removed(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	kept := es.addByHand(t, "kept")
	es.apply(t, func(e *exclusive) string { return e.only(onlyKey(kept[e])) })
	es.addByHand(t, "stranger")
	es.Sent()
	es.apply(t, func(*exclusive) string { return "" })
	es.expectSent(t, (*exclusive).list)
	es.expectLabels(t, "kept", "stranger")
}

// Removing all keys needs allow_empty, even if the set has IDs of another parent.
func TestDeployKeysExclusive_empty(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		first := s.addByHand(t, "first")
		s.expectError(t, ids(), "No deploy key is allowed", "allow_empty = true")
		s.expectSent(t)
		s.applyWithoutRemoval(t, ids(unlisted))
		s.expectError(t, ids(unlisted), "No deploy key would be left", "None of key_ids is a deploy key of the "+s.parent.Kind+" acme/"+s.parent.Name, "Nothing was changed")
		// The IDs are unknown until apply, so the error is reported only during apply.
		for want, plan := range map[string]struct{ planned, known map[string]any }{
			"No deploy key would be left": {map[string]any{"key_ids": []tftypes.Value{tftypes.NewValue(tftypes.Number, tftypes.UnknownValue)}}, ids(unlisted)},
			"No deploy key is allowed":    {map[string]any{"key_ids": tftypes.UnknownValue}, ids()},
		} {
			acctest.Contains(t, s.applyPlan(t, s.expectRemoval(t, plan.planned, first), plan.known), "Error: "+want)
		}
		s.expectLabels(t, "first")
		if writes := s.Writes(); len(writes) > 0 {
			t.Errorf("wrote %q", writes)
		}
		all := mergedWith(ids(), map[string]any{"allow_empty": true})
		s.applySaved(t, s.expectRemoval(t, all, first))
		s.expectLabels(t)
		s.expectNoChange(t, all)
	})
}

// Bitbucket does not show the UUID of a parent without keys.
func TestDeployKeysExclusive_firstKey(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		none := mergedWith(ids(), map[string]any{"allow_empty": true})
		s.apply(t, none)
		s.expectNoChange(t, none)
		first := s.addByHand(t, "first")
		s.apply(t, ids(first))
		s.expectEmptyPlan(t, ids(first))
		s.expectLabels(t, "first")
	})
}

// An import allows all keys that are there. It accepts the addresses that a browser and the API
// show.
func TestDeployKeysExclusive_import(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		first, second := s.addByHand(t, "first"), s.addByHand(t, "second")
		server := acctest.NewConfiguredServer(t, s.Fake)
		imported := func(id string) *tfprotov6.ImportResourceStateResponse {
			t.Helper()
			resp, err := server.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{TypeName: s.typeName(), ID: id})
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		api := "https://api.bitbucket.org" + s.parent.Path
		other := map[string]acctest.Parent{"repository": acctest.WEB, "project": acctest.Website}[s.parent.Kind]
		for _, id := range []string{
			"acme", "acme/" + s.parent.Name + "/5", "acme/../x", "", s.parent.Page + "/access-keys/5", s.parent.Page, api, api + "/deploy-keys/5", other.Page + "/access-keys/",
			"https://%zz/", s.parent.Page + "/access-keys%zz",
		} {
			acctest.Contains(t, acctest.Reported(imported(id).Diagnostics), "Error: Invalid import ID Expected one of", "acme/", "https://api.bitbucket.org/2.0/", "https://bitbucket.org/acme/", "/access-keys/")
		}
		for _, id := range []string{"acme/" + s.parent.Name, s.parent.Page + "/access-keys/", s.parent.Page + "/access-keys", api + "/deploy-keys", api + "/deploy-keys?pagelen=100"} {
			resp := imported(id)
			if len(resp.ImportedResources) != 1 || len(resp.Diagnostics) > 0 {
				t.Fatalf("the import of %s returned %v", id, acctest.Reported(resp.Diagnostics))
			}
			s.state = resp.ImportedResources[0].State
			s.expectEmptyPlan(t, ids(first, second))
		}
		s.expectLabels(t, "first", "second")

		// With fewer key_ids, the import and the apply after it still remove nothing.
		s.applyWithoutRemoval(t, ids(first))
		s.expectRemoval(t, ids(first), second)
	})
}

// A command can import a set, and reports a wrong ID.
func TestAccDeployKeysExclusive_import(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	key := es.addByHand(t, "first")
	es.write(t, func(e *exclusive) string { return e.only(onlyKey(key[e])) })
	for i, e := range es.both {
		es.Fails(t, []string{"import", e.typeName() + ".this", "acme"}, "Expected one of", e.parent.Page+"/access-keys/")
		es.MustRun(t, "import", e.typeName()+".this", []string{"acme/website", acctest.WEB.Page + "/access-keys/"}[i])
	}
	es.expectEmptyPlan(t)
}

// The configuration that Terraform generates for an import is valid, also without any key.
func TestAccDeployKeysExclusive_generated(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.GeneratedSets)
	es := newExclusives(t, acctest.NewCLI(t))
	es.addByHand(t, "first")
	es.addByHand(t, "second")
	config := ""
	for _, e := range es.both {
		config += fmt.Sprintf("\nimport {\n  to = %[1]s.all\n  id = \"%[2]s/access-keys/\"\n}\n\nimport {\n  to = %[1]s.none\n  id = \"%[3]s/access-keys/\"\n}\n",
			e.typeName(), e.parent.Page, e.parent.Named(e.parent.Other).Page)
	}
	es.Generate(t, es.Config(config))
	acctest.Contains(t, es.MustRun(t, "apply", "-auto-approve"), "4 imported, 0 added, 0 changed, 0 destroyed")
	es.MustRun(t, "plan", "-detailed-exitcode")
}

func TestAccDeployKeysExclusive_validation(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	want := map[string]string{}
	es.write(t, func(e *exclusive) string {
		config := ""
		for line, text := range map[string]string{
			"key_ids = [0]":                    "must be at least 1",
			"key_ids = [-5]":                   "must be at least 1",
			"key_ids = [null]":                 "Null",
			"key_ids = [1.5]":                  "key_ids",
			`key_ids = ["label"]`:              "key_ids",
			"":                                 `"key_ids" is required`,
			"key_ids = null":                   "Missing Configuration for Required Attribute",
			"key_ids = []":                     "No deploy key is allowed",
			"allow_empty = true":               `"key_ids" is required`,
			"key_ids = [1]\n  other_keys = {}": "other_keys",
			"key_ids = [1, \"x\"]":             "key_ids",
		} {
			name := fmt.Sprintf("set_%d", len(want))
			config += strings.Replace(e.only(line), `"this"`, fmt.Sprintf("%q", name), 1)
			want[fmt.Sprintf("resource %q %q", e.typeName(), name)] = text
		}
		return config
	})
	expectRefused(t, es.CLI, "validate", want)
	es.expectSent(t, func(*exclusive) []string { return nil })
}

// A set that gets another parent only stores the keys of the new parent, and the old parent
// keeps its keys.
func TestDeployKeysExclusive_moved(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		before := s.addByHand(t, "before")
		s.apply(t, ids(before))
		s.addByHand(t, "shown")
		first := s.exclusive
		s.parent = s.parent.Named(s.parent.Other)
		after, stranger := s.addByHand(t, "after"), s.addByHand(t, "stranger")
		if plan := s.plan(t, ids(after)); plan.after["other_keys"].IsKnown() || plan.after[s.parent.Kind+"_uuid"].IsKnown() || plan.replaces {
			t.Errorf("the plan is %v", plan.after)
		}
		s.applyWithoutRemoval(t, ids(after))
		s.expectLabels(t, "after", "stranger")
		s.applySaved(t, s.expectRemoval(t, ids(after), stranger))
		s.expectLabels(t, "after")
		s.expectEmptyPlan(t, ids(after))
		first.expectLabels(t, "before", "shown")
	})
}

// If the parent is unknown, the plan cannot show the keys, so that apply only stores them: it
// replaces an existing set.
func TestAccDeployKeysExclusive_unknown(t *testing.T) {
	t.Parallel()
	es := newExclusives(t, acctest.NewCLI(t))
	kept, stranger := es.addByHand(t, "kept"), es.addByHand(t, "stranger")
	blocks := func(generation int) func(e *exclusive) string {
		return func(e *exclusive) string {
			return fmt.Sprintf("\nresource \"terraform_data\" %q {\n  input = %q\n  triggers_replace = %d\n}\n", e.parent.Kind, e.parent.Name, generation) +
				strings.Replace(e.only(onlyKey(kept[e])), fmt.Sprintf("%q", e.parent.Name), "terraform_data."+e.parent.Kind+".output", 1)
		}
	}
	es.expectNoRemoval(t, es.apply(t, blocks(1)))
	out := es.apply(t, blocks(2))
	es.expectNoRemoval(t, out)
	for _, e := range es.both {
		acctest.Contains(t, out, e.typeName()+".this must be replaced", "forces replacement")
	}
	es.expectRemoval(t, stranger)
}

// If the provider configuration is unknown, the plan shows the keys in state.
func TestDeployKeysExclusive_unknownProvider(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		kept, stranger := s.addByHand(t, "kept"), s.addByHand(t, "stranger")
		unknown := acctest.NewServerWith(t, s.Fake, map[string]string{"token": acctest.UnknownValue})
		plan := s.planWith(t, unknown, ids(kept))
		if plan.after["other_keys"].IsKnown() {
			t.Errorf("the plan is %v", plan.after)
		}
		s.expectSent(t)
		s.applySaved(t, plan)
		s.expectSent(t, s.list()...)
		plan = s.planWith(t, unknown, ids(kept))
		if got := plan.removes(t); !slices.Equal(got, []string{strconv.FormatInt(stranger.ID, 10)}) {
			t.Errorf("the plan removes %q", got)
		}
		acctest.Contains(t, plan.messages, "Warning: Deploy keys were not refreshed")
		s.expectSent(t)
		if out := s.applyPlan(t, plan); out != "" {
			t.Errorf("got the messages %s", out)
		}
		s.expectLabels(t, "kept")
	})
}

// If the provider cannot read the keys, it changes nothing and keeps the state.
func TestDeployKeysExclusive_hidden(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		kept := s.addByHand(t, "kept")
		s.apply(t, ids(kept))
		s.addByHand(t, "stranger")
		for status, words := range map[int]string{403: "administrator of the " + s.parent.Kind, 404: "was deleted or renamed", 500: "Bitbucket failed"} {
			s.Inject(emulator.Fault{Status: status})
			s.expectError(t, ids(kept), "Unable to list deploy keys", words)
			if lost := strings.Contains(s.plan(t, ids(kept)).messages, "terraform state rm ADDRESS"); lost != (status == 404) {
				t.Errorf("%d: advises to remove the set from the state: %t", status, lost)
			}
			s.ClearFaults()
		}
		s.expectLabels(t, "kept", "stranger")
		s.apply(t, ids(kept))
		s.expectLabels(t, "kept")
	})
}

// If the answer to a DELETE is lost, the provider checks whether the key is gone. If the
// DELETE fails, the next apply repeats it.
func TestDeployKeysExclusive_faults(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, s *setRuns) {
		kept := s.addByHand(t, "kept")
		s.apply(t, ids(kept))
		s.addByHand(t, "stranger")
		s.Inject(emulator.Fault{Method: "DELETE", CarryOut: true, Cut: true, Times: 1})
		s.apply(t, ids(kept))
		s.expectLabels(t, "kept")

		s.addByHand(t, "one")
		s.addByHand(t, "two")
		s.Inject(emulator.Fault{Method: "DELETE", Status: 403, Skip: 1})
		s.expectError(t, ids(kept), "Unable to delete deploy key", "delete:ssh-key:bitbucket")
		s.expectLabels(t, "kept", "two")
		s.ClearFaults()
		s.apply(t, ids(kept))
		s.expectLabels(t, "kept")
		s.expectEmptyPlan(t, ids(kept))
	})
}

// The provider finds a renamed repository by its UUID. The repository that now has the old
// name keeps its keys.
func TestDeployKeysExclusive_renamed(t *testing.T) {
	t.Parallel()
	f := newFakeOfSets(t)
	s := &setRuns{exclusive: exclusive{f, acctest.Website}}
	s.state = s.null(t)
	kept := s.addByHand(t, "kept")
	config := mergedWith(ids(kept), map[string]any{"allow_empty": true})
	s.apply(t, config)
	f.RenameRepository("acme", "website", "site")
	f.AddRepository("acme", emulator.Repository{Slug: "website"})
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "theirs")
	f.AddDeployKey("acme", "site", acctest.NewKey(t), "stranger")
	s.apply(t, config)
	s.expectLabels(t, "theirs")
	if keys := f.DeployKeys("acme", "site"); len(keys) != 1 || keys[0].ID != kept.ID {
		t.Errorf("acme/site has the keys %v", keys)
	}
}

// If the project key now belongs to another project, the plan fails.
func TestAccDeployKeysExclusive_anothersProject(t *testing.T) {
	t.Parallel()
	f, terraform := newFakeOfSets(t), acctest.NewCLI(t)
	e := &exclusive{f, acctest.WEB}
	terraform.Write(t, f.Config(e.only(onlyKey(e.addByHand(t, "kept")), "allow_empty = true")))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.RenameProject("acme", "WEB", "SITE")
	f.AddProject("acme", emulator.Project{Key: "WEB"})
	e.addByHand(t, "theirs")
	terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to list deploy keys", "the name now belongs to a different repository or project", "its name now belongs to a different project, run \"terraform state rm ADDRESS\"")
	e.expectLabels(t, "theirs")
}
