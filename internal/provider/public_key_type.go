package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// publicKeyType is a string in which only the key material counts. Bitbucket
// returns a key without its comment and white space, so what comes back is
// hardly ever the text that was sent.
type publicKeyType struct{ basetypes.StringType }

var (
	_ basetypes.StringTypable                    = publicKeyType{}
	_ basetypes.StringValuableWithSemanticEquals = publicKeyValue{}
)

// String names the type in error messages.
func (publicKeyType) String() string { return "publicKeyType" }

// Equal tells whether the other type is this one.
func (t publicKeyType) Equal(other attr.Type) bool {
	_, ok := other.(publicKeyType)
	return ok
}

// ValueType is the value that belongs to the type.
func (publicKeyType) ValueType(context.Context) attr.Value { return publicKeyValue{} }

// ValueFromString wraps a string.
func (publicKeyType) ValueFromString(_ context.Context, in basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return publicKeyValue{in}, nil
}

// ValueFromTerraform wraps what Terraform sends.
func (t publicKeyType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, in)
	if err != nil {
		return nil, err
	}
	text, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("unexpected value type %T", value)
	}
	return publicKeyValue{text}, nil
}

// publicKeyValue is the text of a public key. It has no validation of its own:
// that would also judge what is in state already.
type publicKeyValue struct{ basetypes.StringValue }

func newPublicKeyValue(text string) publicKeyValue {
	return publicKeyValue{basetypes.NewStringValue(text)}
}

// Type is the type that the value belongs to.
func (publicKeyValue) Type(context.Context) attr.Type { return publicKeyType{} }

// Equal tells whether the texts are the same to the letter.
func (v publicKeyValue) Equal(other attr.Value) bool {
	o, ok := other.(publicKeyValue)
	return ok && v.StringValue.Equal(o.StringValue)
}

// StringSemanticEquals tells whether both are the same key material. The
// framework then keeps the text that was planned, or was in state. A comment
// that differs is seen by its own attribute.
func (v publicKeyValue) StringSemanticEquals(_ context.Context, prior basetypes.StringValuable) (bool, diag.Diagnostics) {
	o, ok := prior.(publicKeyValue)
	return ok && v.sameMaterial(o), nil
}

// known tells whether there is a text.
func (v publicKeyValue) known() bool { return !v.IsNull() && !v.IsUnknown() }

// sameMaterial compares type and base64. Text that is no key, as Bitbucket has
// been seen to accept, is only the same as itself.
func (v publicKeyValue) sameMaterial(other publicKeyValue) bool {
	return v.known() && other.known() && (v.Equal(other) || sshkey.SameKey(v.ValueString(), other.ValueString()))
}
