package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

var (
	_ resource.ResourceWithConfigure   = (*deployKeyResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*deployKeyResource)(nil)
	_ resource.ResourceWithImportState = (*deployKeyResource)(nil)
)

// deployKeyResource is a deploy key of a repository, and what one of a project
// shares with it.
type deployKeyResource struct {
	on   placeKind
	data *providerData
}

func newDeployKeyResource() resource.Resource { return &deployKeyResource{on: onRepository} }

func (r *deployKeyResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.on.typeName()
	// A new name of the repository, the project or the workspace changes the
	// identity, and the key stays.
	resp.ResourceBehavior.MutableIdentity = true
}

func (r *deployKeyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	const change = " A change updates the key in place, unless the provider's `update_strategy` is `replace`."
	attributes := deployKeyResourceAttributes(r.on, change)
	attributes["repository"] = schema.StringAttribute{
		MarkdownDescription: "Slug of the repository, or its UUID in braces, which survives a rename. Another repository replaces the key; another spelling of the same one does not.",
		Required:            true,
		Validators:          []validator.String{slugValidator{}},
	}
	attributes["repository_uuid"] = schema.StringAttribute{
		MarkdownDescription: "UUID of the repository, in braces.",
		Computed:            true,
	}
	resp.Schema = schema.Schema{
		// Other providers have this type at version 0. Theirs can be told from
		// ours only if ours never was.
		Version: 1,
		MarkdownDescription: "Manages a deploy key (Bitbucket's pages call it an access key): an SSH public key that lets a machine read a repository. " +
			"The same key may be on any number of repositories, once on each.\n\n" +
			"**API token scopes**: `admin:repository:bitbucket` and `write:ssh-key:bitbucket`; to delete a key also `delete:ssh-key:bitbucket`.\n\n" +
			"**Upstream API**: [Deployments: deploy keys](https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/)",
		Attributes: attributes,
	}
}

// deployKeyResourceAttributes are those that keys of repositories and of projects
// have. What a change of label or comment does is for the caller to say.
func deployKeyResourceAttributes(on placeKind, change string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"workspace": schema.StringAttribute{
			MarkdownDescription: "Slug of the workspace, or its UUID in braces. Another workspace replaces the key; another spelling of the same one does not.",
			Required:            true,
			Validators:          []validator.String{slugValidator{}},
		},
		"key": schema.StringAttribute{
			MarkdownDescription: "Public key in OpenSSH format, for example `ssh-ed25519 AAAA… comment`: Ed25519, ECDSA, or RSA of 2048 bits and more. " +
				"Another key replaces it. White space around it means nothing, so `file()` and `tls_private_key` need no `trimspace()`. A comment in it is the default of `comment`.",
			Required:   true,
			CustomType: publicKeyType{},
			Validators: []validator.String{publicKeyValidator{}},
		},
		"label": schema.StringAttribute{
			MarkdownDescription: "Name shown for the key in the " + string(on) + "'s settings. Default: `\"\"`." + change,
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(""),
			Validators:          []validator.String{textValidator{}},
		},
		"comment": schema.StringAttribute{
			MarkdownDescription: "Comment of the key, which may be several words. Default: the comment inside `key`." + change,
			Optional:            true,
			Computed:            true,
			Validators:          []validator.String{textValidator{}},
		},
		"id": schema.StringAttribute{
			MarkdownDescription: "`workspace/" + string(on) + "/key_id`, as `terraform import` takes it.",
			Computed:            true,
		},
		"key_id": schema.Int64Attribute{
			MarkdownDescription: "Number of the key at Bitbucket.",
			Computed:            true,
		},
		"fingerprint_sha256": schema.StringAttribute{
			MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
			Computed:            true,
		},
		"fingerprint_md5": schema.StringAttribute{
			MarkdownDescription: "MD5 fingerprint as pairs of digits: `aa:bb:…`.",
			Computed:            true,
		},
		"key_type": schema.StringAttribute{
			MarkdownDescription: "Algorithm of the key, for example `ssh-ed25519`.",
			Computed:            true,
		},
		"created_on": schema.StringAttribute{
			MarkdownDescription: "When the key was added, in ISO 8601.",
			Computed:            true,
		},
	}
}

func (r *deployKeyResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// Create adds the key. What Bitbucket answers is the state, also where that is no
// more than the id: a key that exists must not be forgotten.
func (r *deployKeyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deployKeyModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, r.on.model(&plan))...)
	if resp.Diagnostics.HasError() || !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.noteRateLimit(&resp.Diagnostics)
	place := r.on.of(&plan)
	result := r.data.keys.Create(ctx, place, plan.expand())
	switch {
	case result.Outcome == deploykeys.Unknown && result.Key != nil:
		createDeployKey.addWriteError(&resp.Diagnostics, place, 0, result, fmt.Sprintf("It was added as number %d, and is in the state as tainted: the next apply replaces it. To keep it, run \"terraform untaint ADDRESS\".", result.Key.ID))
	case result.Outcome != deploykeys.Done:
		createDeployKey.addWriteError(&resp.Diagnostics, place, 0, result)
		return
	}
	state := plan
	state.flatten(place, result.Key)
	state.keepPlanned(&plan, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, r.on.model(&state))...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, r.on.identity(state.identity()))...)
	if r.data.oauthConsumer {
		resp.Diagnostics.AddWarning("Deploy key depends on the OAuth consumer", "Bitbucket binds a key that was added with an OAuth consumer to it: "+
			"any change to the consumer invalidates the key. An API token of an account does not have this effect.")
	}
}

// Read takes over what Bitbucket has. Only a key that is gone from a repository or
// project that still answers leaves the state.
func (r *deployKeyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deployKeyModel
	resp.Diagnostics.Append(req.State.Get(ctx, r.on.model(&state))...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Terraform before 1.12 knows no identity, and states from then have none. The
	// framework wants one all the same, also for a key that is gone.
	if req.Identity == nil || req.Identity.Raw.IsFullyNull() {
		resp.Diagnostics.Append(resp.Identity.Set(ctx, r.on.identity(state.identity()))...)
	}
	if !r.data.refreshes(&resp.Diagnostics) {
		return
	}
	defer r.data.noteRateLimit(&resp.Diagnostics)
	place := r.on.of(&state)
	key, err := r.data.keys.Get(ctx, place, state.KeyID.ValueInt64())
	if errors.Is(err, deploykeys.ErrGone) {
		tflog.Info(ctx, "deploy key is gone from Bitbucket", map[string]any{"id": state.ID.ValueString()})
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		readDeployKey.addError(&resp.Diagnostics, place, state.KeyID.ValueInt64(), err, state.keptAfter(place, err))
		return
	}
	r.data.warnRenamed(place, key, &resp.Diagnostics)
	refreshed := state
	refreshed.flatten(place, key)
	refreshed.keepSpacing(state.Comment)
	refreshed.keepUnsaid(&state)
	switch {
	case state.Key.IsNull():
		refreshed.attachComment() // It was just imported.
	case refreshed.Key.sameMaterial(state.Key):
		refreshed.Key = state.Key
	}
	if refreshed != state { // Encoding what is there already would cost more than the rest.
		resp.Diagnostics.Append(resp.State.Set(ctx, r.on.model(&refreshed))...)
	}
}

// keptAfter tells the way out where the repository or project of a managed key is
// out of sight.
func (m *deployKeyModel) keptAfter(place bitbucket.Parent, err error) string {
	if m.ID.IsNull() || !bitbucket.IsNotFound(err) { // Without an id, it was just imported.
		return ""
	}
	return stateKept("The key", place)
}

// Update changes label and comment, or nothing at all at Bitbucket where only the
// spelling of the repository, the project or the key differs.
func (r *deployKeyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state deployKeyModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, r.on.model(&plan))...)
	resp.Diagnostics.Append(req.State.Get(ctx, r.on.model(&state))...)
	if resp.Diagnostics.HasError() {
		return
	}
	if plan.Label.Equal(state.Label) && plan.Comment.Equal(state.Comment) {
		resp.Diagnostics.Append(resp.State.Set(ctx, r.on.model(&plan))...)
		resp.Diagnostics.Append(resp.Identity.Set(ctx, r.on.identity(plan.identity()))...)
		return
	}
	if !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.noteRateLimit(&resp.Diagnostics)
	key := r.updateKey(ctx, &plan, &state, &resp.Diagnostics)
	if key == nil {
		return
	}
	place := r.on.of(&plan)
	r.data.warnRenamed(place, key, &resp.Diagnostics)
	updated := plan
	updated.flatten(place, key)
	updated.keepPlanned(&plan, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, r.on.model(&updated))...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, r.on.identity(updated.identity()))...)
}

// updateKey sends the documented request. Where Bitbucket refuses to touch the
// key in it, a label alone may still be changed by a request without the key.
func (r *deployKeyResource) updateKey(ctx context.Context, plan, state *deployKeyModel, diags *diag.Diagnostics) *bitbucket.DeployKey {
	place, id, input := r.on.of(plan), state.KeyID.ValueInt64(), plan.expand()
	result := r.data.keys.Update(ctx, place, id, input)
	if result.Outcome == deploykeys.Done {
		return result.Key
	}
	if _, immutable := errors.AsType[*bitbucket.ImmutableKeyError](result.Err); !immutable {
		updateDeployKey.addWriteError(diags, place, id, result)
		return nil
	}
	if plan.Comment.Equal(state.Comment) {
		labelOnly := r.data.keys.Update(ctx, place, id, bitbucket.DeployKeyInput{Label: input.Label})
		if labelOnly.Outcome == deploykeys.Done {
			return labelOnly.Key
		}
		if !bitbucket.HasStatus(labelOnly.Err, http.StatusBadRequest) && !bitbucket.HasStatus(labelOnly.Err, http.StatusMethodNotAllowed) {
			updateDeployKey.addWriteError(diags, place, id, labelOnly)
			return nil
		}
	}
	updateDeployKey.addWriteError(diags, place, id, result, "Bitbucket does not let this key be changed in place; nothing was changed. There are two ways on: replace this key "+
		"with \"terraform apply -replace=ADDRESS\", or set update_strategy = \"replace\" in the provider block, which plans every change of label or "+
		"comment as a replacement. Both remove the key from the repository for a moment.")
	return nil
}

// Delete removes the key. One that is gone already is as good as removed.
func (r *deployKeyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state deployKeyModel
	resp.Diagnostics.Append(req.State.Get(ctx, r.on.model(&state))...)
	if resp.Diagnostics.HasError() || !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.noteRateLimit(&resp.Diagnostics)
	place := r.on.of(&state)
	if result := r.data.keys.Delete(ctx, place, state.KeyID.ValueInt64()); result.Outcome != deploykeys.Done {
		deleteDeployKey.addWriteError(&resp.Diagnostics, place, state.KeyID.ValueInt64(), result, state.keptAfter(place, result.Err))
	}
}

// ImportState takes an identity or one of importForms. Read does the rest.
func (r *deployKeyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var identity deployKeyIdentity
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, r.on.identity(&identity))...)
		if resp.Diagnostics.HasError() || !r.data.configured(&resp.Diagnostics) {
			return
		}
		if !bitbucket.IsSlugOrUUID(identity.Workspace.ValueString()) || !r.on.isName(identity.Place.ValueString()) || identity.KeyID.ValueInt64() <= 0 {
			resp.Diagnostics.AddError("Invalid import identity", "Expected workspace, a slug or a UUID in braces, "+r.on.expected()+", and key_id, the number of the key.")
			return
		}
	} else {
		reference, ok := parseDeployKeyReference(r.on, req.ID)
		if !ok {
			resp.Diagnostics.AddError("Invalid import ID", "Expected "+r.on.importForms())
			return
		}
		if !r.data.configured(&resp.Diagnostics) {
			return
		}
		id := reference.id()
		if reference.by != byNumber {
			keys, err := r.data.keys.List(ctx, reference.place)
			if err != nil {
				listDeployKeys.addError(&resp.Diagnostics, reference.place, 0, err)
				return
			}
			key := reference.find(keys, &resp.Diagnostics)
			if key == nil {
				return
			}
			id = key.ID
		}
		identity = deployKeyIdentity{types.StringValue(reference.place.Workspace), types.StringValue(nameOf(reference.place)), types.Int64Value(id)}
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, r.on.identity(&identity))...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("workspace"), identity.Workspace)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(string(r.on)), identity.Place)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("key_id"), identity.KeyID)...)
}
