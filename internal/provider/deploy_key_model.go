package provider

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// deployKeyAttributes are what Bitbucket says of a deploy key. The resource and
// the data sources share them, and with them flatten.
type deployKeyAttributes struct {
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

// deployKeyModel is a deploy key of a repository, and of a project where the two
// do not differ.
type deployKeyModel struct {
	Workspace types.String `tfsdk:"workspace"`
	Place     types.String `tfsdk:"repository"`
	PlaceUUID types.String `tfsdk:"repository_uuid"`
	deployKeyAttributes
}

// projectDeployKeyModel is the same with the names of a project's attributes, so
// that Go converts one into the other.
type projectDeployKeyModel struct {
	Workspace types.String `tfsdk:"workspace"`
	Place     types.String `tfsdk:"project"`
	PlaceUUID types.String `tfsdk:"project_uuid"`
	deployKeyAttributes
}

// expand is what Bitbucket is told about the key.
func (m *deployKeyModel) expand() bitbucket.DeployKeyInput {
	line := m.Key.ValueString()
	if key, err := sshkey.Split(line); err == nil {
		line = key.WithComment(m.Comment.ValueString())
	}
	return bitbucket.DeployKeyInput{Key: line, Label: m.Label.ValueString()}
}

// flatten takes over what Bitbucket says. Label and comment are never null,
// since Bitbucket has "" for none; what it does not say at all is null.
func (m *deployKeyModel) flatten(place bitbucket.Parent, key *bitbucket.DeployKey) {
	m.ID = types.StringValue(deployKeyID(place, key.ID))
	m.KeyID = types.Int64Value(key.ID)
	m.Key = newPublicKeyValue(key.Key)
	m.Label = types.StringValue(key.Label)
	m.Comment = types.StringValue(cmp.Or(key.Comment, commentIn(m.Key)))
	m.CreatedOn = nullIfEmpty(key.CreatedOn)
	m.PlaceUUID = nullIfEmpty(key.ParentUUID())
	m.describeKey()
}

// describeKey sets what follows from the key alone. Bitbucket has accepted keys
// that are none; they have no type and no fingerprint.
func (a *deployKeyAttributes) describeKey() {
	key, err := sshkey.Split(a.Key.ValueString())
	if err != nil {
		a.KeyType, a.FingerprintSHA256, a.FingerprintMD5 = types.StringNull(), types.StringNull(), types.StringNull()
		return
	}
	a.KeyType = types.StringValue(key.Type)
	a.FingerprintSHA256 = types.StringValue(key.FingerprintSHA256())
	a.FingerprintMD5 = types.StringValue(key.FingerprintMD5())
}

func nullIfEmpty(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// keepPlanned puts what was planned in place of what Bitbucket answered: a
// planned value may not change, and what the key is called is no reason to fail
// when it exists. The warning names what differs; the next refresh shows it.
func (m *deployKeyModel) keepPlanned(plan *deployKeyModel, diags *diag.Diagnostics) {
	var differ []string
	keep := func(name string, planned types.String, got *types.String) {
		if planned.IsUnknown() || planned.Equal(*got) {
			return
		}
		differ = append(differ, name)
		*got = planned
	}
	m.Key = plan.Key // The client has made sure that it is the same key.
	m.keepSpacing(plan.Comment)
	m.keepUnsaid(plan)
	keep("label", plan.Label, &m.Label)
	keep("comment", plan.Comment, &m.Comment)
	keep("key_type", plan.KeyType, &m.KeyType)
	keep("fingerprint_sha256", plan.FingerprintSHA256, &m.FingerprintSHA256)
	keep("fingerprint_md5", plan.FingerprintMD5, &m.FingerprintMD5)
	keep("created_on", plan.CreatedOn, &m.CreatedOn)
	keep("repository_uuid", plan.PlaceUUID, &m.PlaceUUID) // A project's is unknown: it has no updates.
	if len(differ) > 0 {
		diags.AddWarning("Bitbucket stored something else", "Bitbucket accepted deploy key "+m.ID.ValueString()+", but answered with another "+
			strings.Join(differ, ", ")+" than it was sent. The next plan shows the difference.")
	}
}

// keepUnsaid keeps what is known of a key where an answer does not say it.
func (m *deployKeyModel) keepUnsaid(known *deployKeyModel) {
	if m.PlaceUUID.IsNull() && !known.PlaceUUID.IsUnknown() {
		m.PlaceUUID = known.PlaceUUID
	}
	if m.CreatedOn.IsNull() && !known.CreatedOn.IsUnknown() {
		m.CreatedOn = known.CreatedOn
	}
}

// keepSpacing keeps a comment as it was written where Bitbucket answers with
// other white space: nobody knows what it does to the comment of several words
// that it takes from the key line, and such a difference could never be mended.
func (a *deployKeyAttributes) keepSpacing(written types.String) {
	if slices.Equal(strings.Fields(a.Comment.ValueString()), strings.Fields(written.ValueString())) && !written.IsNull() && !written.IsUnknown() {
		a.Comment = written
	}
}

// attachComment puts the comment into the text of an imported key, as it is in
// the file that the key came from: the two are one in most configurations.
func (a *deployKeyAttributes) attachComment() {
	if key, err := sshkey.Split(a.Key.ValueString()); err == nil {
		a.Key = newPublicKeyValue(key.WithComment(a.Comment.ValueString()))
	}
}

// deployKeyID is the id attribute, which is also the import id.
func deployKeyID(place bitbucket.Parent, id int64) string {
	return place.String() + "/" + strconv.FormatInt(id, 10)
}

// parseDeployKeyID takes an import id apart. ok is false for anything else, also
// for another spelling of the number.
func parseDeployKeyID(on placeKind, text string) (place bitbucket.Parent, id int64, ok bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || !bitbucket.IsSlugOrUUID(parts[0]) || !on.isName(parts[1]) {
		return bitbucket.Parent{}, 0, false
	}
	place = on.place(types.StringValue(parts[0]), types.StringValue(parts[1]), types.StringNull())
	id, err := strconv.ParseInt(parts[2], 10, 64)
	return place, id, err == nil && id > 0 && deployKeyID(place, id) == text
}
