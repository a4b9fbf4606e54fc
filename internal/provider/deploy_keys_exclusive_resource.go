package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

var (
	_ resource.ResourceWithConfigure      = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithValidateConfig = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithImportState    = (*deployKeysExclusiveResource)(nil)
)

// deployKeysExclusiveResource removes the deploy keys of a repository or project that are
// not listed, after a plan has shown them. Removing the resource itself removes no key.
type deployKeysExclusiveResource struct {
	kind *parentKind
	data *providerData
}

func newDeployKeysExclusiveResource() resource.Resource {
	return &deployKeysExclusiveResource{kind: repositoryKind}
}

func newProjectDeployKeysExclusiveResource() resource.Resource {
	return &deployKeysExclusiveResource{kind: projectKind}
}

// deployKeysExclusiveModel is the resource in a configuration, plan or state. See
// [parentKind.get] for the tags parent and parent_uuid.
type deployKeysExclusiveModel struct {
	Workspace  types.String `tfsdk:"workspace"`
	Parent     types.String `tfsdk:"parent"`
	ParentUUID types.String `tfsdk:"parent_uuid"`
	KeyIDs     types.Set    `tfsdk:"key_ids"`
	AllowEmpty types.Bool   `tfsdk:"allow_empty"`
	OtherKeys  types.Map    `tfsdk:"other_keys"`
}

// otherKeyType is the type of a value of other_keys.
var otherKeyType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"label":              types.StringType,
	"fingerprint_sha256": types.StringType,
	"last_used":          types.StringType,
}}

func (r *deployKeysExclusiveResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.kind.typeName + "s_exclusive"
}

func (r *deployKeysExclusiveResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: fmt.Sprintf("Removes every deploy key of a %[1]s that is not in `key_ids`: keys that somebody has added by hand, or keys that are no longer in the state. "+
			"It never changes the keys in `key_ids`. Destroying this resource removes no key.\n\n"+
			"Use one such resource for each %[1]s, and list all keys that Terraform manages there.\n\n"+
			"!> Bitbucket cannot restore a removed key, and whoever has its private half loses access at once. Read `other_keys` in the plan before you apply.\n\n"+
			"A set removes only keys that a plan has shown:\n\n"+
			"1. Creating the set, or pointing it at another %[1]s, removes nothing. Apply stores the keys that are not in `key_ids` in `other_keys`. An import stores all existing keys in `key_ids`.\n"+
			"2. The next plan shows each key in `other_keys` as removed, with ID, label, fingerprint and last use. In `terraform show -json` of a saved plan, `before.other_keys` has the keys, and `after.other_keys` is empty. A key whose ID is added to `key_ids` in the same plan stays.\n"+
			"3. Apply removes exactly these keys. A key that somebody has added since then stays until the next plan has shown it.\n\n"+
			"If you remove an ID from `key_ids`, the same steps apply to its key: apply stores it in `other_keys`, and the next plan shows it. A rotation therefore needs no `depends_on`: with `create_before_destroy`, the old key stays until everything that depends on the new key has changed.\n\n"+
			"If a resource of the same configuration manages a key whose ID is not in `key_ids`, the set does not remove the key, and the plan warns about it. "+
			"If Terraform plans the set before that resource, the plan may already show the key as removed. Then the plan fails. With `-target`, the provider does not know the other resources.\n\n"+
			"**API token scopes**: `admin:%[1]s:bitbucket`, `write:ssh-key:bitbucket` and `delete:ssh-key:bitbucket`.", r.kind.attribute),
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			r.kind.attribute: schema.StringAttribute{
				MarkdownDescription: r.kind.docs.name + ".",
				Required:            true,
				Validators:          []validator.String{r.kind.validator},
			},
			"key_ids": schema.SetAttribute{
				MarkdownDescription: fmt.Sprintf("IDs of the deploy keys that the %s may have, for example `[for key in %s.this : key.key_id]`. Unless `allow_empty` is `true`, keys are removed only if at least one key in `key_ids` exists.", r.kind.attribute, r.kind.typeName),
				ElementType:         wholeNumberType{},
				Required:            true,
				Validators:          []validator.Set{setvalidator.NoNullValues(), setvalidator.ValueInt64sAre(int64validator.AtLeast(1))},
			},
			"allow_empty": schema.BoolAttribute{
				MarkdownDescription: "Whether `key_ids` may be empty or contain no existing key, so that all deploy keys are removed. Default: `false`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
			},
			"other_keys": schema.MapNestedAttribute{
				MarkdownDescription: fmt.Sprintf("Deploy keys of the %s that are not in `key_ids`, by ID, except keys that this configuration manages. The next plan shows the keys in `other_keys` as removed, and its apply removes these keys.", r.kind.attribute),
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"label": schema.StringAttribute{
						MarkdownDescription: "Label of the key.",
						Computed:            true,
					},
					"fingerprint_sha256": schema.StringAttribute{
						MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
						Computed:            true,
					},
					"last_used": schema.StringAttribute{
						MarkdownDescription: "Time of the last use, in ISO 8601 format. Null if the key was never used.",
						Computed:            true,
					},
				}},
			},
			r.kind.uuidAttribute(): schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("UUID of the %s, in braces. Null until the provider has seen a deploy key of it.", r.kind.attribute),
				Computed:            true,
			},
		},
	}
}

func (r *deployKeysExclusiveResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig refuses an empty set that may be a mistake. Terraform validates again at
// apply, when everything is known.
func (r *deployKeysExclusiveResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Config, &config)...)
	if resp.Diagnostics.HasError() || config.KeyIDs.IsNull() || config.KeyIDs.IsUnknown() || config.AllowEmpty.IsUnknown() || config.AllowEmpty.ValueBool() {
		return
	}
	if len(config.KeyIDs.Elements()) == 0 {
		resp.Diagnostics.AddAttributeError(path.Root("key_ids"), "No deploy key is allowed", fmt.Sprintf("An empty key_ids removes every deploy key of the %s. To allow this, set allow_empty = true.", r.kind.attribute))
	}
}

// ModifyPlan plans an empty other_keys, so that the plan shows each key that apply removes. It
// decides from the configuration and the state alone: Terraform plans again during apply, and
// a planned value must not change even if Bitbucket's keys have changed.
//
// For a new set, or a set with a new parent, no plan has shown any keys. Apply then removes no
// key, and only stores other_keys.
func (r *deployKeysExclusiveResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, state deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	exists := !req.State.Raw.IsNull()
	if exists {
		resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	sameParent := exists && plan.hasParentOf(&state)
	if sameParent {
		plan.OtherKeys = types.MapValueMust(otherKeyType, map[string]attr.Value{})
		if !state.ParentUUID.IsNull() {
			plan.ParentUUID = state.ParentUUID
		}
	} else {
		// The UUID in state belongs to the parent in state.
		plan.OtherKeys, plan.ParentUUID = types.MapUnknown(otherKeyType), types.StringUnknown()
	}
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.Plan, &plan)...)
	parentKnown := true
	for name, value := range map[string]types.String{"workspace": plan.Workspace, r.kind.attribute: plan.Parent} {
		if !value.IsUnknown() {
			continue
		}
		parentKnown = false
		if len(state.OtherKeys.Elements()) > 0 {
			// If apply finds the same parent, an update would remove keys although this plan
			// does not show that. Replacing the set removes no key.
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root(name))
		}
	}
	if !parentKnown || r.data == nil {
		return
	}
	removed := map[int64]bool{}
	if sameParent {
		removed = plan.removedFrom(&state)
	}
	r.data.managed.planSet(plan.parent(r.kind), &plannedSet{plan.listed(), plan.allKnown(), removed}, &resp.Diagnostics)
	if len(removed) > 0 {
		r.data.warnings.plans(deleteDeployKey, r.kind)
		r.data.reportKnown(&resp.Diagnostics)
	}
	if len(removed) > 0 && plan.allKnown() && !resp.Diagnostics.HasError() {
		r.checkAnyListed(ctx, &plan, &resp.Diagnostics)
	}
}

// checkAnyListed refuses a wrong key_ids in the plan, if this run has refreshed the set. A valid
// key_ids then costs no request, because the refresh has listed the keys. Apply checks in any
// case, so an error of Bitbucket needs no report here.
func (r *deployKeysExclusiveResource) checkAnyListed(ctx context.Context, plan *deployKeysExclusiveModel, diags *diag.Diagnostics) {
	parent := plan.parent(r.kind)
	if _, refreshed := r.data.refreshedSets.Load(parent.Lower()); !refreshed {
		return
	}
	keys, err := r.data.keys.ListComplete(ctx, parent)
	if err == nil && !plan.anyListed(keys) {
		keys, err = r.data.keys.ListAgain(ctx, parent) // A key may be newer than the shared listing.
	}
	if err == nil && !plan.anyListed(keys) {
		plan.addNoneLeft(r.kind, diags)
	}
}

// parent returns the parent of the keys.
func (m *deployKeysExclusiveModel) parent(kind *parentKind) bitbucket.Parent {
	return kind.parent(m.Workspace, m.Parent, m.ParentUUID)
}

// allKnown reports whether all of key_ids is known.
func (m *deployKeysExclusiveModel) allKnown() bool {
	for _, id := range m.KeyIDs.Elements() {
		if id.IsUnknown() {
			return false
		}
	}
	return !m.KeyIDs.IsUnknown()
}

// listed returns the known IDs of key_ids.
func (m *deployKeysExclusiveModel) listed() map[int64]bool {
	listed := map[int64]bool{}
	for _, element := range m.KeyIDs.Elements() {
		if id, ok := element.(types.Int64); ok && !id.IsUnknown() {
			listed[id.ValueInt64()] = true
		}
	}
	return listed
}

// hasParentOf reports whether the planned parent is the parent in state.
func (m *deployKeysExclusiveModel) hasParentOf(state *deployKeysExclusiveModel) bool {
	return !m.Workspace.IsUnknown() && strings.EqualFold(m.Workspace.ValueString(), state.Workspace.ValueString()) &&
		!m.Parent.IsUnknown() && strings.EqualFold(m.Parent.ValueString(), state.Parent.ValueString())
}

// removedFrom returns the IDs of the keys that a plan shows as removed: the keys in other_keys
// of the prior state, except keys whose IDs are now in key_ids.
func (m *deployKeysExclusiveModel) removedFrom(prior *deployKeysExclusiveModel) map[int64]bool {
	removed, listed := map[int64]bool{}, m.listed()
	for text := range prior.OtherKeys.Elements() {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && !listed[id] {
			removed[id] = true
		}
	}
	return removed
}

// anyListed reports whether Bitbucket lists a key of key_ids. With allow_empty, this is not
// required.
func (m *deployKeysExclusiveModel) anyListed(keys []bitbucket.DeployKey) bool {
	listed := m.listed()
	return m.AllowEmpty.ValueBool() || slices.ContainsFunc(keys, func(key bitbucket.DeployKey) bool { return listed[key.ID] })
}

// addNoneLeft reports that Bitbucket lists no key of key_ids. By mistake, key_ids may contain
// the IDs of a different repository's keys.
func (m *deployKeysExclusiveModel) addNoneLeft(kind *parentKind, diags *diag.Diagnostics) {
	diags.AddAttributeError(path.Root("key_ids"), "No deploy key would be left", fmt.Sprintf("None of key_ids is a deploy key of the %s %s. "+
		"Check key_ids. To remove all deploy keys, set allow_empty = true. Nothing was changed.", kind.attribute, m.parent(kind)))
}

// flatten sets other_keys to the keys that Bitbucket has returned, without the keys in key_ids
// and without the managed keys.
func (m *deployKeysExclusiveModel) flatten(keys []bitbucket.DeployKey, managed map[int64]bool) {
	others, listed := map[string]attr.Value{}, m.listed()
	for _, key := range keys {
		if listed[key.ID] || managed[key.ID] {
			continue
		}
		others[strconv.FormatInt(key.ID, 10)] = types.ObjectValueMust(otherKeyType.AttrTypes, map[string]attr.Value{
			"label":              types.StringValue(key.Label),
			"fingerprint_sha256": newPublicKeyValue(key.Key).fingerprintSHA256(),
			"last_used":          nullIfEmpty(key.LastUsed),
		})
	}
	m.OtherKeys = types.MapValueMust(otherKeyType, others)
}

// allowAll sets key_ids of an imported set to all existing keys.
func (m *deployKeysExclusiveModel) allowAll(keys []bitbucket.DeployKey) {
	ids := make([]attr.Value, len(keys))
	for i, key := range keys {
		ids[i] = types.Int64Value(key.ID)
	}
	m.KeyIDs = types.SetValueMust(types.Int64Type, ids)
	m.AllowEmpty = types.BoolValue(len(keys) == 0) // A configuration that is generated from the state must be valid.
}

// parentUUIDOf returns the {uuid} of the parent of the keys, null if Bitbucket did not send it.
func parentUUIDOf(keys []bitbucket.DeployKey) types.String {
	if len(keys) == 0 {
		return types.StringNull()
	}
	return nullIfEmpty(keys[0].ParentUUID())
}

// Create stores the keys that are not in key_ids. It removes no key: no plan has shown them.
func (r *deployKeysExclusiveResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	if !resp.Diagnostics.HasError() {
		r.apply(ctx, &plan, nil, &resp.State, &resp.Diagnostics)
	}
}

// Update removes the keys that the plan shows as removed. If the set has a new parent, Update
// only stores the keys, as Create does.
func (r *deployKeysExclusiveResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	var removed map[int64]bool
	if !plan.OtherKeys.IsUnknown() {
		removed = plan.removedFrom(&state)
	}
	r.apply(ctx, &plan, removed, &resp.State, &resp.Diagnostics)
}

// apply removes the keys with these IDs, and completes the planned values from a new listing.
// A key that is already gone needs no removal. After an error, the state stays as it is, and
// the next plan shows the keys that are left.
func (r *deployKeysExclusiveResource) apply(ctx context.Context, plan *deployKeysExclusiveModel, removed map[int64]bool, state *tfsdk.State, diags *diag.Diagnostics) {
	if len(removed) > 0 || plan.OtherKeys.IsUnknown() || plan.ParentUUID.IsUnknown() {
		if !r.data.configured(diags) {
			return
		}
		defer r.data.warnNearLimit(diags)
		r.data.warnings.begins()
		parent := plan.parent(r.kind)
		keys, err := r.data.keys.ListAgain(ctx, parent)
		if err != nil {
			r.addListError(diags, parent, err, "Nothing was removed.")
			return
		}
		r.remove(ctx, plan, keys, removed, diags)
		if diags.HasError() {
			return
		}
		if plan.OtherKeys.IsUnknown() {
			plan.flatten(keys, r.data.managed.idsOf(parent))
		}
		if plan.ParentUUID.IsUnknown() {
			plan.ParentUUID = parentUUIDOf(keys)
		}
	}
	diags.Append(r.kind.set(ctx, state, plan)...)
}

// remove removes the keys with these IDs, as far as Bitbucket lists them. It stops at the first
// error.
func (r *deployKeysExclusiveResource) remove(ctx context.Context, plan *deployKeysExclusiveModel, keys []bitbucket.DeployKey, removed map[int64]bool, diags *diag.Diagnostics) {
	parent := plan.parent(r.kind)
	for _, key := range keys {
		if !removed[key.ID] {
			continue
		}
		if !plan.anyListed(keys) {
			plan.addNoneLeft(r.kind, diags)
			return
		}
		result := r.data.keys.Delete(ctx, parent, key.ID, key.Key)
		if _, withheld := errors.AsType[*deploykeys.WithheldError](result.Err); withheld {
			addWithheld(diags, parent, key.ID)
			return
		}
		if result.Outcome != deploykeys.Done {
			deleteDeployKey.addWriteError(diags, parent, key.ID, result)
			return
		}
	}
}

// addListError reports that the keys could not be listed.
func (r *deployKeysExclusiveResource) addListError(diags *diag.Diagnostics, parent bitbucket.Parent, err error, more ...string) {
	if _, unreadable := errors.AsType[*deploykeys.UnreadableError](err); unreadable {
		more = []string{"An exclusive set removes no deploy key as long as it cannot read every entry of the list."}
	}
	listDeployKeys.addError(diags, parent, 0, err, more...)
}

// Read refreshes other_keys from Bitbucket.
func (r *deployKeysExclusiveResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	if resp.Diagnostics.HasError() || !r.data.canRefresh(&resp.Diagnostics) {
		return
	}
	defer r.data.warnNearLimit(&resp.Diagnostics)
	defer r.data.reportKnown(&resp.Diagnostics)
	parent := state.parent(r.kind)
	keys, err := r.data.keys.ListComplete(ctx, parent)
	if err != nil {
		var more []string
		imported := state.KeyIDs.IsNull() // An import has no key_ids yet.
		if !imported && (bitbucket.IsNotFound(err) || errors.Is(err, deploykeys.ErrNameReused)) {
			more = []string{stateKept("This resource", parent)}
		}
		r.addListError(&resp.Diagnostics, parent, err, more...)
		return
	}
	r.data.refreshedSets.Store(parent.Lower(), true)
	if state.KeyIDs.IsNull() {
		state.allowAll(keys)
	}
	state.flatten(keys, r.data.managed.idsOf(parent))
	if state.ParentUUID.IsNull() {
		state.ParentUUID = parentUUIDOf(keys)
	}
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &state)...)
}

// Delete removes no key. From now on, any key is allowed.
func (r *deployKeysExclusiveResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {
}

// ImportState accepts the name of the parent, or the address of its keys in the API or in a
// browser. Read completes the state.
func (r *deployKeysExclusiveResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	names, ok := strings.Split(req.ID, "/"), true
	if strings.HasPrefix(req.ID, "https://") || strings.HasPrefix(req.ID, "http://") {
		names, ok = parseDeployKeysURL(r.kind, req.ID)
	}
	if !ok || len(names) != 2 || !bitbucket.IsSlugOrUUID(names[0]) || !r.kind.isName(names[1]) {
		resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf(`Expected one of
  acme/%s
  https://api.bitbucket.org/2.0/%s/deploy-keys
  https://bitbucket.org/%s/access-keys/`, r.kind.exampleName, r.kind.apiPath, r.kind.settingsPath))
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("workspace"), names[0])...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(r.kind.attribute), names[1])...)
}

// parseDeployKeysURL returns the workspace and the parent in the address of all keys of a
// parent.
func parseDeployKeysURL(kind *parentKind, text string) (names []string, ok bool) {
	segments, _, ok := parseURL(text)
	if !ok {
		return nil, false
	}
	for _, form := range []string{kind.apiForm, kind.settingsForm} {
		if names, ok := matchPath(strings.TrimSuffix(form, "/*"), segments); ok {
			return names, true
		}
	}
	return nil, false
}
