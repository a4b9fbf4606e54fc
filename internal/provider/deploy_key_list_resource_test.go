package provider

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// keyList is the list resource over the protocol, which no CLI before Terraform
// 1.14 speaks.
type keyList struct {
	frameworkServer
	schemas *tfprotov6.GetProviderSchemaResponse
}

func newKeyList(t *testing.T, f *fake) keyList {
	t.Helper()
	server, ok := NewServer("test")().(frameworkServer)
	if !ok {
		t.Fatal("the server cannot list")
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	configured, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: protocolObject(t, schemas.Provider, map[string]string{
		"base_url": f.url + "/2.0", "username": "ci@example.com", "token": "api-token", "max_retries": "0",
	})})
	if err != nil || len(configured.Diagnostics) > 0 {
		t.Fatal(err, configured)
	}
	return keyList{server, schemas}
}

// results begins a list of the keys in acme, unless the attributes say otherwise.
func (l keyList) results(t *testing.T, limit int64, include bool, attributes map[string]string) iter.Seq[tfprotov6.ListResourceResult] {
	t.Helper()
	config := map[string]string{"workspace": "acme"}
	for name, value := range attributes {
		config[name] = value
	}
	stream, err := l.ListResource(t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: "bitbucket_deploy_key", Config: protocolObject(t, l.schemas.ListResourceSchemas["bitbucket_deploy_key"], config),
		IncludeResource: include, Limit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Results
}

// shown are results as lines: their names, and their diagnostics.
func shown(results iter.Seq[tfprotov6.ListResourceResult]) []string {
	var lines []string
	for result := range results {
		if result.DisplayName != "" {
			lines = append(lines, regexp.MustCompile(` \(SHA256:[A-Za-z0-9+/]{43}\)$`).ReplaceAllString(result.DisplayName, ""))
		}
		for _, d := range result.Diagnostics {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", d.Severity, d.Summary, strings.ReplaceAll(d.Detail, "\n", " ")))
		}
	}
	return lines
}

// newAudited has keys in several repositories of acme, of two projects.
func newAudited(t *testing.T) *fake {
	t.Helper()
	f := startFake(t, []emulator.Repository{
		{Slug: "website", UUID: websiteUUID, Project: "WEB"}, {Slug: "secret", Project: "WEB"}, {Slug: "api"}, {Slug: "empty"},
	})
	shared := newKey(t)
	f.AddDeployKey("acme", "website", shared+" ci@example.com", "CI")
	f.AddDeployKey("acme", "website", newKey(t), "deploy (blue)")
	f.AddDeployKey("acme", "secret", newKey(t), "hidden")
	f.AddDeployKey("acme", "api", shared, "")
	f.AddDeployKey("acme", "api", newKey(t)+" laptop", "")
	f.SetPermission("acme", "secret", emulator.PermissionRead)
	return f
}

const hiddenSecret = "WARNING: Deploy keys of some repositories are not included: Bitbucket lists these repositories (1), but answered 403 or 404 when it was asked for " +
	"their deploy keys: acme/secret. The account must be an administrator of a repository to see its deploy keys."

func TestDeployKeyList(t *testing.T) {
	t.Parallel()
	f := newAudited(t)
	l := newKeyList(t, f)
	fingerprint := regexp.MustCompile(`SHA256:\S{43}`).FindString(first(l.results(t, 0, false, nil)).DisplayName)
	for name, tc := range map[string]struct {
		attributes map[string]string
		limit      int64
		want       []string
	}{
		"workspace":     {nil, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", "acme/api: deploy key 10958987", "acme/api: laptop", hiddenSecret}},
		"uuid":          {map[string]string{"workspace": workspaceUUID, "project": "PROJ"}, 0, []string{workspaceUUID + "/api: deploy key 10958987", workspaceUUID + "/api: laptop"}},
		"project":       {map[string]string{"project": "WEB"}, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret}},
		"no project":    {map[string]string{"project": "NONE"}, 0, nil},
		"repository":    {map[string]string{"repository": "api"}, 0, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
		"label":         {map[string]string{"label_pattern": `^CI$|\(b`}, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret}},
		"no label":      {map[string]string{"repository": "api", "label_pattern": "."}, 0, nil},
		"fingerprint":   {map[string]string{"fingerprint_sha256": fingerprint}, 0, []string{"acme/website: CI", "acme/api: deploy key 10958987", hiddenSecret}},
		"limit":         {nil, 2, []string{"acme/website: CI", "acme/website: deploy (blue)"}},
		"limit, hidden": {nil, 3, []string{"acme/website: CI", "acme/website: deploy (blue)", "acme/api: deploy key 10958987", hiddenSecret}},
		"exact limit":   {map[string]string{"repository": "api"}, 2, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
		"high limit":    {map[string]string{"repository": "api"}, 3, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
	} {
		if got := shown(l.results(t, tc.limit, false, tc.attributes)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if writes := f.writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
}

// first takes one result and no more.
func first(results iter.Seq[tfprotov6.ListResourceResult]) tfprotov6.ListResourceResult {
	for result := range results {
		return result
	}
	return tfprotov6.ListResourceResult{}
}

// A result identifies the key, and holds what an import of it would.
func TestDeployKeyList_result(t *testing.T) {
	t.Parallel()
	f := newAudited(t)
	l := newKeyList(t, f)
	result := first(l.results(t, 1, true, nil))
	identity, err := result.Identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"workspace": tftypes.String, "repository": tftypes.String, "key_id": tftypes.Number,
	}})
	if err != nil || identity.String() != `tftypes.Object["key_id":tftypes.Number, "repository":tftypes.String, "workspace":tftypes.String]<`+
		`"key_id":tftypes.Number<"10958984">, "repository":tftypes.String<"website">, "workspace":tftypes.String<"acme">>` {
		t.Errorf("got the identity %s, %v", identity, err)
	}
	resource, err := result.Resource.Unmarshal(l.schemas.ResourceSchemas["bitbucket_deploy_key"].ValueType())
	if err != nil {
		t.Fatal(err)
	}
	var attributes map[string]tftypes.Value
	if err := resource.As(&attributes); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"id": "acme/website/10958984", "workspace": "acme", "repository": "website", "label": "CI", "comment": "ci@example.com",
		"key": f.DeployKeys("acme", "website")[0].Key + " ci@example.com", "repository_uuid": websiteUUID, "key_type": "ssh-ed25519",
	} {
		var got string
		if err := attributes[name].As(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	for name, attribute := range attributes {
		if attribute.IsNull() {
			t.Errorf("%s is null", name)
		}
	}
	if result := first(l.results(t, 1, false, nil)); result.Resource != nil {
		t.Errorf("nobody asked for %v", result.Resource)
	}
}

// A label is somebody's text, and a key may be none.
func TestDeployKeyList_displayName(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.AddDeployKey("acme", "website", newKey(t), "\x1b[2J\u202ea\nb")
	f.AddDeployKey("acme", "website", "rubbish", "no key")
	want := []string{"acme/website:  [2J a b", "acme/website: no key (no SSH key)"}
	if got := shown(newKeyList(t, f).results(t, 0, true, nil)); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Nothing is asked for that nobody wants to see, and what is found comes at once.
func TestDeployKeyList_streams(t *testing.T) {
	t.Parallel()
	var repositories []emulator.Repository
	for i := range 250 {
		repositories = append(repositories, emulator.Repository{Slug: fmt.Sprintf("repository-%d", i), DeployKeys: []emulator.DeployKey{{Key: newKey(t)}, {Key: newKey(t)}}})
	}
	// What was under way when a list ended may arrive later, so each has its own.
	for _, tc := range []struct{ limit, take, want, requests int }{
		{5, 1000, 5, 1 + 3 + 10},
		{1000, 41, 41, 1 + 21 + 10},
		{1000, 1000, 500, 3 + 250},
	} {
		f := startFake(t, repositories)
		got := 0
		for range newKeyList(t, f).results(t, int64(tc.limit), false, nil) {
			if got++; got == tc.take {
				break
			}
		}
		if most := f.MaxInFlight(); got != tc.want || most > 10 {
			t.Errorf("limit %d: %d results, %d requests at once", tc.limit, got, most)
		}
		if sent := len(f.sent()); sent > tc.requests || tc.want == 500 && sent != tc.requests {
			t.Errorf("limit %d, %d taken: %d requests, want %d", tc.limit, tc.take, sent, tc.requests)
		}
	}
}

// A request that fails is an error, and nothing comes after it.
func TestDeployKeyList_errors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault      emulator.Fault
		attributes map[string]string
		want       []string
	}{
		"repositories": {emulator.Fault{Status: 500}, nil, []string{"ERROR: Unable to list repositories: Bitbucket was asked to list the repositories of acme."}},
		"keys":         {emulator.Fault{Status: 500, Path: "/website/deploy-keys"}, nil, []string{"ERROR: Unable to list deploy keys: Bitbucket was asked to list the deploy keys of acme/website."}},
		"later keys":   {emulator.Fault{Status: 500, Path: "/api/deploy-keys"}, nil, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret, "ERROR: Unable to list deploy keys: "}},
		"workspace":    {emulator.Fault{}, map[string]string{"workspace": "nobody"}, []string{"ERROR: Unable to list repositories: Bitbucket was asked to list the repositories of nobody."}},
		"scope":        {emulator.MissingScope([]string{"read:repository:bitbucket"}, nil), nil, []string{"ERROR: Unable to list repositories: "}},
		"hidden":       {emulator.Fault{}, map[string]string{"repository": "secret"}, []string{"ERROR: Unable to list deploy keys: Bitbucket was asked to list the deploy keys of acme/secret."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newAudited(t)
			l := newKeyList(t, f)
			if tc.fault.Status != 0 {
				f.Inject(tc.fault)
			}
			got := shown(l.results(t, 0, false, tc.attributes))
			if len(got) != len(tc.want) {
				t.Fatalf("got %q", got)
			}
			for i, want := range tc.want {
				if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
					t.Errorf("there is no %q in %q, result %d", want, got, i)
				}
			}
		})
	}
}

// What cannot be searched for is refused before any request.
func TestDeployKeyList_validation(t *testing.T) {
	t.Parallel()
	f := newAudited(t)
	l := newKeyList(t, f)
	for want, attributes := range map[string]map[string]string{
		"Expected the key of a project": {"project": "web"},
		"Invalid label_pattern":         {"label_pattern": "("},
		"must be a fingerprint":         {"fingerprint_sha256": "aa:bb"},
		"Invalid repository":            {"repository": "../website"},
		"Invalid workspace":             {"workspace": ""},
		"Invalid Attribute Combination": {"repository": "website", "project": "WEB"},
	} {
		config := map[string]string{"workspace": "acme"}
		for name, value := range attributes {
			config[name] = value
		}
		answer, err := l.ValidateListResourceConfig(t.Context(), &tfprotov6.ValidateListResourceConfigRequest{
			TypeName: "bitbucket_deploy_key", Config: protocolObject(t, l.schemas.ListResourceSchemas["bitbucket_deploy_key"], config),
		})
		if err != nil || len(answer.Diagnostics) != 1 || !strings.Contains(answer.Diagnostics[0].Summary+answer.Diagnostics[0].Detail, want) {
			t.Errorf("want %q, got %v, %v", want, answer, err)
		}
	}
	if sent := f.sent(); len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
}

// From nothing to an empty plan: what query writes can be applied as it is.
func TestAccDeployKeyList_generate(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Query)
	f, terraform := newAudited(t), newCLI(t)
	terraform.write(t, f.config(""))
	terraform.writeFile(t, "all.tfquery.hcl", `
list "bitbucket_deploy_key" "all" {
  provider = bitbucket
  limit    = 1000
  config {
    workspace = "acme"
  }
}
`)
	out := terraform.must(t, "query", "-generate-config-out=generated.tf")
	contains(t, out, "list.bitbucket_deploy_key.all", "acme/website: CI (SHA256:", "acme/api: laptop (SHA256:", "Warning: Deploy keys of some repositories are not included", "acme/secret")
	if strings.Contains(out, "Incomplete List Result") {
		t.Error(out)
	}
	if sent := f.sent(); len(sent) != 1+4 {
		t.Errorf("sent %v", sent)
	}
	contains(t, terraform.must(t, "apply", "-auto-approve"), "4 imported, 0 added, 0 changed, 0 destroyed")
	terraform.must(t, "plan", "-detailed-exitcode")
	if writes := f.writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	if keys := terraform.state(t); len(keys) != 4 {
		t.Errorf("imported %+v\n%s", keys, read(t, filepath.Join(terraform.dir, "generated.tf")))
	}
}

// An error fails the query, and leaves no configuration of a part behind.
func TestAccDeployKeyList_queryFails(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Query)
	f, terraform := newAudited(t), newCLI(t)
	terraform.write(t, f.config("", "max_retries = 0"))
	terraform.writeFile(t, "all.tfquery.hcl", "list \"bitbucket_deploy_key\" \"all\" {\n  provider = bitbucket\n  config {\n    workspace = \"acme\"\n    label_pattern = \"(\"\n  }\n}\n")
	terraform.fails(t, []string{"query"}, "Invalid label_pattern", "missing closing )")
	terraform.writeFile(t, "all.tfquery.hcl", "list \"bitbucket_deploy_key\" \"all\" {\n  provider = bitbucket\n  config {\n    workspace = \"acme\"\n  }\n}\n")
	f.Inject(emulator.Fault{Status: 500, Path: "/api/deploy-keys"})
	terraform.fails(t, []string{"query", "-generate-config-out=generated.tf"}, "Unable to list deploy keys", "acme/api")
	if _, err := os.Stat(filepath.Join(terraform.dir, "generated.tf")); err == nil {
		t.Error("it wrote a configuration")
	}
}
