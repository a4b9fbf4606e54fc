package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The import parses the ID that the function returns.
func TestAccDeployKeyImportIDFunction_roundTrip(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.LoneFunctions)
	config, checks := acctest.RequiredProviders, []statecheck.StateCheck{}
	for _, want := range []string{"acme/website/10958984", "Acme-1/web_site.git/1", acctest.WorkspaceUUID + "/" + acctest.WebsiteUUID + "/9223372036854775807"} {
		reference, ok := parseDeployKeyReference(repositoryKind, want)
		if !ok {
			t.Fatalf("the import does not accept the ID %s", want)
		}
		repository, id := reference.parent, reference.id()
		for _, keyID := range []string{fmt.Sprint(id), fmt.Sprintf(`"%d"`, id)} {
			name := fmt.Sprintf("id_%d", len(checks))
			config += strings.Replace(acctest.OutputBlock(acctest.ImportIDCall(acctest.HCL(t, repository.Workspace), acctest.HCL(t, repository.Repository), keyID)), `"test"`, fmt.Sprintf("%q", name), 1)
			checks = append(checks, statecheck.ExpectKnownOutputValue(name, knownvalue.StringExact(want)))
		}
	}
	acctest.Test(t, acctest.Step{Config: config, ConfigStateChecks: checks})
}

func TestAccDeployKeyImportIDFunction_unknown(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.LoneFunctions)
	acctest.Test(t, acctest.Step{
		Config: acctest.RequiredProviders + "\nresource \"terraform_data\" \"number\" {\n  input = 7\n}\n" +
			acctest.OutputBlock(acctest.ImportIDCall(`"acme"`, `"website"`, "terraform_data.number.output")),
		ConfigPlanChecks: []plancheck.PlanCheck{
			plancheck.ExpectUnknownOutputValue("test"),
		},
		ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("test", knownvalue.StringExact("acme/website/7"))},
	})
}

func TestAccDeployKeyImportIDFunction_errors(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Functions)
	const slug, number = "Expected a slug, for example", "Expected the ID of the key, for example 10958984."
	type call struct{ workspace, repository, keyID, parameter, want string }
	calls := []call{
		{`"acme"`, `"website"`, "0", "key_id", number},
		{`"acme"`, `"website"`, "-1", "key_id", number},
		{`"acme"`, `"website"`, "1.5", "key_id", number},
		{`"acme"`, `"website"`, "9223372036854775808", "key_id", number},
		{`"acme"`, `"website"`, `"x"`, "key_id", "a number is required"},
		{`"acme"`, `"website"`, "null", "key_id", "argument must not be null"},
		{`"acme"`, "null", "1", "repository", "argument must not be null"},
		{"null", `"website"`, "1", "workspace", "argument must not be null"},
	}
	for _, text := range []string{"..", "a/b"} {
		calls = append(calls, call{acctest.HCL(t, text), `"website"`, "1", "workspace", slug}, call{`"acme"`, acctest.HCL(t, text), "1", "repository", slug})
	}
	config := acctest.RequiredProviders
	for i, tc := range calls {
		config += fmt.Sprintf("\noutput \"id_%d\" {\n  value = %s\n}\n", i, acctest.ImportIDCall(tc.workspace, tc.repository, tc.keyID))
	}
	terraform := acctest.NewCLI(t)
	terraform.Write(t, config)
	out := terraform.Fails(t, []string{"validate"})
	for i, tc := range calls {
		acctest.Contains(t, out, fmt.Sprintf(`, in output "id_%d":`, i), fmt.Sprintf("Invalid value for %q parameter: %s", tc.parameter, tc.want))
	}
}

func TestDeployKeyImportIDFunction_hostileNames(t *testing.T) {
	t.Parallel()
	server := acctest.NewServer(t)
	for name, text := range hostile {
		for i, names := range [][]string{{text, "website"}, {"acme", text}} {
			arguments := []*tfprotov6.DynamicValue{}
			for _, value := range []tftypes.Value{tftypes.NewValue(tftypes.String, names[0]), tftypes.NewValue(tftypes.String, names[1]), tftypes.NewValue(tftypes.Number, 1)} {
				argument, err := tfprotov6.NewDynamicValue(value.Type(), value)
				if err != nil {
					t.Fatal(err)
				}
				arguments = append(arguments, &argument)
			}
			resp, err := server.CallFunction(t.Context(), &tfprotov6.CallFunctionRequest{Name: "deploy_key_import_id", Arguments: arguments})
			if err != nil {
				t.Fatal(err)
			}
			if e := resp.Error; e == nil || e.FunctionArgument == nil || *e.FunctionArgument != int64(i) || !strings.HasPrefix(e.Text, "Expected a slug, for example") {
				t.Errorf("%s as argument %d: got %+v", name, i, e)
			}
		}
	}
}
