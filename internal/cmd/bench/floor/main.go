// Command floor is a provider that does nothing. It has the schema of bitbucket_deploy_key, and
// returns each state as it receives it. It uses only terraform-plugin-go, with the default
// settings. The command bench compares the provider with it.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func main() {
	newServer := func() tfprotov6.ProviderServer { return server{} }
	if err := tf6server.Serve("registry.terraform.io/bitbucket-deploy-keys/bitbucket", newServer); err != nil {
		log.Fatal(err)
	}
}

// server has the methods that Terraform calls in a plan without changes. Any other method
// panics.
type server struct{ tfprotov6.ProviderServer }

func (server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	computed := func(name string, valueType tftypes.Type) *tfprotov6.SchemaAttribute {
		return &tfprotov6.SchemaAttribute{Name: name, Type: valueType, Optional: true, Computed: true}
	}
	provider := &tfprotov6.SchemaBlock{}
	for _, name := range []string{"base_url", "token", "username"} {
		provider.Attributes = append(provider.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Optional: true})
	}
	deployKey := &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{computed("key_id", tftypes.Number)}}
	for _, name := range []string{"key", "repository", "workspace"} {
		deployKey.Attributes = append(deployKey.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Required: true})
	}
	for _, name := range []string{"comment", "created_on", "fingerprint_md5", "fingerprint_sha256", "id", "key_type", "label", "repository_uuid"} {
		deployKey.Attributes = append(deployKey.Attributes, computed(name, tftypes.String))
	}
	return &tfprotov6.GetProviderSchemaResponse{
		Provider:        &tfprotov6.Schema{Block: provider},
		ResourceSchemas: map[string]*tfprotov6.Schema{"bitbucket_deploy_key": {Version: 1, Block: deployKey}},
	}, nil
}

func (server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (server) ValidateProviderConfig(_ context.Context, req *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: req.Config}, nil
}

func (server) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (server) UpgradeResourceState(_ context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &tfprotov6.DynamicValue{JSON: req.RawState.JSON}}, nil
}

func (server) ReadResource(_ context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Private: req.Private}, nil
}

func (server) PlanResourceChange(_ context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: req.ProposedNewState, PlannedPrivate: req.PriorPrivate}, nil
}
