package acctest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Server calls the provider over the protocol, as Terraform does.
type Server struct {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	Schemas *tfprotov6.GetProviderSchemaResponse
}

// NewServer starts a provider that is not configured.
func NewServer(t testing.TB) Server {
	t.Helper()
	server := newServer("test")()
	lists, ok := server.(tfprotov6.ListResourceServer)
	if !ok {
		t.Fatal("the server does not support list resources")
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return Server{server, lists, schemas}
}

// NewConfiguredServer starts a provider that is configured for a fake.
func NewConfiguredServer(t testing.TB, f *Fake) Server {
	t.Helper()
	return NewServerWith(t, f, nil)
}

// NewServerWith starts a provider that is configured for a fake, and with these attributes.
func NewServerWith(t testing.TB, f *Fake, attributes map[string]string) Server {
	t.Helper()
	server := NewServer(t)
	values := map[string]string{"base_url": f.URL + "/2.0", "username": "ci@example.com", "token": "api-token", "max_retries": "0"}
	maps.Copy(values, attributes)
	if out := server.Configure(t, values); out != "" {
		t.Fatal(out)
	}
	return server
}

// Configure validates and configures a provider with these attributes. It returns what the
// provider reports.
func (s Server) Configure(t testing.TB, attributes map[string]string) string {
	t.Helper()
	config := ProtocolObject(t, s.Schemas.Provider, attributes)
	validated, err := s.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if out := Reported(validated.Diagnostics); out != "" {
		return out
	}
	configured, err := s.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return Reported(configured.Diagnostics)
}

// ValidateResource validates a resource. It returns what the provider reports.
func (s Server) ValidateResource(t testing.TB, typeName string, attributes map[string]string) string {
	t.Helper()
	resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: typeName, Config: ProtocolObject(t, s.Schemas.ResourceSchemas[typeName], attributes),
	})
	if err != nil {
		t.Fatal(err)
	}
	return Reported(resp.Diagnostics)
}

// ReadData validates and reads a data source. It returns what the provider reports.
func (s Server) ReadData(t testing.TB, typeName string, attributes map[string]string) string {
	t.Helper()
	_, diagnostics := s.ReadAttributes(t.Context(), t, typeName, attributes)
	return Reported(diagnostics)
}

// ReadAttributes validates and reads a data source. It returns the attributes, or nil if the
// provider returns none.
func (s Server) ReadAttributes(ctx context.Context, t testing.TB, typeName string, attributes map[string]string) (map[string]tftypes.Value, []*tfprotov6.Diagnostic) {
	t.Helper()
	schema := s.Schemas.DataSourceSchemas[typeName]
	config := ProtocolObject(t, schema, attributes)
	validated, err := s.ValidateDataResourceConfig(ctx, &tfprotov6.ValidateDataResourceConfigRequest{TypeName: typeName, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if HasError(validated.Diagnostics) {
		return nil, validated.Diagnostics
	}
	read, err := s.ReadDataSource(ctx, &tfprotov6.ReadDataSourceRequest{TypeName: typeName, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	diagnostics := slices.Concat(validated.Diagnostics, read.Diagnostics)
	if read.State == nil {
		return nil, diagnostics
	}
	state, err := read.State.Unmarshal(schema.ValueType())
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]tftypes.Value
	if err := state.As(&values); err != nil {
		t.Fatal(err)
	}
	return values, diagnostics
}

// HasError reports whether one of the diagnostics is an error.
func HasError(diagnostics []*tfprotov6.Diagnostic) bool {
	return slices.ContainsFunc(diagnostics, func(d *tfprotov6.Diagnostic) bool { return d.Severity == tfprotov6.DiagnosticSeverityError })
}

// Reported returns diagnostics on one line, as [CLI.Run] does.
func Reported(diagnostics []*tfprotov6.Diagnostic) string {
	var words []string
	for _, d := range diagnostics {
		severity := "Error:"
		if d.Severity == tfprotov6.DiagnosticSeverityWarning {
			severity = "Warning:"
		}
		words = append(words, strings.Fields(severity+" "+d.Summary+" "+d.Detail)...)
	}
	return strings.Join(words, " ")
}

// UnknownValue is the value of an attribute that is known only after apply.
const UnknownValue = "(known after apply)"

// ProtocolObject returns an object of a schema in the form in which Terraform sends it.
// Attributes that are not in values are null.
func ProtocolObject(t testing.TB, schema *tfprotov6.Schema, values map[string]string) *tfprotov6.DynamicValue {
	t.Helper()
	types, ok := schema.ValueType().(tftypes.Object)
	if !ok {
		t.Fatal("the type of the schema is not an object")
	}
	attributes := map[string]tftypes.Value{}
	for name, attribute := range types.AttributeTypes {
		var value any
		if text, found := values[name]; found {
			value = text
			if text == UnknownValue {
				value = tftypes.UnknownValue
			} else if attribute.Is(tftypes.Number) {
				value, _ = strconv.ParseInt(text, 10, 64)
			}
		}
		attributes[name] = tftypes.NewValue(attribute, value)
	}
	dynamic, err := tfprotov6.NewDynamicValue(types, tftypes.NewValue(types, attributes))
	if err != nil {
		t.Fatal(err)
	}
	return &dynamic
}
