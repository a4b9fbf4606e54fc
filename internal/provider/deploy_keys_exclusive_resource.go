package provider

import (
	"cmp"
	"context"
	"fmt"
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
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapdefault"
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
// not listed. Removing the resource itself removes no key.
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
		MarkdownDescription: fmt.Sprintf("Removes every deploy key of a %[1]s that is not in `key_ids`: keys that somebody has added by hand, or that Terraform has lost. "+
			"A plan names the keys that an apply will remove; one that is added before the apply goes with them. Keys in `key_ids` are never touched, and removing this resource removes no key.\n\n"+
			"Use it once for a %[1]s, and list all keys that Terraform manages there. It needs no `depends_on`, and may change in the same apply as the keys.\n\n"+
			"~> Bitbucket cannot bring a removed key back. Whoever holds its private half loses access at once: read the plan before the first apply.\n\n"+
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
				MarkdownDescription: fmt.Sprintf("Numbers of the deploy keys that the %s may have, for example `[for key in %s.this : key.key_id]`. At least one of them must be there, unless `allow_empty` is `true`.", r.kind.attribute, r.kind.typeName),
				ElementType:         wholeNumberType{},
				Required:            true,
				Validators:          []validator.Set{setvalidator.NoNullValues(), setvalidator.ValueInt64sAre(int64validator.AtLeast(1))},
			},
			"allow_empty": schema.BoolAttribute{
				MarkdownDescription: "Whether `key_ids` may be empty, or hold no key that is there: all deploy keys are removed then. Default: `false`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
			},
			"other_keys": schema.MapNestedAttribute{
				MarkdownDescription: fmt.Sprintf("Deploy keys of the %s that are not in `key_ids`, by number. The next apply removes them.", r.kind.attribute),
				Computed:            true,
				Default:             mapdefault.StaticValue(types.MapValueMust(otherKeyType, map[string]attr.Value{})),
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"label": schema.StringAttribute{
						MarkdownDescription: "Name of the key.",
						Computed:            true,
					},
					"fingerprint_sha256": schema.StringAttribute{
						MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
						Computed:            true,
					},
					"last_used": schema.StringAttribute{
						MarkdownDescription: "When the key was last used, in ISO 8601; null if never.",
						Computed:            true,
					},
				}},
			},
			r.kind.uuidAttribute(): schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("UUID of the %s, in braces; null as long as it had no key.", r.kind.attribute),
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
		resp.Diagnostics.AddAttributeError(path.Root("key_ids"), "No deploy key is allowed", fmt.Sprintf("An empty key_ids removes every deploy key of the %s. If that is meant, set allow_empty = true.", r.kind.attribute))
	}
}

// ModifyPlan warns of the keys that an apply removes. They are not planned values: Terraform
// plans again at apply, and the keys may have changed by then.
func (r *deployKeysExclusiveResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var plan, state deployKeysExclusiveModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	// The UUID in state belongs to the parent in state.
	sameParent := strings.EqualFold(plan.Workspace.ValueString(), state.Workspace.ValueString()) && strings.EqualFold(plan.Parent.ValueString(), state.Parent.ValueString())
	plan.ParentUUID = types.StringUnknown()
	if sameParent && !state.ParentUUID.IsNull() {
		plan.ParentUUID = state.ParentUUID
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(r.kind.uuidAttribute()), plan.ParentUUID)...)
	r.warnOthers(ctx, &plan, sameParent, &resp.Diagnostics)
}

// warnOthers names the keys that an apply will remove, as far as they are known. If managed
// is false, the parent may be created in the same apply.
func (r *deployKeysExclusiveResource) warnOthers(ctx context.Context, plan *deployKeysExclusiveModel, managed bool, diags *diag.Diagnostics) {
	if plan.Workspace.IsUnknown() || plan.Parent.IsUnknown() || r.data == nil || r.data.client == nil {
		diags.AddWarning("Deploy keys may be removed", fmt.Sprintf("The %s or the provider configuration is not known yet, so that the deploy keys that are not in key_ids cannot be named. Apply removes them.", r.kind.attribute))
		return
	}
	defer r.data.reportKnown(diags)
	parent := plan.parent(r.kind)
	keys, err := r.data.keys.ListComplete(ctx, parent)
	if !managed && bitbucket.IsNotFound(err) {
		return
	}
	if err != nil {
		listDeployKeys.addError(diags, parent, 0, err, "This was to find out which deploy keys are to be removed. Nothing was changed.")
		return
	}
	others := plan.others(keys)
	if plan.allKnown() {
		plan.checkAnyListed(r.kind, keys, others, diags)
	}
	if len(others) == 0 || diags.HasError() {
		return
	}
	detail := "These deploy keys are not in key_ids, so that apply removes them:"
	if !plan.allKnown() {
		detail = "Not all of key_ids is known yet. Apply removes these deploy keys, unless key_ids comes to hold them:"
	}
	r.data.warnings.plans(deleteDeployKey, r.kind)
	// Terraform shows only one of several warnings with the same summary.
	diags.AddWarning("Deploy keys of "+describeParent(parent)+" will be removed", detail+describeKeys(others))
}

// describeKeys describes each key on a separate line.
func describeKeys(keys []bitbucket.DeployKey) string {
	text := "\n"
	for _, key := range keys {
		used := "never used"
		if key.LastUsed != "" {
			used = fmt.Sprintf("last used %q", key.LastUsed)
		}
		text += fmt.Sprintf("\n  %d  %q  %s  %s", key.ID, key.Label, cmp.Or(newPublicKeyValue(key.Key).fingerprintSHA256().ValueString(), "no SSH key"), used)
	}
	return text
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

// others returns the keys that are not in key_ids. Unknown elements of key_ids do not count.
func (m *deployKeysExclusiveModel) others(keys []bitbucket.DeployKey) []bitbucket.DeployKey {
	listed := map[int64]bool{}
	for _, element := range m.KeyIDs.Elements() {
		if id, ok := element.(types.Int64); ok {
			listed[id.ValueInt64()] = true
		}
	}
	var others []bitbucket.DeployKey
	for _, key := range keys {
		if !listed[key.ID] {
			others = append(others, key)
		}
	}
	return others
}

// checkAnyListed refuses to remove all keys of a parent, unless allow_empty is set: key_ids
// may by mistake contain the IDs of a different repository's keys.
func (m *deployKeysExclusiveModel) checkAnyListed(kind *parentKind, keys, others []bitbucket.DeployKey, diags *diag.Diagnostics) {
	if len(others) == 0 || len(others) < len(keys) || m.AllowEmpty.ValueBool() {
		return
	}
	diags.AddAttributeError(path.Root("key_ids"), "No deploy key would be left", fmt.Sprintf("None of key_ids is a deploy key of the %s %s, which has %d. All of them would be removed. "+
		"If that is meant, set allow_empty = true. Nothing was changed.", kind.attribute, m.parent(kind), len(keys)))
}

// flatten sets the attributes from the keys that Bitbucket returned.
func (m *deployKeysExclusiveModel) flatten(keys []bitbucket.DeployKey) {
	if m.KeyIDs.IsNull() { // The resource was just imported: all existing keys are allowed.
		ids := make([]attr.Value, len(keys))
		for i, key := range keys {
			ids[i] = types.Int64Value(key.ID)
		}
		m.KeyIDs = types.SetValueMust(types.Int64Type, ids)
	}
	others := map[string]attr.Value{}
	for _, key := range m.others(keys) {
		others[strconv.FormatInt(key.ID, 10)] = types.ObjectValueMust(otherKeyType.AttrTypes, map[string]attr.Value{
			"label":              types.StringValue(key.Label),
			"fingerprint_sha256": newPublicKeyValue(key.Key).fingerprintSHA256(),
			"last_used":          nullIfEmpty(key.LastUsed),
		})
	}
	m.OtherKeys = types.MapValueMust(otherKeyType, others)
	if m.ParentUUID.IsNull() {
		m.ParentUUID = parentUUIDOf(keys)
	}
}

// parentUUIDOf returns the {uuid} of the parent of the keys, null if Bitbucket did not send it.
func parentUUIDOf(keys []bitbucket.DeployKey) types.String {
	if len(keys) == 0 {
		return types.StringNull()
	}
	return nullIfEmpty(keys[0].ParentUUID())
}

// Create removes the other keys.
func (r *deployKeysExclusiveResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	r.removeOthers(ctx, req.Plan, &resp.State, &resp.Diagnostics)
}

// Update removes the other keys.
func (r *deployKeysExclusiveResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	r.removeOthers(ctx, req.Plan, &resp.State, &resp.Diagnostics)
}

// removeOthers removes every key that is not in key_ids. If all were removed, the plan becomes
// the state.
func (r *deployKeysExclusiveResource) removeOthers(ctx context.Context, planned tfsdk.Plan, state *tfsdk.State, diags *diag.Diagnostics) {
	var plan deployKeysExclusiveModel
	diags.Append(r.kind.get(ctx, planned, &plan)...)
	if diags.HasError() || !r.data.configured(diags) {
		return
	}
	defer r.data.warnNearLimit(diags)
	parent := plan.parent(r.kind)
	keys, err := r.data.keys.ListComplete(ctx, parent)
	if err != nil {
		listDeployKeys.addError(diags, parent, 0, err, "Nothing was removed.")
		return
	}
	others := plan.others(keys)
	plan.checkAnyListed(r.kind, keys, others, diags)
	r.data.warnings.begins()
	removed := 0
	for removed < len(others) && !diags.HasError() {
		if result := r.data.keys.Delete(ctx, parent, others[removed].ID, others[removed].Key); result.Outcome != deploykeys.Done {
			deleteDeployKey.addWriteError(diags, parent, others[removed].ID, result)
			break
		}
		removed++
	}
	if removed > 0 {
		diags.AddWarning("Deploy keys of "+describeParent(parent)+" were removed", "These deploy keys were not in key_ids:"+describeKeys(others[:removed]))
	}
	if plan.ParentUUID.IsUnknown() {
		plan.ParentUUID = parentUUIDOf(keys)
	}
	if !diags.HasError() {
		diags.Append(r.kind.set(ctx, state, &plan)...)
	}
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
		listDeployKeys.addError(&resp.Diagnostics, parent, 0, err, stateKept("This resource", parent))
		return
	}
	state.flatten(keys)
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &state)...)
}

// Delete removes no key. From now on, any key is allowed.
func (r *deployKeysExclusiveResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {
}

// ImportState accepts workspace/repository or workspace/project. Read completes the state.
func (r *deployKeysExclusiveResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	workspace, name, _ := strings.Cut(req.ID, "/")
	if !bitbucket.IsSlugOrUUID(workspace) || !r.kind.isName(name) {
		resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("Expected workspace/%s.", r.kind.attribute))
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("workspace"), workspace)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(r.kind.attribute), name)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("allow_empty"), false)...)
}
