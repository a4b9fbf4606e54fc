// Command unshared is this provider with one GET for each key that is read, as
// Bitbucket providers commonly do it. It is what the benchmarks compare with
// and is never released: the provider itself has no such switch.
//
// Everything but reading is the provider's own, the client and its connections
// too. Reading answers with the state it was given, since nothing changes
// behind a benchmark's back, and so does a little less than the provider does.
package main

import (
	"context"
	"errors"
	"log"
	"math/big"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

const (
	address      = "registry.terraform.io/bitbucket-deploy-keys/bitbucket"
	resourceType = "bitbucket_deploy_key"
)

func main() {
	// The provider's own command does the same.
	for _, logger := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", "TF_LOG_PROVIDER_BITBUCKET"} {
		if err := os.Setenv(logger, "OFF"); err != nil {
			log.Fatal(err)
		}
	}
	debug.SetGCPercent(1000)
	debug.SetMemoryLimit(110 << 20)

	serve := func() tfprotov6.ProviderServer { return &server{ProviderServer: provider.NewServer("bench")()} }
	if err := tf6server.Serve(address, serve); err != nil {
		log.Fatal(err)
	}
}

// server is the provider's own, but for reads.
type server struct {
	tfprotov6.ProviderServer
	client *bitbucket.Client
	state  tftypes.Type
}

// ConfigureProvider makes a client of the attributes that the benchmarks set.
func (s *server) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	resp, err := s.ProviderServer.ConfigureProvider(ctx, req)
	if err != nil {
		return nil, err
	}
	schemas, err := s.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return nil, err
	}
	s.state = schemas.ResourceSchemas[resourceType].ValueType()
	var baseURL, username, token string
	err = read(req.Config, schemas.Provider.ValueType(), map[string]any{"base_url": &baseURL, "username": &username, "token": &token})
	if err != nil {
		return nil, err
	}
	s.client, err = bitbucket.NewClient(bitbucket.Options{
		BaseURL:        baseURL,
		Credentials:    bitbucket.Basic{Username: username, Token: token},
		MaxRetries:     4,
		RequestTimeout: 30 * time.Second,
		UserAgent:      "terraform-provider-bitbucket/bench",
	})
	return resp, err
}

// ReadResource asks for the key with a request of its own.
func (s *server) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	if req.TypeName != resourceType {
		return nil, errors.New("the benchmarks have no " + req.TypeName)
	}
	var workspace, repository string
	var id int64
	err := read(req.CurrentState, s.state, map[string]any{"workspace": &workspace, "repository": &repository, "key_id": number{&id}})
	if err != nil {
		return nil, err
	}
	if _, err := s.client.FindDeployKey(ctx, bitbucket.Place{Workspace: workspace, Repository: repository}, id); err != nil {
		return nil, err
	}
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Private: req.Private, NewIdentity: req.CurrentIdentity}, nil
}

// read takes attributes out of an object, each into what is given for it.
func read(from *tfprotov6.DynamicValue, typ tftypes.Type, attributes map[string]any) error {
	value, err := from.Unmarshal(typ)
	if err != nil {
		return err
	}
	var object map[string]tftypes.Value
	if err := value.As(&object); err != nil {
		return err
	}
	for name, into := range attributes {
		if err := object[name].As(into); err != nil {
			return err
		}
	}
	return nil
}

// number lets an int64 be read.
type number struct{ into *int64 }

// FromTerraform5Value implements [tftypes.ValueConverter].
func (n number) FromTerraform5Value(value tftypes.Value) error {
	var float big.Float
	if err := value.As(&float); err != nil {
		return err
	}
	*n.into, _ = float.Int64()
	return nil
}
