package provider

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"

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
)

var (
	_ resource.ResourceWithConfigure      = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithValidateConfig = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*deployKeysExclusiveResource)(nil)
	_ resource.ResourceWithImportState    = (*deployKeysExclusiveResource)(nil)
)

// deployKeysExclusiveResource says which deploy keys a repository or project may
// have, and removes any other. It owns none: removing it removes nothing.
type deployKeysExclusiveResource struct {
	on   placeKind
	data *providerData
}

func newDeployKeysExclusiveResource() resource.Resource {
	return &deployKeysExclusiveResource{on: onRepository}
}

func newProjectDeployKeysExclusiveResource() resource.Resource {
	return &deployKeysExclusiveResource{on: onProject}
}

type deployKeysExclusiveModel struct {
	Workspace  types.String `tfsdk:"workspace"`
	Place      types.String `tfsdk:"repository"`
	PlaceUUID  types.String `tfsdk:"repository_uuid"`
	KeyIDs     types.Set    `tfsdk:"key_ids"`
	AllowEmpty types.Bool   `tfsdk:"allow_empty"`
	OtherKeys  types.Map    `tfsdk:"other_keys"`
}

// projectDeployKeysExclusiveModel is the same with the names of a project's
// attributes.
type projectDeployKeysExclusiveModel struct {
	Workspace  types.String `tfsdk:"workspace"`
	Place      types.String `tfsdk:"project"`
	PlaceUUID  types.String `tfsdk:"project_uuid"`
	KeyIDs     types.Set    `tfsdk:"key_ids"`
	AllowEmpty types.Bool   `tfsdk:"allow_empty"`
	OtherKeys  types.Map    `tfsdk:"other_keys"`
}

// model is m as the schema names its attributes.
func (r *deployKeysExclusiveResource) model(m *deployKeysExclusiveModel) any {
	if r.on == onProject {
		return (*projectDeployKeysExclusiveModel)(m)
	}
	return m
}

// otherKeyType is one of other_keys.
var otherKeyType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"label":              types.StringType,
	"fingerprint_sha256": types.StringType,
	"last_used":          types.StringType,
}}

func (r *deployKeysExclusiveResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.on.typeName() + "s_exclusive"
}

func (r *deployKeysExclusiveResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	place := schema.StringAttribute{
		MarkdownDescription: "Slug of the repository, or its UUID in braces.",
		Required:            true,
		Validators:          []validator.String{slugValidator{}},
	}
	if r.on == onProject {
		place.MarkdownDescription = "Key of the project, for example `WEB`."
		place.Validators = []validator.String{projectKeyValidator{}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: fmt.Sprintf("Removes every deploy key of a %[1]s that is not in `key_ids`: keys that somebody has added by hand, or that Terraform has lost. "+
			"A plan names the keys that an apply will remove; one that is added before the apply goes with them. Keys in `key_ids` are never touched, and removing this resource removes no key.\n\n"+
			"Use it once for a %[1]s, and list all keys that Terraform manages there. It needs no `depends_on`, and may change in the same apply as the keys.\n\n"+
			"~> Bitbucket cannot bring a removed key back. Whoever holds its private half loses access at once: read the plan before the first apply.\n\n"+
			"**API token scopes**: `admin:%[1]s:bitbucket`, `write:ssh-key:bitbucket` and `delete:ssh-key:bitbucket`.", r.on),
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator{}},
			},
			string(r.on): place,
			"key_ids": schema.SetAttribute{
				MarkdownDescription: fmt.Sprintf("Numbers of the deploy keys that the %s may have, for example `[for key in %s.this : key.key_id]`. At least one of them must be there, unless `allow_empty` is `true`.", r.on, r.on.typeName()),
				ElementType:         types.Int64Type,
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
				MarkdownDescription: fmt.Sprintf("Deploy keys of the %s that are not in `key_ids`, by number. The next apply removes them.", r.on),
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
			string(r.on) + "_uuid": schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("UUID of the %s, in braces; null as long as it had no key.", r.on),
				Computed:            true,
			},
		},
	}
}

func (r *deployKeysExclusiveResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig refuses an empty set that may be a mistake. Terraform asks again
// at apply, when everything is known.
func (r *deployKeysExclusiveResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config deployKeysExclusiveModel
	resp.Diagnostics.Append(req.Config.Get(ctx, r.model(&config))...)
	if resp.Diagnostics.HasError() || config.KeyIDs.IsNull() || config.KeyIDs.IsUnknown() || config.AllowEmpty.IsUnknown() || config.AllowEmpty.ValueBool() {
		return
	}
	if len(config.KeyIDs.Elements()) == 0 {
		resp.Diagnostics.AddAttributeError(path.Root("key_ids"), "No deploy key is allowed", fmt.Sprintf("An empty key_ids removes every deploy key of the %s. If that is meant, set allow_empty = true.", r.on))
	}
}

// ModifyPlan names the keys that an apply removes. What it finds is no planned
// value: Terraform plans again at apply, and Bitbucket may have changed by then.
func (r *deployKeysExclusiveResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var plan, state deployKeysExclusiveModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, r.model(&plan))...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, r.model(&state))...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	// Another place has another UUID, and what the other keys of the one before were
	// says nothing of it.
	stays := strings.EqualFold(plan.Workspace.ValueString(), state.Workspace.ValueString()) && strings.EqualFold(plan.Place.ValueString(), state.Place.ValueString())
	plan.PlaceUUID = types.StringUnknown()
	if stays && !state.PlaceUUID.IsNull() {
		plan.PlaceUUID = state.PlaceUUID
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(string(r.on)+"_uuid"), plan.PlaceUUID)...)
	r.warnOthers(ctx, &plan, stays, &resp.Diagnostics)
}

// warnOthers names the keys that are to be removed, as far as that is known. What
// Terraform has not seen before may come to be in the same apply.
func (r *deployKeysExclusiveResource) warnOthers(ctx context.Context, plan *deployKeysExclusiveModel, seen bool, diags *diag.Diagnostics) {
	if plan.Workspace.IsUnknown() || plan.Place.IsUnknown() || r.data == nil || r.data.client == nil {
		diags.AddWarning("Deploy keys may be removed", fmt.Sprintf("The %s or the provider configuration is not known yet, so that the deploy keys that are not in key_ids cannot be named. Apply removes them.", r.on))
		return
	}
	place := plan.place(r.on)
	keys, err := r.data.keys.List(ctx, place)
	if !seen && bitbucket.IsNotFound(err) {
		return
	}
	if err != nil {
		listDeployKeys.addError(diags, place, 0, err, "This was to find out which deploy keys are to be removed. Nothing was changed.")
		return
	}
	others := plan.others(keys)
	if plan.allKnown() {
		plan.checkAnyListed(r.on, keys, others, diags)
	}
	if len(others) == 0 || diags.HasError() {
		return
	}
	detail := "These deploy keys are not in key_ids, so that apply removes them:"
	if !plan.allKnown() {
		detail = "Not all of key_ids is known yet. Apply removes these deploy keys, unless key_ids comes to hold them:"
	}
	// Terraform shows only one of several warnings with the same summary.
	diags.AddWarning("Deploy keys of "+describePlace(place)+" will be removed", detail+describeKeys(others))
}

// describeKeys tells people which keys they are, each in a line of its own.
func describeKeys(keys []bitbucket.DeployKey) string {
	text := "\n"
	for _, key := range keys {
		var model deployKeyModel
		model.flatten(bitbucket.Parent{}, &key)
		used := "never used"
		if key.LastUsed != "" {
			used = fmt.Sprintf("last used %q", key.LastUsed)
		}
		text += fmt.Sprintf("\n  %d  %q  %s  %s", key.ID, key.Label, cmp.Or(model.FingerprintSHA256.ValueString(), "no SSH key"), used)
	}
	return text
}

// place is what the keys are on.
func (m *deployKeysExclusiveModel) place(on placeKind) bitbucket.Parent {
	return on.place(m.Workspace, m.Place, m.PlaceUUID)
}

// allKnown tells whether all of key_ids is.
func (m *deployKeysExclusiveModel) allKnown() bool {
	for _, id := range m.KeyIDs.Elements() {
		if id.IsUnknown() {
			return false
		}
	}
	return !m.KeyIDs.IsUnknown()
}

// others returns the keys that are not in key_ids, as far as that is known.
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

// checkAnyListed refuses to remove all keys that there are. It is a mistake more
// often than not: the numbers may be those of another repository.
func (m *deployKeysExclusiveModel) checkAnyListed(on placeKind, keys, others []bitbucket.DeployKey, diags *diag.Diagnostics) {
	if len(others) == 0 || len(others) < len(keys) || m.AllowEmpty.ValueBool() {
		return
	}
	diags.AddAttributeError(path.Root("key_ids"), "No deploy key would be left", fmt.Sprintf("None of key_ids is a deploy key of the %s %s, which has %d. All of them would be removed. "+
		"If that is meant, set allow_empty = true. Nothing was changed.", on, m.place(on), len(keys)))
}

// flatten takes over which keys there are.
func (m *deployKeysExclusiveModel) flatten(keys []bitbucket.DeployKey) {
	if m.KeyIDs.IsNull() { // It was just imported: all that are there are allowed.
		ids := make([]attr.Value, len(keys))
		for i, key := range keys {
			ids[i] = types.Int64Value(key.ID)
		}
		m.KeyIDs = types.SetValueMust(types.Int64Type, ids)
	}
	others := map[string]attr.Value{}
	for _, key := range m.others(keys) {
		var model deployKeyModel
		model.flatten(bitbucket.Parent{}, &key)
		others[strconv.FormatInt(key.ID, 10)] = types.ObjectValueMust(otherKeyType.AttrTypes, map[string]attr.Value{
			"label":              model.Label,
			"fingerprint_sha256": model.FingerprintSHA256,
			"last_used":          nullIfEmpty(key.LastUsed),
		})
	}
	m.OtherKeys = types.MapValueMust(otherKeyType, others)
	if m.PlaceUUID.IsNull() {
		m.PlaceUUID = uuidIn(keys)
	}
}

// uuidIn is the {uuid} of what the keys are on, null if that does not show.
func uuidIn(keys []bitbucket.DeployKey) types.String {
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

// removeOthers removes every key that is not in key_ids. The plan is the state once
// none is left.
func (r *deployKeysExclusiveResource) removeOthers(ctx context.Context, planned tfsdk.Plan, state *tfsdk.State, diags *diag.Diagnostics) {
	var plan deployKeysExclusiveModel
	diags.Append(planned.Get(ctx, r.model(&plan))...)
	if diags.HasError() || !r.data.configured(diags) {
		return
	}
	defer r.data.noteRateLimit(diags)
	place := plan.place(r.on)
	keys, err := r.data.keys.List(ctx, place)
	if err != nil {
		listDeployKeys.addError(diags, place, 0, err, "Nothing was removed.")
		return
	}
	others := plan.others(keys)
	plan.checkAnyListed(r.on, keys, others, diags)
	removed := 0
	for removed < len(others) && !diags.HasError() {
		if result := r.data.keys.Delete(ctx, place, others[removed].ID); result.Outcome != deploykeys.Done {
			deleteDeployKey.addWriteError(diags, place, others[removed].ID, result)
			break
		}
		removed++
	}
	if removed > 0 {
		diags.AddWarning("Deploy keys of "+describePlace(place)+" were removed", "These deploy keys were not in key_ids:"+describeKeys(others[:removed]))
	}
	if plan.PlaceUUID.IsUnknown() {
		plan.PlaceUUID = uuidIn(keys)
	}
	if !diags.HasError() {
		diags.Append(state.Set(ctx, r.model(&plan))...)
	}
}

// Read takes over which other keys there are.
func (r *deployKeysExclusiveResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deployKeysExclusiveModel
	resp.Diagnostics.Append(req.State.Get(ctx, r.model(&state))...)
	if resp.Diagnostics.HasError() || !r.data.refreshes(&resp.Diagnostics) {
		return
	}
	defer r.data.noteRateLimit(&resp.Diagnostics)
	place := state.place(r.on)
	keys, err := r.data.keys.List(ctx, place)
	if err != nil {
		listDeployKeys.addError(&resp.Diagnostics, place, 0, err, stateKept("This resource", place))
		return
	}
	state.flatten(keys)
	resp.Diagnostics.Append(resp.State.Set(ctx, r.model(&state))...)
}

// Delete removes nothing: from now on, any key is allowed.
func (r *deployKeysExclusiveResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {
}

// ImportState takes workspace/repository or workspace/project. Read does the rest.
func (r *deployKeysExclusiveResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	workspace, name, _ := strings.Cut(req.ID, "/")
	if !bitbucket.IsSlugOrUUID(workspace) || !r.on.isName(name) {
		resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("Expected workspace/%s.", r.on))
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("workspace"), workspace)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(string(r.on)), name)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("allow_empty"), false)...)
}
