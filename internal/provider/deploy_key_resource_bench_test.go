package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// manyDeployKeys returns keys as Bitbucket returns them.
func manyDeployKeys(n int) []bitbucket.DeployKey {
	keys := make([]bitbucket.DeployKey, n)
	for i := range keys {
		point := sha256.Sum256([]byte(strconv.Itoa(i)))
		blob := ssh.Marshal(struct {
			Type string
			Key  []byte
		}{ssh.KeyAlgoED25519, point[:]})
		keys[i] = bitbucket.DeployKey{
			ID: int64(10958984 + i), Key: ssh.KeyAlgoED25519 + " " + base64.StdEncoding.EncodeToString(blob),
			Comment: "ci@example.com", Label: "Deployment", CreatedOn: "2026-09-30T13:07:33.924449+00:00",
		}
		keys[i].Repository.UUID = acctest.WebsiteUUID
	}
	return keys
}

// BenchmarkModels measures a plan of 1,000 keys without changes: each model is read from
// Bitbucket's reply and planned.
func BenchmarkModels(b *testing.B) {
	keys, repository := manyDeployKeys(1000), bitbucket.Parent{Workspace: "acme", Repository: "website"}
	b.ReportAllocs()
	for b.Loop() {
		for i := range keys {
			var state deployKeyModel
			var diags diag.Diagnostics
			state.flatten(repository, &keys[i])
			config, plan := state, state
			plan.planComment(&config)
			if plan.planUpdate(repositoryKind, &config, &state, &diags); len(diags) > 0 {
				b.Fatal(diags)
			}
		}
	}
}

// BenchmarkState measures writing the same models to a state and reading them again.
func BenchmarkState(b *testing.B) {
	var schema resource.SchemaResponse
	newDeployKeyResource().Schema(b.Context(), resource.SchemaRequest{}, &schema)
	keys, repository := manyDeployKeys(1000), bitbucket.Parent{Workspace: "acme", Repository: "website"}
	models := make([]deployKeyModel, len(keys))
	for i := range keys {
		models[i].flatten(repository, &keys[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range models {
			state := tfsdk.State{Schema: schema.Schema, Raw: tftypes.NewValue(schema.Schema.Type().TerraformType(b.Context()), nil)}
			diags := repositoryKind.set(b.Context(), &state, &models[i])
			var read deployKeyModel
			diags.Append(repositoryKind.get(b.Context(), state, &read)...)
			if len(diags) > 0 {
				b.Fatal(diags)
			}
		}
	}
}
