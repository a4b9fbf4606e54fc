package main

import (
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// object is a value of a schema, null but for some attributes.
func object(t *testing.T, schema *tfprotov6.Schema, attributes map[string]any) *tfprotov6.DynamicValue {
	t.Helper()
	typ, ok := schema.ValueType().(tftypes.Object)
	if !ok {
		t.Fatalf("%v is no object", schema.ValueType())
	}
	values := map[string]tftypes.Value{}
	for name, attribute := range typ.AttributeTypes {
		values[name] = tftypes.NewValue(attribute, attributes[name])
	}
	value, err := tfprotov6.NewDynamicValue(typ, tftypes.NewValue(typ, values))
	if err != nil {
		t.Fatal(err)
	}
	return &value
}

func TestReadsOneByOne(t *testing.T) {
	t.Parallel()
	bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", Repositories: []emulator.Repository{{Slug: "website"}}},
	}})
	bitbucket.AllowBasic("me@example.com", "token")
	web := httptest.NewServer(bitbucket)
	t.Cleanup(web.Close)

	s := &server{ProviderServer: provider.NewServer("test")()}
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"base_url": web.URL + "/2.0", "username": "me@example.com", "token": "token"}
	configured, err := s.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: object(t, schemas.Provider, config)})
	if err != nil || len(configured.Diagnostics) > 0 {
		t.Fatalf("%+v, %v", configured, err)
	}
	for _, key := range []string{"ssh-ed25519 AAAA", "ssh-ed25519 AAAB", "ssh-ed25519 AAAC"} {
		id := bitbucket.AddDeployKey("acme", "website", key, "").ID
		state := object(t, schemas.ResourceSchemas[resourceType], map[string]any{"workspace": "acme", "repository": "website", "key_id": id})
		resp, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: resourceType, CurrentState: state})
		if err != nil || resp.NewState != state {
			t.Errorf("%+v, %v", resp, err)
		}
	}
	for _, request := range bitbucket.Requests() {
		if request.Method != "GET" || request.Query != "" || request.Status != 200 {
			t.Errorf("sent %+v", request)
		}
	}
	if got := len(bitbucket.Requests()); got != 3 {
		t.Errorf("sent %d requests for three keys", got)
	}
}
