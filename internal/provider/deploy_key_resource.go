package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

var (
	_ resource.ResourceWithConfigure    = (*deployKeyResource)(nil)
	_ resource.ResourceWithIdentity     = (*deployKeyResource)(nil)
	_ resource.ResourceWithImportState  = (*deployKeyResource)(nil)
	_ resource.ResourceWithModifyPlan   = (*deployKeyResource)(nil)
	_ resource.ResourceWithMoveState    = (*deployKeyResource)(nil)
	_ resource.ResourceWithUpgradeState = (*deployKeyResource)(nil)
)

// deployKeyResource is bitbucket_deploy_key and bitbucket_project_deploy_key. The plan is in
// deploy_key_plan.go, the import in deploy_key_import.go, and the state of other providers
// in deploy_key_upgrade.go.
type deployKeyResource struct {
	kind *parentKind
	data *providerData
}

func newDeployKeyResource() resource.Resource { return &deployKeyResource{kind: repositoryKind} }

func newProjectDeployKeyResource() resource.Resource { return &deployKeyResource{kind: projectKind} }

func (r *deployKeyResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.kind.typeName
	// If the repository, the project or the workspace is renamed, the identity changes, but
	// the key is not replaced.
	resp.ResourceBehavior.MutableIdentity = true
}

// plainText ends the descriptions of label and comment.
const plainText = " A new value must not begin or end with white space and must not contain control characters. A value that Bitbucket already has is accepted."

func (r *deployKeyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		// Other providers have bitbucket_deploy_key at version 0. This provider never had
		// version 0, and only this distinguishes the states.
		Version:             1,
		MarkdownDescription: r.kind.docs.resource,
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "Slug of the workspace, or its UUID in braces. Changing the workspace forces replacement. Changing only its spelling, for example from slug to UUID, does not.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			r.kind.attribute: schema.StringAttribute{
				MarkdownDescription: r.kind.docs.name + r.kind.docs.forcesReplacement,
				Required:            true,
				Validators:          []validator.String{r.kind.validator},
			},
			"key": schema.StringAttribute{
				MarkdownDescription: "Public key in OpenSSH format, for example `ssh-ed25519 AAAA… comment`. It must be Ed25519, ECDSA, or RSA with 2048 bits or more. " +
					"Changing the key itself forces replacement. White space around the key and a byte order mark are ignored, so `file()` and `tls_private_key` need no `trimspace()`. The comment after the key is the default of `comment`.",
				Required:   true,
				CustomType: publicKeyType{},
				Validators: []validator.String{publicKeyValidator},
			},
			"label": schema.StringAttribute{
				MarkdownDescription: "Name of the key in the settings of the " + r.kind.attribute + ". Recommended, because the settings show each key by its label. Default: `\"\"`." + r.kind.docs.changeInPlace + plainText,
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(""),
				Validators:          []validator.String{textValidator},
			},
			"comment": schema.StringAttribute{
				MarkdownDescription: "Comment of the key, in one or several words. Default: the comment inside `key`." + r.kind.docs.changeInPlace + plainText,
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{textValidator},
			},
			"id": schema.StringAttribute{
				MarkdownDescription: "`workspace/" + r.kind.attribute + "/key_id`, as `terraform import` accepts it.",
				Computed:            true,
			},
			"key_id": schema.Int64Attribute{
				MarkdownDescription: "ID of the deploy key.",
				Computed:            true,
			},
			"fingerprint_sha256": schema.StringAttribute{
				MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
				Computed:            true,
			},
			"fingerprint_md5": schema.StringAttribute{
				MarkdownDescription: "MD5 fingerprint as pairs of hexadecimal digits: `aa:bb:…`.",
				Computed:            true,
			},
			"key_type": schema.StringAttribute{
				MarkdownDescription: "Algorithm of the key, for example `ssh-ed25519`.",
				Computed:            true,
			},
			"created_on": schema.StringAttribute{
				MarkdownDescription: "Time when the key was added, in ISO 8601 format.",
				Computed:            true,
			},
			r.kind.uuidAttribute(): schema.StringAttribute{
				MarkdownDescription: "UUID of the " + r.kind.attribute + ", in braces.",
				Computed:            true,
			},
		},
	}
}

func (r *deployKeyResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// deployKeyModel is a deploy key in a configuration, plan or state. See [parentKind.get] for
// the tags parent and parent_uuid.
type deployKeyModel struct {
	Workspace         types.String   `tfsdk:"workspace"`
	Parent            types.String   `tfsdk:"parent"`
	ParentUUID        types.String   `tfsdk:"parent_uuid"`
	ID                types.String   `tfsdk:"id"`
	KeyID             types.Int64    `tfsdk:"key_id"`
	Key               publicKeyValue `tfsdk:"key"`
	Label             types.String   `tfsdk:"label"`
	Comment           types.String   `tfsdk:"comment"`
	KeyType           types.String   `tfsdk:"key_type"`
	FingerprintSHA256 types.String   `tfsdk:"fingerprint_sha256"`
	FingerprintMD5    types.String   `tfsdk:"fingerprint_md5"`
	CreatedOn         types.String   `tfsdk:"created_on"`
}

// parent returns the parent of the key, as the configuration or the state spells it.
func (m *deployKeyModel) parent(kind *parentKind) bitbucket.Parent {
	return kind.parent(m.Workspace, m.Parent, m.ParentUUID)
}

// expand returns the body of a create or an update.
func (m *deployKeyModel) expand() bitbucket.DeployKeyInput {
	return bitbucket.DeployKeyInput{Key: m.Key.withComment(m.Comment.ValueString()), Label: m.Label.ValueString()}
}

// flatten sets the attributes from Bitbucket's reply. Label and comment are never null,
// because Bitbucket returns "" if there is none. Other fields that Bitbucket omits are
// null.
func (m *deployKeyModel) flatten(parent bitbucket.Parent, key *bitbucket.DeployKey) {
	m.ID = types.StringValue(deployKeyID(parent, key.ID))
	m.KeyID = types.Int64Value(key.ID)
	m.Key = newPublicKeyValue(key.Key)
	m.Label = types.StringValue(key.Label)
	m.Comment = types.StringValue(cmp.Or(key.Comment, m.Key.comment()))
	m.CreatedOn = nullIfEmpty(key.CreatedOn)
	m.ParentUUID = nullIfEmpty(key.ParentUUID())
	m.describeKey()
}

// describeKey sets the attributes that follow from the key.
func (m *deployKeyModel) describeKey() {
	m.KeyType, m.FingerprintSHA256, m.FingerprintMD5 = m.Key.keyType(), m.Key.fingerprintSHA256(), m.Key.fingerprintMD5()
}

func nullIfEmpty(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// deployKeyID returns the id attribute, which is also an import ID.
func deployKeyID(parent bitbucket.Parent, id int64) string {
	return parent.String() + "/" + strconv.FormatInt(id, 10)
}

// Create adds the key. It stores a new key even if only its ID is known: a key that exists
// must not be forgotten.
func (r *deployKeyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deployKeyModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	if resp.Diagnostics.HasError() || !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.warnNearLimit(&resp.Diagnostics)
	r.data.warnings.begins()
	parent, sent := plan.parent(r.kind), time.Now()
	result := r.data.keys.Create(ctx, parent, plan.expand())
	if result.Outcome != deploykeys.Done {
		var more string
		if result.Key != nil {
			more = fmt.Sprintf("Bitbucket added the key with the ID %d. It is in the state as tainted: the next apply replaces it. To keep it, run \"terraform untaint ADDRESS\".\n\n%s",
				result.Key.ID, linkTo("errors-network#the-key-is-in-the-state-as-tainted"))
		}
		createDeployKey.addWriteError(&resp.Diagnostics, parent, 0, result, more)
	}
	if result.Key == nil {
		return
	}
	r.data.managed.add(parent, result.Key.ID)
	state := plan
	state.flatten(parent, result.Key)
	if state.reconcileWithPlan(&plan, &resp.Diagnostics) && result.Outcome == deploykeys.Done {
		r.data.refreshAfter.store(ctx, resp.Private, parent, sent, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &state)...)
	resp.Diagnostics.Append(r.kind.set(ctx, resp.Identity, state.identity())...)
	if r.data.oauthConsumer {
		resp.Diagnostics.AddWarning("Deploy key depends on the OAuth consumer", "Bitbucket binds each key to the OAuth consumer that has added it: "+
			"any change to the consumer invalidates the key. To avoid this, add keys with the API token of an account.")
	}
}

// Read refreshes the state from Bitbucket, unless refresh_after says that the state is recent
// enough. It removes a key from the state only if the key is gone and its repository or
// project still exists.
func (r *deployKeyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deployKeyModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// States of Terraform before 1.12 have no identity. The framework requires an identity
	// even for a key that is gone.
	if req.Identity == nil || req.Identity.Raw.IsFullyNull() {
		resp.Diagnostics.Append(r.kind.set(ctx, resp.Identity, state.identity())...)
	}
	if !r.data.canRefresh(&resp.Diagnostics) {
		return
	}
	defer r.data.warnNearLimit(&resp.Diagnostics)
	defer r.data.reportKnown(&resp.Diagnostics)
	parent := state.parent(r.kind)
	r.data.warnings.refreshes(parent, &state)
	r.data.managed.add(parent, state.KeyID.ValueInt64()) // Before the request: an exclusive set may wait for the same listing.
	imported := state.Key.IsNull()                       // Or the state comes from another provider.
	if read := lastReadOf(ctx, req.Private, &resp.Diagnostics); !imported && r.data.refreshAfter.skips(ctx, state.ID.ValueString(), read) {
		return
	}
	sent := time.Now()
	key, err := r.data.keys.Get(ctx, parent, state.KeyID.ValueInt64())
	if errors.Is(err, deploykeys.ErrGone) {
		tflog.Info(ctx, "deploy key is gone from Bitbucket", map[string]any{"id": state.ID.ValueString()})
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		readDeployKey.addError(&resp.Diagnostics, parent, state.KeyID.ValueInt64(), err, state.stateKept(parent, err))
		return
	}
	r.data.warnRenamed(parent, key, &resp.Diagnostics)
	r.data.refreshAfter.store(ctx, resp.Private, parent, sent, &resp.Diagnostics)
	refreshed := state
	refreshed.flatten(parent, key)
	refreshed.reconcileWithState(&state)
	// Encoding an unchanged state would take longer than all of the above. The comparison
	// includes the pointer to the parsed key. For the same key, reconcileWithState has copied the
	// pointer from the state.
	if refreshed != state {
		resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &refreshed)...)
	}
}

// stateKept returns the advice for a managed key whose parent Bitbucket does not find.
func (m *deployKeyModel) stateKept(parent bitbucket.Parent, err error) string {
	imported := m.ID.IsNull() // An import has no id yet.
	if imported || !bitbucket.IsNotFound(err) {
		return ""
	}
	return stateKept("The key", parent)
}

// Update changes the label and the comment. It sends no request if only the spelling of the
// repository, the project or the key differs.
func (r *deployKeyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state deployKeyModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.Plan, &plan)...)
	resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, replacedKey, nil)...) // Only a plan needs it.
	if plan.Label.Equal(state.Label) && plan.Comment.Equal(state.Comment) {
		resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &plan)...)
		resp.Diagnostics.Append(r.kind.set(ctx, resp.Identity, plan.identity())...)
		return
	}
	if !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.warnNearLimit(&resp.Diagnostics)
	r.data.warnings.begins()
	parent, sent := plan.parent(r.kind), time.Now()
	read := lastReadOf(ctx, req.Private, &resp.Diagnostics)
	markDue(ctx, resp.Private, &resp.Diagnostics) // If the update fails, the next refresh reads the key.
	key := r.updateKey(ctx, &plan, &state, read, &resp.Diagnostics)
	if key == nil {
		return
	}
	r.data.warnRenamed(parent, key, &resp.Diagnostics)
	updated := plan
	updated.flatten(parent, key)
	if updated.reconcileWithPlan(&plan, &resp.Diagnostics) {
		r.data.refreshAfter.store(ctx, resp.Private, parent, sent, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &updated)...)
	resp.Diagnostics.Append(r.kind.set(ctx, resp.Identity, updated.identity())...)
}

// updateKey sends the documented update, which contains the key. If Bitbucket refuses it,
// an update without the key may still change the label. updateKey returns nil after an
// error. read is when the key was last read, for the error.
func (r *deployKeyResource) updateKey(ctx context.Context, plan, state *deployKeyModel, read lastRead, diags *diag.Diagnostics) *bitbucket.DeployKey {
	parent, id, input := plan.parent(r.kind), state.KeyID.ValueInt64(), plan.expand()
	result := r.data.keys.Update(ctx, parent, id, input)
	if result.Outcome == deploykeys.Done {
		return result.Key
	}
	if _, immutable := errors.AsType[*bitbucket.ImmutableKeyError](result.Err); !immutable {
		updateDeployKey.addWriteError(diags, parent, id, result, r.data.refreshAfter.planAgain(read, result.Err))
		return nil
	}
	if plan.Comment.Equal(state.Comment) {
		labelOnly := r.data.keys.Update(ctx, parent, id, bitbucket.DeployKeyInput{Label: input.Label})
		if labelOnly.Outcome == deploykeys.Done {
			return labelOnly.Key
		}
		if !bitbucket.HasStatus(labelOnly.Err, http.StatusBadRequest) && !bitbucket.HasStatus(labelOnly.Err, http.StatusMethodNotAllowed) {
			updateDeployKey.addWriteError(diags, parent, id, labelOnly, r.data.refreshAfter.planAgain(read, labelOnly.Err))
			return nil
		}
	}
	updateDeployKey.addWriteError(diags, parent, id, result)
	return nil
}

// Delete removes the key. A key that is already gone counts as removed.
func (r *deployKeyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state deployKeyModel
	resp.Diagnostics.Append(r.kind.get(ctx, req.State, &state)...)
	if resp.Diagnostics.HasError() || !r.data.configured(&resp.Diagnostics) {
		return
	}
	defer r.data.warnNearLimit(&resp.Diagnostics)
	r.data.warnings.begins()
	parent, id := state.parent(r.kind), state.KeyID.ValueInt64()
	markDue(ctx, resp.Private, &resp.Diagnostics) // If the delete fails, the next refresh reads the key.
	result := r.data.keys.Delete(ctx, parent, id, state.Key.ValueString())
	if _, withheld := errors.AsType[*deploykeys.WithheldError](result.Err); withheld {
		addWithheld(&resp.Diagnostics, parent, id)
	} else if result.Outcome != deploykeys.Done {
		deleteDeployKey.addWriteError(&resp.Diagnostics, parent, id, result, state.stateKept(parent, result.Err))
	}
}
