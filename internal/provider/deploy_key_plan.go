package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// ModifyPlan decides what a difference between configuration and state means.
// All of it is here and not in plan modifiers of the attributes, since those
// run in random order and each decision needs several attributes.
//
// Terraform allows two planned values for what the configuration sets: that
// value, or the one in state, which says that they mean the same.
func (r *deployKeyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // Deleting needs no decision.
	}
	if nothingChanges(ctx, req, &resp.Diagnostics) || resp.Diagnostics.HasError() {
		return
	}
	var config, plan deployKeyModel
	resp.Diagnostics.Append(req.Config.Get(ctx, r.on.model(&config))...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, r.on.model(&plan))...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.planComment(&config)
	if req.State.Raw.IsNull() {
		plan.planCreate(&resp.Diagnostics)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, r.on.model(&plan))...)
		return
	}
	var state deployKeyModel
	resp.Diagnostics.Append(req.State.Get(ctx, r.on.model(&state))...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.keepSpacing(state.Comment)
	resp.RequiresReplace = append(resp.RequiresReplace, r.replacing(ctx, &plan, &state, &resp.Diagnostics)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if len(resp.RequiresReplace) > 0 {
		if now, renamed := r.data.renamedTo(r.on.of(&plan)); renamed {
			resp.Diagnostics.AddError("Repository has another name now", fmt.Sprintf("The key is to be replaced, and the repository %s is called %q now. Under its old name "+
				"no key can be added. Change workspace and repository in the configuration to the new name first.", r.on.of(&plan), now))
			return
		}
		// Terraform plans once more, without the state, for the key that comes.
		plan.planCreate(&resp.Diagnostics)
	} else {
		plan.planUpdate(r.on, &config, &state, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, r.on.model(&plan))...)
}

// nothingChanges tells whether the plan is the state as it stands, which is so
// for most keys of most plans. To find that out costs a fifth of decoding the
// models and encoding one.
func nothingChanges(ctx context.Context, req resource.ModifyPlanRequest, diags *diag.Diagnostics) bool {
	if req.State.Raw.IsNull() || !req.Plan.Raw.Equal(req.State.Raw) {
		return false
	}
	var plan, config deployKeyModel
	diags.Append(req.Plan.GetAttribute(ctx, path.Root("key"), &plan.Key)...)
	diags.Append(req.Plan.GetAttribute(ctx, path.Root("comment"), &plan.Comment)...)
	diags.Append(req.Config.GetAttribute(ctx, path.Root("comment"), &config.Comment)...)
	// Terraform keeps the comment in state where none is configured any more.
	if config.Comment.IsNull() && commentIn(plan.Key) != plan.Comment.ValueString() {
		return false
	}
	return refusal(plan.Key) == "" // Else there is something to say.
}

// planComment plans the comment that holds: the configured one, else the one
// inside the key. Terraform itself would keep the one in state for ever.
func (m *deployKeyModel) planComment(config *deployKeyModel) {
	switch {
	case !config.Comment.IsNull():
		m.Comment = config.Comment
	case config.Key.IsUnknown():
		m.Comment = types.StringUnknown()
	default:
		m.Comment = types.StringValue(commentIn(config.Key))
	}
}

// commentIn is the comment inside a key text.
func commentIn(text publicKeyValue) string {
	key, err := sshkey.Split(text.ValueString())
	if err != nil {
		return "" // publicKeyValidator has reported it.
	}
	return key.Comment
}

// planCreate plans a key that Bitbucket does not have yet.
func (m *deployKeyModel) planCreate(diags *diag.Diagnostics) {
	m.ID, m.KeyID = types.StringUnknown(), types.Int64Unknown()
	m.CreatedOn, m.PlaceUUID = types.StringUnknown(), types.StringUnknown()
	if m.Key.IsUnknown() {
		m.KeyType, m.FingerprintSHA256, m.FingerprintMD5 = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
		return
	}
	m.describeKey()
	if refusal := refusal(m.Key); refusal != "" {
		diags.AddAttributeError(path.Root("key"), "Bitbucket refuses this key", refusal)
	}
}

// planUpdate plans a key that stays: everything is known, and what only looks
// different is no difference.
func (m *deployKeyModel) planUpdate(on placeKind, config, state *deployKeyModel, diags *diag.Diagnostics) {
	if !config.Comment.IsNull() || m.Comment.Equal(state.Comment) {
		m.Key = state.Key // Its text may hold another comment, which does not count.
	}
	m.ID, m.KeyID = state.ID, state.KeyID
	if !m.Workspace.Equal(state.Workspace) || !m.Place.Equal(state.Place) {
		m.ID = types.StringValue(deployKeyID(on.of(m), state.KeyID.ValueInt64()))
	}
	m.CreatedOn, m.PlaceUUID = state.CreatedOn, state.PlaceUUID
	m.KeyType, m.FingerprintSHA256, m.FingerprintMD5 = state.KeyType, state.FingerprintSHA256, state.FingerprintMD5
	if refusal := refusal(m.Key); refusal != "" {
		diags.AddAttributeWarning(path.Root("key"), "Bitbucket refuses such a key today", refusal+
			" This one exists and keeps working, but could not be added again.")
	}
}

func refusal(text publicKeyValue) string {
	key, err := sshkey.Split(text.ValueString())
	if err != nil {
		return "" // publicKeyValidator has reported it.
	}
	return key.Refusal()
}

// replacing returns the attributes whose change needs another key, none if the
// key stays. What is unknown might be a change, and Terraform does not allow to
// find that out later.
func (r *deployKeyResource) replacing(ctx context.Context, plan, state *deployKeyModel, diags *diag.Diagnostics) path.Paths {
	if state.Key.IsNull() {
		diags.AddError("Deploy key was not read yet", "The state comes from another provider, which did not know the key, so nobody can tell whether it changes. "+
			"Plan without -refresh=false, and with a provider configuration that is known. Nothing was changed.")
		return nil
	}
	var paths path.Paths
	differs := func(name string, planned, prior attr.Value) {
		if !planned.Equal(prior) {
			paths = append(paths, path.Root(name))
		}
	}
	if !plan.Key.sameMaterial(state.Key) {
		differs("key", plan.Key, state.Key)
	}
	switch changes := !plan.Label.Equal(state.Label) || !plan.Comment.Equal(state.Comment); {
	case changes && r.on == onRepository && r.data.updateStrategy.IsUnknown():
		diags.AddError("Update strategy is not known yet", "A label or comment changes, and update_strategy in the provider block, which decides whether "+
			"that updates or replaces the key, is known only after apply. Set it to a value that is known.")
	case r.on == onProject || r.data.updateStrategy.ValueString() == updateReplaces: // The API updates no key of a project.
		differs("label", plan.Label, state.Label)
		differs("comment", plan.Comment, state.Comment)
	}
	if len(paths) == 0 && !r.samePlace(ctx, plan, state, diags) {
		differs("workspace", plan.Workspace, state.Workspace)
		differs(string(r.on), plan.Place, state.Place)
	}
	return paths
}

// samePlace tells whether the planned workspace and repository or project are
// another spelling of the ones in state. Where that does not show, it costs one
// GET of the key under the new spelling: only a 404 or another uuid means no. Any
// other answer is an error, since the price of guessing is a live credential.
func (r *deployKeyResource) samePlace(ctx context.Context, plan, state *deployKeyModel, diags *diag.Diagnostics) bool {
	if plan.Workspace.IsUnknown() || plan.Place.IsUnknown() {
		return false
	}
	planned, prior, uuid := r.on.of(plan), r.on.of(state), state.PlaceUUID.ValueString()
	sameWorkspace := strings.EqualFold(planned.Workspace, prior.Workspace)
	if sameWorkspace && strings.EqualFold(plan.Place.ValueString(), state.Place.ValueString()) {
		return true
	}
	if isUUID(plan.Place.ValueString()) && uuid != "" {
		if !strings.EqualFold(plan.Place.ValueString(), uuid) {
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
		return false
	}
	if err != nil {
		readDeployKey.addError(diags, planned, state.KeyID.ValueInt64(), err, "This was to find out whether "+planned.String()+" is another name of "+prior.String()+
			", the "+string(r.on)+" in state: only then is its deploy key kept. Nothing was changed.")
		return false
	}
	if uuid != "" && key.ParentUUID() != "" {
		return strings.EqualFold(key.ParentUUID(), uuid)
	}
	if !newPublicKeyValue(key.Key).sameMaterial(state.Key) {
		diags.AddError(readDeployKey.summary, "Bitbucket did not say which "+string(r.on)+" "+planned.String()+" is, so it is not known whether it is another name of "+
			prior.String()+", the one in state: only then is its deploy key kept. Nothing was changed.")
	}
	return true // The number and the key are the same.
}
