package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// ModifyPlan decides what a difference between configuration and state means. It makes all
// decisions in one place, because plan modifiers of attributes run in random order and each
// decision needs several attributes.
//
// For an attribute that the configuration sets, Terraform accepts two planned values: the
// configured value or the value in state. ModifyPlan plans the value in state if both values
// are equivalent.
func (r *deployKeyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		r.noteDelete(ctx, req, resp) // A delete needs no decision.
		return
	}
	creates := req.State.Raw.IsNull()
	var config, plan, state deployKeyModel
	if !creates {
		resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
		if resp.Diagnostics.HasError() {
			return
		}
		r.notePlanned(&state, &resp.Diagnostics)
		if nothingChanges(ctx, &state, req, &resp.Diagnostics) || resp.Diagnostics.HasError() {
			r.noteUnchanged(ctx, &state, resp)
			return
		}
	}
	resp.Diagnostics.Append(r.kind.get(ctx, req.Config, &config)...)
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.planComment(&config)
	if creates {
		plan.planCreate(&config, &resp.Diagnostics)
		resp.Diagnostics.Append(r.kind.set(ctx, &resp.Plan, &plan)...)
		r.noteCreate(ctx, &plan, req, resp)
		return
	}
	plan.ignoreCommentSpacing(state.Comment)
	resp.RequiresReplace = append(resp.RequiresReplace, r.replacing(ctx, &plan, &state, &resp.Diagnostics)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if len(resp.RequiresReplace) == 0 {
		plan.planUpdate(r.kind, &config, &state, &resp.Diagnostics)
		resp.Diagnostics.Append(r.kind.set(ctx, &resp.Plan, &plan)...)
		r.warnUpdateStrategy(&plan, &state, &resp.Diagnostics)
		r.noteUpdate(ctx, &plan, &state, resp)
		return
	}
	if r.data.refreshAfter.skipped(state.ID.ValueString()) && !r.readBeforeReplacement(ctx, &state, &resp.Diagnostics) {
		return
	}
	if newName, renamed := r.data.newName(plan.parent(r.kind)); renamed {
		resp.Diagnostics.AddError("Repository has another name now", fmt.Sprintf("The plan replaces the key, but the repository %s is called %q now. No key can be added under the old name. "+
			"Change workspace and repository in the configuration to the new name first.", plan.parent(r.kind), newName))
		return
	}
	// Terraform plans once more, without the state, for the new key.
	plan.planCreate(&config, &resp.Diagnostics)
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.Plan, &plan)...)
	r.noteReplacement(ctx, &plan, &state, resp)
}

// readBeforeReplacement reads a key that the refresh has not read, to find the current name of
// its repository. Under an old name, a replacement would remove the old key, but could not add
// the new key. readBeforeReplacement returns false after an error.
func (r *deployKeyResource) readBeforeReplacement(ctx context.Context, state *deployKeyModel, diags *diag.Diagnostics) bool {
	parent, id := state.parent(r.kind), state.KeyID.ValueInt64()
	key, err := r.data.keys.Get(ctx, parent, id)
	if errors.Is(err, deploykeys.ErrGone) {
		return true // The apply only adds the new key.
	}
	if err != nil {
		readDeployKey.addError(diags, parent, id, err, state.stateKept(parent, err))
		return false
	}
	r.data.warnRenamed(parent, key, diags)
	return true
}

// replacedKey is the name of a private value of a plan. For a replacement, Terraform plans a
// second time without the state, and passes the value to the second plan. This is the only sign
// of -replace that the provider gets.
//
// The value is the ID of the key, or 0 if the first plan has already noted the replacement.
const replacedKey = "replaced_key_id"

// noteDelete records a delete for warnings.
func (r *deployKeyResource) noteDelete(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var id types.Int64
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("key_id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.data.warnings.removes(id.ValueInt64())
	r.data.warnings.plans(deleteDeployKey, r.kind)
	r.data.reportKnown(&resp.Diagnostics)
}

// noteUnchanged records for warnings that a resource keeps its key.
func (r *deployKeyResource) noteUnchanged(ctx context.Context, state *deployKeyModel, resp *resource.ModifyPlanResponse) {
	if resp.Diagnostics.HasError() {
		return
	}
	id := state.KeyID.ValueInt64()
	resp.Diagnostics.Append(markReplaced(ctx, resp, id)...)
	if !r.data.warnings.keeps(id) {
		r.data.warnings.keepsAt(state.parent(r.kind), state.Key, id)
	}
	r.data.reportKnown(&resp.Diagnostics)
}

// noteUpdate records for warnings that a resource keeps its key and may change its label.
func (r *deployKeyResource) noteUpdate(ctx context.Context, plan, state *deployKeyModel, resp *resource.ModifyPlanResponse) {
	if resp.Diagnostics.HasError() {
		return
	}
	id := state.KeyID.ValueInt64()
	resp.Diagnostics.Append(markReplaced(ctx, resp, id)...)
	r.data.warnings.keepsAt(plan.parent(r.kind), plan.Key, id)
	if !plan.Label.Equal(state.Label) || !plan.Comment.Equal(state.Comment) {
		r.data.warnings.plans(updateDeployKey, r.kind)
	}
	r.data.reportKnown(&resp.Diagnostics)
}

// noteReplacement records for warnings that a key is replaced. Terraform plans the new key
// next, but does not show the warnings of that plan.
func (r *deployKeyResource) noteReplacement(ctx context.Context, plan, state *deployKeyModel, resp *resource.ModifyPlanResponse) {
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(markReplaced(ctx, resp, 0)...)
	r.noteNewKey(plan, state.KeyID.ValueInt64())
	r.data.reportKnown(&resp.Diagnostics)
}

// noteCreate records a new key for warnings.
func (r *deployKeyResource) noteCreate(ctx context.Context, plan *deployKeyModel, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if resp.Diagnostics.HasError() {
		return
	}
	replaced, diags := req.Private.GetKey(ctx, replacedKey)
	resp.Diagnostics.Append(diags...)
	id, err := strconv.ParseInt(string(replaced), 10, 64)
	if err != nil {
		r.noteNewKey(plan, 0)
		r.data.reportKnown(&resp.Diagnostics)
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, replacedKey, nil)...)
	if id != 0 {
		r.noteNewKey(plan, id) // Terraform does not show the warnings of a second plan.
	}
}

// noteNewKey records a new key, which replaces the key with this ID unless it is 0.
func (r *deployKeyResource) noteNewKey(plan *deployKeyModel, replaced int64) {
	if replaced != 0 {
		r.data.warnings.removes(replaced)
		r.data.warnings.plans(deleteDeployKey, r.kind)
	}
	r.data.warnings.creates(plan.parent(r.kind), plan.Key)
	r.data.warnings.plans(createDeployKey, r.kind)
}

// markReplaced stores the ID of the key for a possible second plan: see [replacedKey].
func markReplaced(ctx context.Context, resp *resource.ModifyPlanResponse, id int64) diag.Diagnostics {
	return resp.Private.SetKey(ctx, replacedKey, []byte(strconv.FormatInt(id, 10)))
}

// warnUpdateStrategy warns that Bitbucket may refuse an update, unless the configuration
// chooses to try it.
func (r *deployKeyResource) warnUpdateStrategy(plan, state *deployKeyModel, diags *diag.Diagnostics) {
	if !r.data.updateStrategy.IsNull() || plan.Label.Equal(state.Label) && plan.Comment.Equal(state.Comment) {
		return
	}
	diags.AddWarning("Bitbucket may refuse to update this deploy key", "The plan updates the label or the comment in place. Bitbucket documents this update, but may refuse it. Then the apply fails and changes nothing. "+
		waysToUpdate+"\n\nTo try the update without this warning, set update_strategy = \"in_place\" in the provider block.")
}

// notePlanned records that the configuration has the key in state. See [managedKeys].
func (r *deployKeyResource) notePlanned(state *deployKeyModel, diags *diag.Diagnostics) {
	r.data.managed.planKey(state.parent(r.kind), state.KeyID.ValueInt64(), state.Label, diags)
}

// nothingChanges reports whether the plan is identical to the state, as it is for most keys
// in most plans. The comparison of the raw values saves decoding the configuration and the
// plan, and encoding the plan.
func nothingChanges(ctx context.Context, state *deployKeyModel, req resource.ModifyPlanRequest, diags *diag.Diagnostics) bool {
	if !req.Plan.Raw.Equal(req.State.Raw) {
		return false
	}
	var configured types.String
	diags.Append(req.Config.GetAttribute(ctx, path.Root("comment"), &configured)...)
	// If no comment is configured any more, Terraform plans the comment in state.
	if configured.IsNull() && state.Key.comment() != state.Comment.ValueString() {
		return false
	}
	return state.Key.refusal() == "" // planUpdate warns about a refusal.
}

// planComment plans the configured comment, or else the comment inside the key. Without
// this, Terraform would keep the comment in state forever.
func (m *deployKeyModel) planComment(config *deployKeyModel) {
	switch {
	case !config.Comment.IsNull():
		m.Comment = config.Comment
	case config.Key.IsUnknown():
		m.Comment = types.StringUnknown()
	default:
		m.Comment = types.StringValue(config.Key.comment())
	}
}

// checkTexts rejects a planned label or comment that Bitbucket would not store unchanged. It
// accepts any value that is in the state, because Bitbucket has it. For a new key, prior is
// empty.
func (m *deployKeyModel) checkTexts(config, prior *deployKeyModel, diags *diag.Diagnostics) {
	if !m.Label.Equal(prior.Label) {
		checkText(path.Root("label"), "label", m.Label.ValueString(), diags)
	}
	if !m.Comment.Equal(prior.Comment) {
		at := path.Root("comment")
		if config.Comment.IsNull() {
			at = path.Root("key")
		}
		checkText(at, "comment", m.Comment.ValueString(), diags)
	}
}

// planCreate plans a new key.
func (m *deployKeyModel) planCreate(config *deployKeyModel, diags *diag.Diagnostics) {
	m.checkTexts(config, &deployKeyModel{}, diags)
	m.ID, m.KeyID = types.StringUnknown(), types.Int64Unknown()
	m.CreatedOn, m.ParentUUID = types.StringUnknown(), types.StringUnknown()
	if m.Key.IsUnknown() {
		m.KeyType, m.FingerprintSHA256, m.FingerprintMD5 = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
		return
	}
	m.describeKey()
	if refusal := m.Key.refusal(); refusal != "" {
		diags.AddAttributeError(path.Root("key"), "Bitbucket refuses this key", refusal)
	}
}

// planUpdate plans a key that is not replaced. All its attributes are known, and a
// different spelling is not a change.
func (m *deployKeyModel) planUpdate(kind *parentKind, config, state *deployKeyModel, diags *diag.Diagnostics) {
	m.checkTexts(config, state, diags)
	if !config.Comment.IsNull() || m.Comment.Equal(state.Comment) {
		m.Key = state.Key // The comment inside the text may differ, but it is not used.
	}
	m.ID, m.KeyID = state.ID, state.KeyID
	if !m.Workspace.Equal(state.Workspace) || !m.Parent.Equal(state.Parent) {
		m.ID = types.StringValue(deployKeyID(m.parent(kind), state.KeyID.ValueInt64()))
	}
	m.CreatedOn, m.ParentUUID = state.CreatedOn, state.ParentUUID
	m.KeyType, m.FingerprintSHA256, m.FingerprintMD5 = state.KeyType, state.FingerprintSHA256, state.FingerprintMD5
	if refusal := m.Key.refusal(); refusal != "" {
		diags.AddAttributeWarning(path.Root("key"), "Bitbucket refuses new keys of this kind", refusal+
			" This key exists and keeps working, but it could not be added again: rotate it.")
	}
}

// replacing returns the attributes whose change forces replacement, none if the key is not
// replaced. An unknown value counts as a change, because Terraform does not allow the
// provider to decide that later.
func (r *deployKeyResource) replacing(ctx context.Context, plan, state *deployKeyModel, diags *diag.Diagnostics) path.Paths {
	if state.Key.IsNull() {
		diags.AddError("Deploy key was not read yet", "The state comes from another provider and has no public key, so it is not known whether the key changes. Nothing was changed. "+
			"Plan without -refresh=false, and with a provider configuration that is known.")
		return nil
	}
	var paths path.Paths
	compare := func(name string, planned, prior attr.Value) {
		if !planned.Equal(prior) {
			paths = append(paths, path.Root(name))
		}
	}
	if !plan.Key.sameMaterial(state.Key) {
		compare("key", plan.Key, state.Key)
	}
	switch changes := !plan.Label.Equal(state.Label) || !plan.Comment.Equal(state.Comment); {
	case changes && r.kind.canUpdateKeys && r.data.updateStrategy.IsUnknown():
		diags.AddError("Update strategy is not known yet", "A label or comment changes. update_strategy in the provider block decides whether this updates or replaces the key, "+
			"but its value is known only after apply. Set it to a value that is known.")
	case !r.kind.canUpdateKeys || r.data.updateStrategy.ValueString() == updateReplaces:
		compare("label", plan.Label, state.Label)
		compare("comment", plan.Comment, state.Comment)
	}
	if len(paths) == 0 && !r.sameParent(ctx, plan, state, diags) {
		compare("workspace", plan.Workspace, state.Workspace)
		compare(r.kind.attribute, plan.Parent, state.Parent)
	}
	return paths
}

// sameParent reports whether the planned parent is a different spelling of the parent in
// state. If the names do not show it, sameParent requests the key under the new name. Only
// a 404 or a different UUID means that it is a different parent. Any other reply is an
// error, because a wrong guess would replace a live credential.
func (r *deployKeyResource) sameParent(ctx context.Context, plan, state *deployKeyModel, diags *diag.Diagnostics) bool {
	if plan.Workspace.IsUnknown() || plan.Parent.IsUnknown() {
		return false
	}
	planned, prior, uuid := plan.parent(r.kind), state.parent(r.kind), state.ParentUUID.ValueString()
	sameWorkspace := strings.EqualFold(planned.Workspace, prior.Workspace)
	if sameWorkspace && strings.EqualFold(plan.Parent.ValueString(), state.Parent.ValueString()) {
		return true
	}
	if isUUID(plan.Parent.ValueString()) && uuid != "" {
		if !strings.EqualFold(plan.Parent.ValueString(), uuid) {
			return false
		}
		if sameWorkspace {
			return true
		}
	}
	if !r.data.configured(diags) {
		return false
	}
	key, err := r.data.client.GetDeployKey(ctx, planned, state.KeyID.ValueInt64())
	if bitbucket.IsNotFound(err) {
		if _, notFound := errors.AsType[*bitbucket.ParentNotFoundError](err); notFound {
			diags.AddWarning("Not found: "+describeParent(planned), fmt.Sprintf("The %[1]s of deploy key %[2]d changes from %[3]s to %[4]s, but Bitbucket does not find %[4]s. "+
				"Check %[4]s for a typo first. If there is none, it does not exist, or these credentials cannot see it. "+
				"The apply deletes the key from %[3]s and then fails to add it to %[4]s, unless %[4]s exists by then.",
				r.kind.attribute, state.KeyID.ValueInt64(), prior, planned))
		}
		return false
	}
	if err != nil {
		readDeployKey.addError(diags, planned, state.KeyID.ValueInt64(), err, "The provider could not check whether "+planned.String()+" is a new name of "+prior.String()+", the "+r.kind.attribute+" in the state. "+
			"The deploy key is kept only in that case. Nothing was changed.")
		return false
	}
	if uuid != "" && key.ParentUUID() != "" {
		return strings.EqualFold(key.ParentUUID(), uuid)
	}
	if !newPublicKeyValue(key.Key).sameMaterial(state.Key) {
		diags.AddError(readDeployKey.summary, "Bitbucket's reply does not identify the "+r.kind.attribute+" "+planned.String()+", so it is not known whether "+planned.String()+" is a new name of "+
			prior.String()+", the "+r.kind.attribute+" in the state. The deploy key is kept only in that case. Nothing was changed.")
	}
	return true // The ID and the key are the same.
}

// reconcileWithPlan restores the planned values after a write. Terraform accepts only the
// planned values, and a write that succeeded must not fail because of a label. A warning names
// the attributes that differ, and the next refresh shows the difference. asPlanned reports
// whether all attributes are as planned.
func (m *deployKeyModel) reconcileWithPlan(plan *deployKeyModel, diags *diag.Diagnostics) (asPlanned bool) {
	m.Key = plan.Key // The client has checked that it is the same key.
	m.ignoreCommentSpacing(plan.Comment)
	m.retainOmitted(plan)
	var differ []string
	settable := false
	for _, attribute := range []struct {
		name    string
		planned types.String
		got     *types.String
	}{
		{"label", plan.Label, &m.Label},
		{"comment", plan.Comment, &m.Comment},
		{"key_type", plan.KeyType, &m.KeyType},
		{"fingerprint_sha256", plan.FingerprintSHA256, &m.FingerprintSHA256},
		{"fingerprint_md5", plan.FingerprintMD5, &m.FingerprintMD5},
		{"created_on", plan.CreatedOn, &m.CreatedOn},
		{"repository_uuid", plan.ParentUUID, &m.ParentUUID}, // Keys of projects have no updates, so their plan has no known UUID.
	} {
		if !attribute.planned.IsUnknown() && !attribute.planned.Equal(*attribute.got) {
			differ = append(differ, fmt.Sprintf("  %s: sent %s, stored %s", attribute.name, attribute.planned, attribute.got))
			settable = settable || attribute.name == "label" || attribute.name == "comment"
			*attribute.got = attribute.planned
		}
	}
	wayOut := ""
	if settable {
		wayOut = " Every plan shows it until you write the stored value into the configuration, or add lifecycle { ignore_changes = [label, comment] } to the resource."
	}
	if len(differ) > 0 {
		diags.AddWarning("Bitbucket stored something else", "Bitbucket accepted deploy key "+m.ID.ValueString()+", but its reply has other values than the request:\n\n"+
			strings.Join(differ, "\n")+"\n\nThe next plan shows the difference."+wayOut)
	}
	return len(differ) == 0
}

// reconcileWithState keeps the spelling in state after a refresh if it means the same.
func (m *deployKeyModel) reconcileWithState(state *deployKeyModel) {
	m.ignoreCommentSpacing(state.Comment)
	m.retainOmitted(state)
	switch {
	case state.Key.IsNull(): // The key was just imported.
		m.attachComment()
	case m.Key.sameMaterial(state.Key):
		m.Key = state.Key
	}
}

// retainOmitted keeps the known values of fields that Bitbucket omits.
func (m *deployKeyModel) retainOmitted(known *deployKeyModel) {
	if m.ParentUUID.IsNull() && !known.ParentUUID.IsUnknown() {
		m.ParentUUID = known.ParentUUID
	}
	if m.CreatedOn.IsNull() && !known.CreatedOn.IsUnknown() {
		m.CreatedOn = known.CreatedOn
	}
}

// ignoreCommentSpacing keeps the spelling of a comment if Bitbucket returns it with
// different white space. Bitbucket reads the comment from the key line, and it is not known
// how it changes the spaces between several words. No update could remove such a
// difference.
func (m *deployKeyModel) ignoreCommentSpacing(written types.String) {
	if slices.Equal(strings.Fields(m.Comment.ValueString()), strings.Fields(written.ValueString())) && !written.IsNull() && !written.IsUnknown() {
		m.Comment = written
	}
}

// attachComment adds the comment to the text of an imported key, as in a .pub file. Most
// configurations read the key from such a file. A comment with a line break, for example,
// would make the text invalid, so it stays only in the attribute comment.
func (m *deployKeyModel) attachComment() {
	text := m.Key.withComment(m.Comment.ValueString())
	if _, problem := sshkey.Parse(text); problem == nil {
		m.Key = newPublicKeyValue(text)
	}
}
