package acceptance

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// readData reads a data source without a CLI. It returns the attributes, and the diagnostics in
// the form in which [acctest.CLI.Run] returns what a command prints. It reports whether there is
// no error.
func readData(ctx context.Context, t *testing.T, server acctest.Server, name string, values map[string]string) (attributes map[string]tftypes.Value, out string, ok bool) {
	t.Helper()
	schema := server.Schemas.DataSourceSchemas[name]
	resp, err := server.ReadDataSource(ctx, &tfprotov6.ReadDataSourceRequest{TypeName: name, Config: acctest.ProtocolObject(t, schema, values)})
	if err != nil {
		t.Fatal(err)
	}
	if out, ok = printed(resp.Diagnostics); !ok {
		return nil, out, false
	}
	state, err := resp.State.Unmarshal(schema.ValueType())
	if err == nil {
		err = state.As(&attributes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return attributes, out, true
}

// printed returns diagnostics on one line, and reports whether none of them is an error.
func printed(diagnostics []*tfprotov6.Diagnostic) (out string, ok bool) {
	ok = true
	for _, d := range diagnostics {
		ok = ok && d.Severity != tfprotov6.DiagnosticSeverityError
		out += diagnosed(strings.ToLower(d.Severity.String()), d.Summary, d.Detail) + " "
	}
	return out, ok
}

// text returns a string that is known and not null.
func text(t *testing.T, value tftypes.Value) string {
	t.Helper()
	var s string
	if err := value.As(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
