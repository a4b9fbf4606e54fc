package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// publicKeyType is a string type that compares only the key material. Bitbucket returns a
// key without its comment and white space, so the returned text is rarely the text that was
// sent.
type publicKeyType struct{ basetypes.StringType }

var (
	_ basetypes.StringTypable                    = publicKeyType{}
	_ basetypes.StringValuableWithSemanticEquals = publicKeyValue{}
)

// String names the type in error messages.
func (publicKeyType) String() string { return "publicKeyType" }

// Equal reports whether the other type is this one.
func (t publicKeyType) Equal(other attr.Type) bool {
	_, ok := other.(publicKeyType)
	return ok
}

// ValueType returns a value of the type.
func (publicKeyType) ValueType(context.Context) attr.Value { return publicKeyValue{} }

// ValueFromString parses a string.
func (publicKeyType) ValueFromString(_ context.Context, in basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return parsePublicKeyValue(in), nil
}

// ValueFromTerraform parses a string from Terraform.
func (t publicKeyType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, in)
	if err != nil {
		return nil, err
	}
	text, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("unexpected value type %T", value)
	}
	return parsePublicKeyValue(text), nil
}

// publicKeyValue is the text of a public key. It does not validate the text, because a
// validation would reject keys that are already in the state.
type publicKeyValue struct {
	basetypes.StringValue
	// parsed is nil if the text is null, unknown or not a public key.
	parsed *sshkey.PublicKey
}

func newPublicKeyValue(text string) publicKeyValue {
	return parsePublicKeyValue(basetypes.NewStringValue(text))
}

func parsePublicKeyValue(text basetypes.StringValue) publicKeyValue {
	value := publicKeyValue{StringValue: text}
	if key, err := sshkey.Split(text.ValueString()); err == nil {
		value.parsed = &key
	}
	return value
}

// Type returns the type of the value.
func (publicKeyValue) Type(context.Context) attr.Type { return publicKeyType{} }

// Equal reports whether the texts are identical.
func (v publicKeyValue) Equal(other attr.Value) bool {
	o, ok := other.(publicKeyValue)
	return ok && v.StringValue.Equal(o.StringValue)
}

// StringSemanticEquals reports whether both have the same key material. If they do, the
// framework keeps the planned text or the text in state. A different comment appears only in
// the attribute comment.
func (v publicKeyValue) StringSemanticEquals(_ context.Context, prior basetypes.StringValuable) (bool, diag.Diagnostics) {
	o, ok := prior.(publicKeyValue)
	return ok && v.sameMaterial(o), nil
}

// sameMaterial reports whether both have the same type and base64. A text that is not a key,
// which Bitbucket has accepted in the past, is the same only as an identical text.
func (v publicKeyValue) sameMaterial(other publicKeyValue) bool {
	if v.IsNull() || v.IsUnknown() { // Two unknown keys may differ.
		return false
	}
	return v.Equal(other) || v.parsed != nil && other.parsed != nil && v.parsed.SameMaterial(*other.parsed)
}

// comment returns the comment inside the text.
func (v publicKeyValue) comment() string {
	if v.parsed == nil {
		return ""
	}
	return v.parsed.Comment
}

// withComment returns the key line with this comment instead of the comment in the text.
func (v publicKeyValue) withComment(comment string) string {
	if v.parsed == nil {
		return v.ValueString()
	}
	return v.parsed.WithComment(comment)
}

// refusal returns why Bitbucket refuses to add the key, "" if it accepts the key.
func (v publicKeyValue) refusal() string {
	if v.parsed == nil {
		return "" // publicKeyValidator has reported it.
	}
	return v.parsed.Refusal()
}

// keyType returns the algorithm, null if the text is not a key.
func (v publicKeyValue) keyType() types.String {
	if v.parsed == nil {
		return types.StringNull()
	}
	return types.StringValue(v.parsed.Type)
}

// fingerprintSHA256 returns the SHA-256 fingerprint, null if the text is not a key.
func (v publicKeyValue) fingerprintSHA256() types.String {
	if v.parsed == nil {
		return types.StringNull()
	}
	return types.StringValue(v.parsed.FingerprintSHA256())
}

// fingerprintMD5 returns the MD5 fingerprint, null if the text is not a key.
func (v publicKeyValue) fingerprintMD5() types.String {
	if v.parsed == nil {
		return types.StringNull()
	}
	return types.StringValue(v.parsed.FingerprintMD5())
}
