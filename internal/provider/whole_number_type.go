package provider

import (
	"context"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// wholeNumberType is the type of the numbers in configurations. For a fraction, the type of
// the framework reports a bug of the provider. This type reports what to write.
type wholeNumberType struct{ basetypes.Int64Type }

var _ basetypes.Int64Typable = wholeNumberType{}

// String names the type in error messages.
func (wholeNumberType) String() string { return "wholeNumberType" }

// Equal reports whether the other type has the same values.
func (wholeNumberType) Equal(other attr.Type) bool {
	switch other.(type) {
	case wholeNumberType, basetypes.Int64Type:
		return true
	}
	return false
}

// Validate reports a number that is not an integer of 64 bits. The framework calls it for
// each attribute and each element of a set.
func (wholeNumberType) Validate(_ context.Context, in tftypes.Value, at path.Path) diag.Diagnostics {
	var diags diag.Diagnostics
	if number := knownNumber(in); number != nil {
		if _, accuracy := number.Int64(); accuracy != big.Exact {
			diags.AddAttributeError(at, "Invalid number", "The value "+number.Text('g', 20)+" is not a whole number. Write a whole number, for example 5.")
		}
	}
	return diags
}

// ValueFromTerraform returns the number. It cuts off a fraction, which Validate reports.
func (t wholeNumberType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	if number := knownNumber(in); number != nil {
		whole, _ := number.Int64()
		return types.Int64Value(whole), nil
	}
	return t.Int64Type.ValueFromTerraform(ctx, in)
}

// knownNumber returns a known number, nil for any other value.
func knownNumber(in tftypes.Value) *big.Float {
	var number *big.Float
	if !in.IsKnown() || in.IsNull() || in.As(&number) != nil {
		return nil
	}
	return number
}
