package acceptance

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	dataschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	ephemeralschema "github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	framework "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The guide about ephemeral keys does what it promises: the deploy key is the public
// half of the key in the store, only a rotation changes it, and the CLI writes no
// private key to a file.
func TestAccGuide_noPrivateKeyInState(t *testing.T) {
	t.Parallel()
	for _, way := range []keyWay{
		{
			file: "store.tf", needs: terraformcli.Store, rotates: "2 to add, 1 to change, 2 to destroy",
			refuses: "ephemeral.aws_secretsmanager_secret_version",
		},
		{
			file: "parameter.tf", needs: terraformcli.WriteOnly, rotates: "3 to add, 0 to change, 3 to destroy",
			refuses: "aws_ssm_parameter",
			edit:    strings.NewReplacer(`"String"`, "\"String\"\n  tags = { team = \"web\" }"),
		},
	} {
		t.Run(way.file, func(t *testing.T) {
			t.Parallel()
			acctest.Needs(t, way.needs)
			way.test(t)
		})
	}
}

// keyWay is a way of the guide to keep the private key out of the state.
type keyWay struct {
	file    string
	needs   terraformcli.Feature
	rotates string // rotates is what the plan of a rotation prints.
	refuses string // refuses is the block that fails in the test of an interrupted rotation.
	// edit makes a change that must not change the key.
	edit *strings.Replacer
}

func (w keyWay) test(t *testing.T) {
	t.Helper()
	guide := examples + "/guides/no-private-key-in-state/" + w.file
	f, store := exampleFake(t), &keyStore{versions: map[string]string{}, parameters: map[string]string{}}
	others := providerserver.NewProtocol6(storeProvider{store: store})
	terraform := acctest.NewCLI(t, acctest.AttachedAs(t, map[string]func() tfprotov6.ProviderServer{
		"bitbucket-deploy-keys/bitbucket": provider.NewServer("test"), "hashicorp/tls": others, "hashicorp/aws": others,
	}))
	terraform.WriteFile(t, "provider.tf", strings.TrimPrefix(f.Config(""), acctest.RequiredProviders))
	expectConverged := func() {
		t.Helper()
		stored, made := store.keys()
		private, err := ssh.ParsePrivateKey([]byte(stored))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := f.OnlyKey(t).Key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(private.PublicKey()))); got != want {
			t.Errorf("the deploy key is %s, the private key in the store belongs to %s", got, want)
		}
		terraform.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
		if _, after := store.keys(); len(after) == len(made) {
			t.Error("the plan generated no new key pair")
		}
	}

	config := acctest.ReadFile(t, guide)
	terraform.Write(t, config)
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ExpectWrites(t, "POST acme/website/deploy-keys 200")()
	expectConverged()

	if w.edit != nil {
		config = w.edit.Replace(config)
		terraform.Write(t, config)
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "0 added, 1 changed, 0 destroyed")
		f.ExpectWrites(t)()
	}

	// A new version number rotates the key once. If the run fails after the private
	// key was stored, the next run continues with that key.
	terraform.Write(t, strings.Replace(config, "secret_string_wo_version = 1", "secret_string_wo_version = 2", 1))
	acctest.Contains(t, terraform.MustRun(t, "plan", "-out=saved.tfplan"), "bitbucket_deploy_key.ci must be replaced", w.rotates)
	store.refuses.Store(&w.refuses)
	terraform.Fails(t, []string{"apply", "saved.tfplan"}, "no access")
	f.ExpectWrites(t)()
	store.refuses.Store(nil)
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ExpectWrites(t, "POST acme/website/deploy-keys 200", "DELETE "+acctest.FirstKey+" 204")()
	expectConverged()

	// A replacement of the secret rotates the key too.
	terraform.MustRun(t, "apply", "-auto-approve", "-replace=aws_secretsmanager_secret_version.ci")
	f.ExpectWrites(t, "POST acme/website/deploy-keys 200", "DELETE "+acctest.SecondKey+" 204")()
	expectConverged()

	written := writtenBy(t, terraform)
	expectFiles(t, written, "terraform.tfstate", "terraform.tfstate.backup", "saved.tfplan/tfplan")
	stored, made := store.keys()
	written["show"] = terraform.MustRun(t, "show", "-json", "saved.tfplan")
	for file, text := range written {
		if part := partOfSecret(text, made); part != "" {
			t.Errorf("%s contains %q of a private key", file, part)
		}
	}
	if partOfSecret(stored, made) == "" {
		t.Error("partOfSecret does not find the stored private key")
	}
	acctest.Contains(t, written["terraform.tfstate"], strings.Fields(f.OnlyKey(t).Key)[1])

	terraform.MustRun(t, "destroy", "-auto-approve")
	if keys := f.DeployKeys("acme", "website"); len(keys) > 0 {
		t.Errorf("Bitbucket still has %v", keys)
	}
}

// keyStore is used instead of the services of AWS. It records every private key that was
// generated.
type keyStore struct {
	sync.Mutex
	made       []string          // made contains the secret bytes of all generated private keys.
	versions   map[string]string // versions maps version IDs to the stored private keys.
	current    string
	parameters map[string]string
	refuses    atomic.Pointer[string] // refuses is the block that the store refuses.
}

// keys returns the stored private key, and all private keys that were generated.
func (s *keyStore) keys() (stored string, made []string) {
	s.Lock()
	defer s.Unlock()
	return s.versions[s.current], slices.Clone(s.made)
}

// answer returns the computed attributes of a block.
func (s *keyStore) answer(block string, given map[string]string) (map[string]string, error) {
	s.Lock()
	defer s.Unlock()
	if refused := s.refuses.Load(); refused != nil && *refused == block {
		return nil, fmt.Errorf("no access to %s", block)
	}
	switch block {
	case "ephemeral.tls_private_key":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		encoded, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return nil, err
		}
		s.made = append(s.made, string(private.Seed()))
		return map[string]string{"private_key_openssh": string(pem.EncodeToMemory(encoded))}, nil
	case "ephemeral.tls_public_key":
		private, err := ssh.ParsePrivateKey([]byte(given["private_key_openssh"]))
		if err != nil {
			return nil, err
		}
		return map[string]string{"public_key_openssh": string(ssh.MarshalAuthorizedKey(private.PublicKey()))}, nil
	case "aws_secretsmanager_secret":
		return map[string]string{"id": "arn:" + given["name"]}, nil
	case "aws_secretsmanager_secret_version":
		s.current = fmt.Sprintf("terraform-%d", len(s.versions)+1)
		s.versions[s.current] = given["secret_string_wo"]
		return map[string]string{"version_id": s.current}, nil
	case "ephemeral.aws_secretsmanager_secret_version":
		return map[string]string{"secret_string": s.versions[given["version_id"]]}, nil
	case "aws_ssm_parameter":
		s.parameters[given["name"]] = given["value_wo"]
		return map[string]string{"id": given["name"]}, nil
	case "data.aws_ssm_parameter":
		value, found := s.parameters[given["name"]]
		if !found {
			return nil, fmt.Errorf("no parameter %s", given["name"])
		}
		return map[string]string{"insecure_value": value}, nil
	}
	return nil, fmt.Errorf("unknown block %s", block)
}

// fill reads the string attributes of a block and sets its computed attributes.
func (s *keyStore) fill(block string, config tftypes.Value, set func(path.Path, any) diag.Diagnostics) diag.Diagnostics {
	var diags diag.Diagnostics
	attributes, given := map[string]tftypes.Value{}, map[string]string{}
	if err := config.As(&attributes); err != nil {
		diags.AddError("Unreadable", err.Error())
		return diags
	}
	for name, value := range attributes {
		var text string
		if value.As(&text) == nil {
			given[name] = text
		}
	}
	computed, err := s.answer(block, given)
	if err != nil {
		diags.AddError("Refused", err.Error())
	}
	for name, value := range computed {
		diags.Append(set(path.Root(name), value)...)
	}
	return diags
}

// storeProvider is used instead of the tls and the aws providers. It has only the blocks
// and attributes that the guide uses.
type storeProvider struct {
	framework.Provider
	store *keyStore
}

func (storeProvider) Metadata(context.Context, framework.MetadataRequest, *framework.MetadataResponse) {
}
func (storeProvider) Schema(context.Context, framework.SchemaRequest, *framework.SchemaResponse) {}
func (storeProvider) Configure(context.Context, framework.ConfigureRequest, *framework.ConfigureResponse) {
}

func (p storeProvider) Resources(context.Context) []func() resource.Resource {
	replaces := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	computed := schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
	var all []func() resource.Resource
	for name, attributes := range map[string]map[string]schema.Attribute{
		"aws_secretsmanager_secret": {"id": computed, "name": schema.StringAttribute{Required: true, PlanModifiers: replaces}},
		"aws_secretsmanager_secret_version": {
			"version_id":               computed,
			"secret_id":                schema.StringAttribute{Required: true, PlanModifiers: replaces},
			"secret_string_wo":         schema.StringAttribute{Optional: true, WriteOnly: true, Sensitive: true},
			"secret_string_wo_version": schema.Int64Attribute{Optional: true, PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()}},
		},
		"aws_ssm_parameter": {
			"id":               computed,
			"name":             schema.StringAttribute{Required: true, PlanModifiers: replaces},
			"type":             schema.StringAttribute{Required: true},
			"value_wo":         schema.StringAttribute{Optional: true, WriteOnly: true, Sensitive: true},
			"value_wo_version": schema.Int64Attribute{Optional: true},
			"tags":             schema.MapAttribute{Optional: true, ElementType: types.StringType},
		},
	} {
		all = append(all, func() resource.Resource { return storeResource{p.store, name, attributes} })
	}
	return all
}

func (p storeProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource { return storeDataSource{p.store} }}
}

func (p storeProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	required, computed := ephemeralschema.StringAttribute{Required: true}, ephemeralschema.StringAttribute{Computed: true, Sensitive: true}
	var all []func() ephemeral.EphemeralResource
	for name, attributes := range map[string]map[string]ephemeralschema.Attribute{
		"tls_private_key":                   {"algorithm": required, "private_key_openssh": computed},
		"tls_public_key":                    {"private_key_openssh": required, "public_key_openssh": computed},
		"aws_secretsmanager_secret_version": {"secret_id": required, "version_id": required, "secret_string": computed},
	} {
		all = append(all, func() ephemeral.EphemeralResource { return storeEphemeral{p.store, name, attributes} })
	}
	return all
}

type storeResource struct {
	store      *keyStore
	name       string
	attributes map[string]schema.Attribute
}

func (r storeResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.name
}

func (r storeResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema.Attributes = r.attributes
}

func (r storeResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.State.Raw = req.Plan.Raw
	resp.Diagnostics = r.store.fill(r.name, req.Config.Raw, func(at path.Path, value any) diag.Diagnostics {
		return resp.State.SetAttribute(ctx, at, value)
	})
	if resp.Diagnostics.HasError() {
		resp.State.RemoveResource(ctx)
	}
}
func (storeResource) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}
func (storeResource) Update(_ context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.Plan.Raw
}
func (storeResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

type storeDataSource struct{ store *keyStore }

func (storeDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "aws_ssm_parameter"
}

func (storeDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema.Attributes = map[string]dataschema.Attribute{
		"name":           dataschema.StringAttribute{Required: true},
		"insecure_value": dataschema.StringAttribute{Computed: true},
	}
}

func (d storeDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	resp.State.Raw = req.Config.Raw
	resp.Diagnostics = d.store.fill("data.aws_ssm_parameter", req.Config.Raw, func(at path.Path, value any) diag.Diagnostics {
		return resp.State.SetAttribute(ctx, at, value)
	})
}

type storeEphemeral struct {
	store      *keyStore
	name       string
	attributes map[string]ephemeralschema.Attribute
}

func (e storeEphemeral) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = e.name
}

func (e storeEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema.Attributes = e.attributes
}

func (e storeEphemeral) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	resp.Diagnostics = e.store.fill("ephemeral."+e.name, req.Config.Raw, func(at path.Path, value any) diag.Diagnostics {
		return resp.Result.SetAttribute(ctx, at, value)
	})
}
