package provider

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// What Terraform asks of the provider for one key of a plan, over the protocol
// but without a process between: validate, upgrade, read, plan.
func BenchmarkPlan(b *testing.B) {
	keys := manyDeployKeys(1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"values": [{"id": %d, "key": %q, "label": "Deployment", "comment": "ci@example.com", "repository": {"uuid": %q}}]}`, keys[0].ID, keys[0].Key, websiteUUID)
	}))
	defer api.Close()
	server := NewServer("bench")()
	schemas, err := server.GetProviderSchema(b.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		b.Fatal(err)
	}
	object := func(schema *tfprotov6.Schema, values map[string]string) *tfprotov6.DynamicValue {
		return protocolObject(b, schema, values)
	}
	configured, err := server.ConfigureProvider(b.Context(), &tfprotov6.ConfigureProviderRequest{
		Config: object(schemas.Provider, map[string]string{"base_url": api.URL, "token": "t"}),
	})
	if err != nil || len(configured.Diagnostics) > 0 {
		b.Fatal(err, configured)
	}

	schema := schemas.ResourceSchemas["bitbucket_deploy_key"]
	config := map[string]string{"workspace": "acme", "repository": "website", "key": keys[0].Key + " ci@example.com\n", "label": "Deployment"}
	var model deployKeyModel
	model.flatten(bitbucket.Place{Workspace: "acme", Repository: "website"}, &keys[0])
	state := map[string]string{
		"id": model.ID.ValueString(), "key_id": strconv.FormatInt(keys[0].ID, 10), "comment": "ci@example.com", "key_type": model.KeyType.ValueString(),
		"fingerprint_sha256": model.FingerprintSHA256.ValueString(), "fingerprint_md5": model.FingerprintMD5.ValueString(), "repository_uuid": websiteUUID,
	}
	for name, value := range config {
		state[name] = value
	}
	configValue, stateValue := object(schema, config), object(schema, state)
	const name = "bitbucket_deploy_key"
	b.ReportAllocs()
	for b.Loop() {
		validated, err := server.ValidateResourceConfig(b.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: name, Config: configValue})
		if err != nil || len(validated.Diagnostics) > 0 {
			b.Fatal(err, validated)
		}
		read, err := server.ReadResource(b.Context(), &tfprotov6.ReadResourceRequest{TypeName: name, CurrentState: stateValue})
		if err != nil || len(read.Diagnostics) > 0 {
			b.Fatal(err, read)
		}
		planned, err := server.PlanResourceChange(b.Context(), &tfprotov6.PlanResourceChangeRequest{
			TypeName: name, Config: configValue, PriorState: read.NewState, ProposedNewState: read.NewState,
		})
		if err != nil || len(planned.Diagnostics) > 0 {
			b.Fatal(err, planned)
		}
	}
}
