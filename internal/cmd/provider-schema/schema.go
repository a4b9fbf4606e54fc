package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// These types are the parts of the JSON format that this provider uses. See
// https://developer.hashicorp.com/terraform/cli/commands/providers/schema.
type (
	document struct {
		FormatVersion   string                    `json:"format_version"`
		ProviderSchemas map[string]providerSchema `json:"provider_schemas"`
	}

	providerSchema struct {
		Provider          schema                    `json:"provider"`
		ResourceSchemas   map[string]schema         `json:"resource_schemas,omitempty"`
		DataSourceSchemas map[string]schema         `json:"data_source_schemas,omitempty"`
		ListSchemas       map[string]schema         `json:"list_resource_schemas,omitempty"`
		IdentitySchemas   map[string]identitySchema `json:"resource_identity_schemas,omitempty"`
		Functions         map[string]function       `json:"functions,omitempty"`
	}

	schema struct {
		Version int64 `json:"version"`
		Block   block `json:"block"`
	}

	block struct {
		Attributes      map[string]attribute `json:"attributes,omitempty"`
		BlockTypes      map[string]blockType `json:"block_types,omitempty"`
		Description     string               `json:"description,omitempty"`
		DescriptionKind string               `json:"description_kind,omitempty"`
		Deprecated      bool                 `json:"deprecated,omitempty"`
	}

	blockType struct {
		NestingMode string `json:"nesting_mode"`
		Block       block  `json:"block"`
		MinItems    int64  `json:"min_items,omitempty"`
		MaxItems    int64  `json:"max_items,omitempty"`
	}

	attribute struct {
		Type            tftypes.Type `json:"type,omitempty"`
		NestedType      *nestedType  `json:"nested_type,omitempty"`
		Description     string       `json:"description,omitempty"`
		DescriptionKind string       `json:"description_kind,omitempty"`
		Required        bool         `json:"required,omitempty"`
		Optional        bool         `json:"optional,omitempty"`
		Computed        bool         `json:"computed,omitempty"`
		Sensitive       bool         `json:"sensitive,omitempty"`
		Deprecated      bool         `json:"deprecated,omitempty"`
		WriteOnly       bool         `json:"write_only,omitempty"`
	}

	nestedType struct {
		Attributes  map[string]attribute `json:"attributes,omitempty"`
		NestingMode string               `json:"nesting_mode"`
	}

	identitySchema struct {
		Version    int64                        `json:"version"`
		Attributes map[string]identityAttribute `json:"attributes"`
	}

	identityAttribute struct {
		Type              tftypes.Type `json:"type"`
		Description       string       `json:"description,omitempty"`
		RequiredForImport bool         `json:"required_for_import,omitempty"`
		OptionalForImport bool         `json:"optional_for_import,omitempty"`
	}

	function struct {
		Description       string       `json:"description,omitempty"`
		Summary           string       `json:"summary,omitempty"`
		ReturnType        tftypes.Type `json:"return_type"`
		Parameters        []parameter  `json:"parameters,omitempty"`
		VariadicParameter *parameter   `json:"variadic_parameter,omitempty"`
	}

	parameter struct {
		Name        string       `json:"name"`
		Description string       `json:"description,omitempty"`
		IsNullable  bool         `json:"is_nullable,omitempty"`
		Type        tftypes.Type `json:"type"`
	}
)

// providerKey is the short name of the provider, because tfplugindocs accepts only
// the short name or an address in the hashicorp namespace.
const providerKey = "bitbucket"

func readSchemas(ctx context.Context, server tfprotov6.ProviderServer) (document, error) {
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return document{}, err
	}
	identities, err := server.GetResourceIdentitySchemas(ctx, &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		return document{}, err
	}
	if err := firstError(append(schemas.Diagnostics, identities.Diagnostics...)); err != nil {
		return document{}, err
	}

	return document{
		FormatVersion: "1.0",
		ProviderSchemas: map[string]providerSchema{providerKey: {
			Provider:          newSchema(schemas.Provider),
			ResourceSchemas:   convert(schemas.ResourceSchemas, newSchema),
			DataSourceSchemas: convert(schemas.DataSourceSchemas, newSchema),
			ListSchemas:       convert(schemas.ListResourceSchemas, newSchema),
			IdentitySchemas:   convert(identities.IdentitySchemas, newIdentitySchema),
			Functions:         convert(schemas.Functions, newFunction),
		}},
	}, nil
}

func firstError(diagnostics []*tfprotov6.Diagnostic) error {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return fmt.Errorf("%s: %s", d.Summary, d.Detail)
		}
	}
	return nil
}

func newSchema(s *tfprotov6.Schema) schema {
	return schema{Version: s.Version, Block: newBlock(s.Block)}
}

func newBlock(b *tfprotov6.SchemaBlock) block {
	blockTypes := make(map[string]blockType, len(b.BlockTypes))
	for _, t := range b.BlockTypes {
		blockTypes[t.TypeName] = blockType{
			NestingMode: strings.ToLower(t.Nesting.String()),
			Block:       newBlock(t.Block),
			MinItems:    t.MinItems,
			MaxItems:    t.MaxItems,
		}
	}
	return block{
		Attributes:      newAttributes(b.Attributes),
		BlockTypes:      blockTypes,
		Description:     b.Description,
		DescriptionKind: strings.ToLower(b.DescriptionKind.String()),
		Deprecated:      b.Deprecated,
	}
}

func newAttributes(list []*tfprotov6.SchemaAttribute) map[string]attribute {
	attributes := make(map[string]attribute, len(list))
	for _, a := range list {
		attributes[a.Name] = attribute{
			Type:            a.Type,
			NestedType:      newNestedType(a.NestedType),
			Description:     a.Description,
			DescriptionKind: strings.ToLower(a.DescriptionKind.String()),
			Required:        a.Required,
			Optional:        a.Optional,
			Computed:        a.Computed,
			Sensitive:       a.Sensitive,
			Deprecated:      a.Deprecated,
			WriteOnly:       a.WriteOnly,
		}
	}
	return attributes
}

func newNestedType(o *tfprotov6.SchemaObject) *nestedType {
	if o == nil {
		return nil
	}
	return &nestedType{
		Attributes:  newAttributes(o.Attributes),
		NestingMode: strings.ToLower(o.Nesting.String()),
	}
}

func newIdentitySchema(s *tfprotov6.ResourceIdentitySchema) identitySchema {
	attributes := make(map[string]identityAttribute, len(s.IdentityAttributes))
	for _, a := range s.IdentityAttributes {
		attributes[a.Name] = identityAttribute{
			Type:              a.Type,
			Description:       a.Description,
			RequiredForImport: a.RequiredForImport,
			OptionalForImport: a.OptionalForImport,
		}
	}
	return identitySchema{Version: s.Version, Attributes: attributes}
}

func newFunction(f *tfprotov6.Function) function {
	result := function{
		Description: f.Description,
		Summary:     f.Summary,
		ReturnType:  f.Return.Type,
	}
	for _, p := range f.Parameters {
		result.Parameters = append(result.Parameters, newParameter(p))
	}
	if f.VariadicParameter != nil {
		variadic := newParameter(f.VariadicParameter)
		result.VariadicParameter = &variadic
	}
	return result
}

func newParameter(p *tfprotov6.FunctionParameter) parameter {
	return parameter{Name: p.Name, Description: p.Description, IsNullable: p.AllowNullValue, Type: p.Type}
}

func convert[From, To any](from map[string]From, one func(From) To) map[string]To {
	to := make(map[string]To, len(from))
	for name, value := range from {
		to[name] = one(value)
	}
	return to
}
