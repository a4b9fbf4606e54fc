package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"golang.org/x/text/unicode/norm"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

// deployKeyIdentity identifies a deploy key. The names of the workspace and the parent are
// spelled as in the state.
type deployKeyIdentity struct {
	Workspace types.String `tfsdk:"workspace"`
	Parent    types.String `tfsdk:"parent"`
	KeyID     types.Int64  `tfsdk:"key_id"`
}

func (m *deployKeyModel) identity() *deployKeyIdentity {
	return &deployKeyIdentity{m.Workspace, m.Parent, m.KeyID}
}

func (r *deployKeyResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"workspace": identityschema.StringAttribute{
				Description:       "Slug of the workspace, or its UUID in braces.",
				RequiredForImport: true,
			},
			r.kind.attribute: identityschema.StringAttribute{
				Description:       r.kind.docs.identityName,
				RequiredForImport: true,
			},
			"key_id": identityschema.Int64Attribute{
				Description:       "ID of the deploy key.",
				RequiredForImport: true,
			},
		},
	}
}

// ImportState accepts an identity or an import ID: see importForms. Terraform then calls
// Read, which completes the state.
func (r *deployKeyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var identity *deployKeyIdentity
	if req.ID == "" {
		identity = r.importedIdentity(ctx, req, &resp.Diagnostics)
	} else {
		identity = r.resolveImportID(ctx, req.ID, &resp.Diagnostics)
	}
	if identity == nil {
		return
	}
	resp.Diagnostics.Append(r.kind.set(ctx, resp.Identity, identity)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("workspace"), identity.Workspace)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(r.kind.attribute), identity.Parent)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("key_id"), identity.KeyID)...)
}

// importedIdentity checks the identity of an import. It returns nil after an error.
func (r *deployKeyResource) importedIdentity(ctx context.Context, req resource.ImportStateRequest, diags *diag.Diagnostics) *deployKeyIdentity {
	var identity deployKeyIdentity
	diags.Append(r.kind.get(ctx, req.Identity, &identity)...)
	if diags.HasError() || !r.data.configured(diags) {
		return nil
	}
	if !bitbucket.IsSlugOrUUID(identity.Workspace.ValueString()) || !r.kind.isName(identity.Parent.ValueString()) || identity.KeyID.ValueInt64() <= 0 {
		diags.AddError("Invalid import identity", "Expected workspace, a slug or a UUID in braces, "+r.kind.docs.expectedName+", and key_id, the ID of the key.")
		return nil
	}
	parent := r.kind.newParent(identity.Workspace.ValueString(), identity.Parent.ValueString())
	r.data.warnings.imports(identity.KeyID.ValueInt64())
	if r.data.findKey(ctx, deployKeyReference{parent, byID, strconv.FormatInt(identity.KeyID.ValueInt64(), 10)}, diags) == nil {
		return nil
	}
	return &identity
}

// resolveImportID returns the identity that an import ID means, or nil after an error. To
// resolve a label or a fingerprint, it lists all keys of the parent.
func (r *deployKeyResource) resolveImportID(ctx context.Context, importID string, diags *diag.Diagnostics) *deployKeyIdentity {
	reference, ok := parseDeployKeyReference(r.kind, importID)
	if !ok {
		diags.AddError("Invalid import ID", "Expected "+r.kind.importForms())
		return nil
	}
	if !r.data.configured(diags) {
		return nil
	}
	if reference.by == byID {
		r.data.warnings.imports(reference.id())
	}
	key := r.data.findKey(ctx, reference, diags)
	if key == nil {
		return nil
	}
	return &deployKeyIdentity{types.StringValue(reference.parent.Workspace), types.StringValue(reference.parent.Name()), types.Int64Value(key.ID)}
}

// findKey returns the key that the reference selects, or nil after an error. It lists all
// keys unless the reference is an ID. If no key has the ID, it also lists all keys, for the
// error.
func (d *providerData) findKey(ctx context.Context, reference deployKeyReference, diags *diag.Diagnostics) *bitbucket.DeployKey {
	if reference.by == byID {
		key, err := d.keys.Get(ctx, reference.parent, reference.id())
		if err == nil {
			return key
		}
		if !errors.Is(err, deploykeys.ErrGone) {
			readDeployKey.addError(diags, reference.parent, reference.id(), err)
			return nil
		}
	}
	listing, err := d.keys.List(ctx, reference.parent)
	if err != nil {
		listDeployKeys.addError(diags, reference.parent, 0, err)
		return nil
	}
	return reference.find(listing, diags)
}

// deployKeyReference selects a key by its ID, its label or its fingerprint.
type deployKeyReference struct {
	parent bitbucket.Parent
	by     referenceKind
	value  string
}

type referenceKind string

const (
	byID          referenceKind = "ID"
	byLabel       referenceKind = "label"
	byFingerprint referenceKind = "fingerprint"
)

// id returns the ID of the key, 0 if the reference is not an ID.
func (r deployKeyReference) id() int64 {
	id, _ := strconv.ParseInt(r.value, 10, 64)
	return id
}

// matches reports whether the reference selects this key.
func (r deployKeyReference) matches(key *bitbucket.DeployKey) bool {
	switch r.by {
	case byID:
		return r.value == strconv.FormatInt(key.ID, 10)
	case byLabel:
		// Terraform normalizes the texts in configurations. Bitbucket and a command line keep
		// the form in which a system writes them.
		return norm.NFC.String(r.value) == norm.NFC.String(key.Label)
	}
	return r.value == newPublicKeyValue(key.Key).fingerprintSHA256().ValueString()
}

// importForms describes the accepted import IDs.
func (k *parentKind) importForms() string {
	inBraces := "The workspace may be a UUID"
	if k.acceptsUUID {
		inBraces = "Workspace and repository may be UUIDs"
	}
	return fmt.Sprintf(`one of
  acme/%[1]s/10958984                the ID of the key
  acme/%[1]s/SHA256:…                its fingerprint, as ssh-keygen -l prints it
  acme/%[1]s/label:deploy            its label, if no other key has it
  https://api.bitbucket.org/2.0/%s/deploy-keys/10958984
  https://bitbucket.org/%s/access-keys/10958984
%s in braces. The %s data source lists the IDs.`, k.exampleName, k.apiPath, k.settingsPath, inBraces, k.typeName+"s")
}

// parseDeployKeyReference reads an import ID. ok is false if it has none of the forms.
func parseDeployKeyReference(kind *parentKind, text string) (reference deployKeyReference, ok bool) {
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		return parseDeployKeyURL(kind, text)
	}
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 {
		return deployKeyReference{}, false
	}
	return newDeployKeyReference(kind, parts[0], parts[1], parts[2])
}

// newDeployKeyReference checks the parts of an import ID. The last part is an ID, a label or a
// fingerprint.
func newDeployKeyReference(kind *parentKind, workspace, name, key string) (reference deployKeyReference, ok bool) {
	if !bitbucket.IsSlugOrUUID(workspace) || !kind.isName(name) {
		return deployKeyReference{}, false
	}
	parent := kind.newParent(workspace, name)
	if isKeyID(key) {
		return deployKeyReference{parent, byID, key}, true
	}
	if label, is := strings.CutPrefix(key, "label:"); is {
		return deployKeyReference{parent, byLabel, label}, true
	}
	return deployKeyReference{parent, byFingerprint, key}, fingerprintPattern.MatchString(key)
}

// isKeyID reports whether text is the ID of a key, without a sign and leading zeros.
func isKeyID(text string) bool {
	id, err := strconv.ParseInt(text, 10, 64)
	return err == nil && id > 0 && strconv.FormatInt(id, 10) == text
}

// parseDeployKeyURL reads an address that was copied from a reply of the API or from a
// browser. It ignores the host, because it sends no request there.
func parseDeployKeyURL(kind *parentKind, text string) (reference deployKeyReference, ok bool) {
	segments, fragment, ok := parseURL(text)
	if !ok {
		return deployKeyReference{}, false
	}
	if slices.Contains(segments, "access-keys") && fragment != "" {
		segments = append(segments, fragment)
	}
	for _, form := range []string{kind.apiForm, kind.settingsForm} {
		if names, ok := matchPath(form, segments); ok && isKeyID(names[2]) {
			return newDeployKeyReference(kind, names[0], names[1], names[2])
		}
	}
	return deployKeyReference{}, false
}

// parseURL returns the segments of the path and the fragment of an address.
func parseURL(text string) (segments []string, fragment string, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, "", false
	}
	segments = strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for i, segment := range segments {
		if segments[i], err = url.PathUnescape(segment); err != nil {
			return nil, "", false
		}
	}
	return segments, u.Fragment, true
}

// matchPath returns the segments for the asterisks of a form. The form must match the end of
// the path, or the whole path if it begins with ^.
func matchPath(form string, segments []string) (names []string, ok bool) {
	form, whole := strings.CutPrefix(form, "^/")
	wanted := strings.Split(form, "/")
	skip := len(segments) - len(wanted)
	if skip < 0 || whole && skip > 0 {
		return nil, false
	}
	for i, segment := range segments[skip:] {
		switch wanted[i] {
		case "*":
			names = append(names, segment)
		case segment:
		default:
			return nil, false
		}
	}
	return names, true
}

// find returns the one key that the reference selects. Otherwise it reports the keys to
// choose from and returns nil.
func (r deployKeyReference) find(listing deploykeys.Listing, diags *diag.Diagnostics) *bitbucket.DeployKey {
	var matches []bitbucket.DeployKey
	for _, key := range listing.Keys {
		if r.matches(&key) {
			matches = append(matches, key)
		}
	}
	if len(matches) == 1 {
		return &matches[0]
	}
	detail := r.candidates(matches, listing.Keys)
	if err := listing.Err(); err != nil {
		detail += "\n\n" + err.Error() + ". " + adviceUnreadable
	}
	diags.AddError("No single deploy key found", detail)
	return nil
}

// candidates lists the keys to choose from.
func (r deployKeyReference) candidates(matches, all []bitbucket.DeployKey) string {
	wanted := fmt.Sprintf("%s %s", r.by, r.value)
	if r.by == byLabel {
		wanted = fmt.Sprintf("%s %q", r.by, r.value)
	}
	parentWord := kindOf(r.parent).attribute
	detail, shown := fmt.Sprintf("%d deploy keys of %s have the %s. Use the ID (key_id) of one of them:", len(matches), r.parent, wanted), matches
	if len(matches) == 0 {
		detail, shown = fmt.Sprintf("No deploy key of %s has the %s. The %s has these keys:", r.parent, wanted, parentWord), all
		if len(all) == 0 {
			return fmt.Sprintf("No deploy key of %s has the %s. The %s has no deploy keys.", r.parent, wanted, parentWord)
		}
	}
	const most = 25
	lines := []string{detail, ""}
	for i, key := range shown {
		if i == most {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(shown)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("  %d  %q", key.ID, key.Label))
	}
	return strings.Join(lines, "\n")
}
