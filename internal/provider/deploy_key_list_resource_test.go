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
	at      testPlace
	schemas *tfprotov6.GetProviderSchemaResponse
}

func newKeyList(t *testing.T, f *fake, at testPlace) keyList {
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
	return keyList{server, at, schemas}
}

// results begins a list of the keys in acme, unless the attributes say otherwise.
func (l keyList) results(t *testing.T, limit int64, include bool, attributes map[string]string) iter.Seq[tfprotov6.ListResourceResult] {
	t.Helper()
	stream, err := l.ListResource(t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: l.at.typeName(), Config: l.config(t, attributes), IncludeResource: include, Limit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Results
}

// config is the block of such a list, where "repository" names a place of either
// kind.
func (l keyList) config(t *testing.T, attributes map[string]string) *tfprotov6.DynamicValue {
	t.Helper()
	config := map[string]string{"workspace": "acme"}
	for name, value := range attributes {
		if name == "repository" {
			name, value = string(l.at.placeKind), l.at.said(value)
		}
		config[name] = value
	}
	return protocolObject(t, l.schemas.ListResourceSchemas[l.at.typeName()], config)
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

// newAudited has keys in several repositories of acme, of two projects, or in
// several projects.
func newAudited(t *testing.T, at testPlace) *fake {
	t.Helper()
	f := startFakeOf(t, []emulator.Repository{
		{Slug: "website", UUID: websiteUUID, Project: "WEB"}, {Slug: "secret", Project: "WEB"}, {Slug: "api"}, {Slug: "empty"},
	}, nil)
	if at.placeKind == onProject {
		f = startFakeOf(t, nil, []emulator.Project{{Key: "WEB", UUID: webUUID}, {Key: "SECRET"}, {Key: "API"}, {Key: "EMPTY"}})
	}
	shared := newKey(t)
	f.add(at, shared+" ci@example.com", "CI")
	f.add(at, newKey(t), "deploy (blue)")
	f.add(at.named(at.said("secret")), newKey(t), "hidden")
	f.add(at.named(at.other), shared, "")
	f.add(at.named(at.other), newKey(t)+" laptop", "")
	if at.placeKind == onProject {
		f.SetProjectPermission("acme", "SECRET", emulator.PermissionRead)
	} else {
		f.SetPermission("acme", "secret", emulator.PermissionRead)
	}
	return f
}

const hiddenSecret = "WARNING: Deploy keys of some repositories are not included: Bitbucket lists these repositories (1), but answered 403 or 404 when it was asked for " +
	"their deploy keys: acme/secret. The account must be an administrator of a repository to see its deploy keys."

func TestDeployKeyList(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newAudited(t, at)
		l := newKeyList(t, f, at)
		fingerprint := regexp.MustCompile(`SHA256:\S{43}`).FindString(first(l.results(t, 0, false, nil)).DisplayName)
		for name, tc := range map[string]struct {
			attributes map[string]string
			limit      int64
			want       []string
		}{
			"workspace":     {nil, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", "acme/api: deploy key 10958987", "acme/api: laptop", hiddenSecret}},
			"uuid":          {map[string]string{"workspace": workspaceUUID, "repository": "api"}, 0, []string{workspaceUUID + "/api: deploy key 10958987", workspaceUUID + "/api: laptop"}},
			"uuid, project": {map[string]string{"workspace": workspaceUUID, "project": "PROJ"}, 0, []string{workspaceUUID + "/api: deploy key 10958987", workspaceUUID + "/api: laptop"}},
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
			if at.placeKind == onProject && tc.attributes["project"] != "" {
				continue // Those of its repositories are no keys of a project.
			}
			if got := strings.Join(shown(l.results(t, tc.limit, false, tc.attributes)), "\n"); got != at.said(strings.Join(tc.want, "\n")) {
				t.Errorf("%s: got %q", name, got)
			}
		}
		if writes := f.writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}
	})
}

// query is a file of such a list for the CLI, with a line and others in config.
func (p testPlace) query(line string, config ...string) string {
	return fmt.Sprintf("list %q \"all\" {\n  provider = bitbucket\n  %s\n  config {\n    workspace = \"acme\"\n    %s\n  }\n}\n", p.typeName(), line, strings.Join(config, "\n    "))
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
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newAudited(t, at)
		l := newKeyList(t, f, at)
		kind := string(at.placeKind)
		result := first(l.results(t, 1, true, nil))
		identity, err := result.Identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
			"workspace": tftypes.String, kind: tftypes.String, "key_id": tftypes.Number,
		}})
		if err != nil || !identity.Equal(tftypes.NewValue(identity.Type(), map[string]tftypes.Value{
			"workspace": tftypes.NewValue(tftypes.String, "acme"), kind: tftypes.NewValue(tftypes.String, at.name), "key_id": tftypes.NewValue(tftypes.Number, firstID),
		})) {
			t.Errorf("got the identity %s, %v", identity, err)
		}
		resource, err := result.Resource.Unmarshal(l.schemas.ResourceSchemas[at.typeName()].ValueType())
		if err != nil {
			t.Fatal(err)
		}
		var attributes map[string]tftypes.Value
		if err := resource.As(&attributes); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"id": at.id(firstID), "workspace": "acme", kind: at.name, "label": "CI", "comment": "ci@example.com",
			"key": f.keys(at)[0].Key + " ci@example.com", kind + "_uuid": at.uuid, "key_type": "ssh-ed25519",
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
	})
}

// A label is somebody's text, and a key may be none.
func TestDeployKeyList_displayName(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newFake(t)
		f.add(at, newKey(t), "\x1b[2J\u202ea\nb")
		f.add(at, "rubbish", "no key")
		want := []string{at.said("acme/website:  [2J a b"), at.said("acme/website: no key (no SSH key)")}
		if got := shown(newKeyList(t, f, at).results(t, 0, true, nil)); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// Nothing is asked for that nobody wants to see, and what is found comes at once.
func TestDeployKeyList_streams(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		// What was under way when a list ended may arrive later, so each has its own.
		for _, tc := range []struct{ limit, take, want, requests int }{
			{5, 1000, 5, 1 + 3 + 10},
			{1000, 41, 41, 1 + 21 + 10},
			{1000, 1000, 500, 3 + 250},
		} {
			f, places := newFakeOfMany(t, at, 250)
			for _, place := range places {
				f.add(place, newKey(t), "")
				f.add(place, newKey(t), "")
			}
			got := 0
			for range newKeyList(t, f, at).results(t, int64(tc.limit), false, nil) {
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
	})
}

// A request that fails is an error, and nothing comes after it.
func TestDeployKeyList_errors(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		for name, tc := range map[string]struct {
			fault      emulator.Fault
			attributes map[string]string
			want       []string
		}{
			"repositories": {emulator.Fault{Status: 500}, nil, []string{"ERROR: Unable to list repositories: Bitbucket was asked to list the repositories of acme."}},
			"keys":         {emulator.Fault{Status: 500, Path: "/website/deploy-keys"}, nil, []string{"ERROR: Unable to list deploy keys: Bitbucket was asked to list the deploy keys of " + at.String() + "."}},
			"later keys":   {emulator.Fault{Status: 500, Path: "/api/deploy-keys"}, nil, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret, "ERROR: Unable to list deploy keys: "}},
			"workspace":    {emulator.Fault{}, map[string]string{"workspace": "nobody"}, []string{"ERROR: Unable to list repositories: Bitbucket was asked to list the repositories of nobody."}},
			"scope":        {emulator.MissingScope([]string{at.said("read:repository:bitbucket")}, nil), nil, []string{"ERROR: Unable to list repositories: "}},
			"hidden":       {emulator.Fault{}, map[string]string{"repository": "secret"}, []string{"ERROR: Unable to list deploy keys: Bitbucket was asked to list the deploy keys of " + at.named(at.said("secret")).String() + "."}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newAudited(t, at)
				l := newKeyList(t, f, at)
				if tc.fault.Path = at.said(tc.fault.Path); tc.fault.Status != 0 {
					f.Inject(tc.fault)
				}
				got := shown(l.results(t, 0, false, tc.attributes))
				if len(got) != len(tc.want) {
					t.Fatalf("got %q", got)
				}
				for i, want := range tc.want {
					want = at.said(want)
					if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
						t.Errorf("there is no %q in %q, result %d", want, got, i)
					}
				}
			})
		}
	})
}

// What cannot be searched for is refused before any request.
func TestDeployKeyList_validation(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newAudited(t, at)
		l := newKeyList(t, f, at)
		for want, attributes := range map[string]map[string]string{
			"Expected the key of a project": {"project": "web"},
			"Invalid label_pattern":         {"label_pattern": "("},
			"must be a fingerprint":         {"fingerprint_sha256": "aa:bb"},
			"Invalid repository":            {"repository": "../website"},
			"Invalid workspace":             {"workspace": ""},
			"Invalid Attribute Combination": {"repository": "website", "project": "WEB"},
		} {
			if want = at.said(want); len(attributes) == 2 && at.placeKind == onProject {
				continue // Only one of them is an attribute.
			}
			answer, err := l.ValidateListResourceConfig(t.Context(), &tfprotov6.ValidateListResourceConfigRequest{
				TypeName: l.at.typeName(), Config: l.config(t, attributes),
			})
			if err != nil || len(answer.Diagnostics) != 1 || !strings.Contains(answer.Diagnostics[0].Summary+answer.Diagnostics[0].Detail, want) {
				t.Errorf("want %q, got %v, %v", want, answer, err)
			}
		}
		if sent := f.sent(); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

// From nothing to an empty plan: what query writes can be applied as it is.
func TestAccDeployKeyList_generate(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Query)
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform := newAudited(t, at), newCLI(t)
		terraform.write(t, f.config(""))
		terraform.writeFile(t, "all.tfquery.hcl", at.query("limit = 1000"))
		out := terraform.must(t, "query", "-generate-config-out=generated.tf")
		contains(t, out, "list."+at.typeName()+".all", at.said("acme/website: CI (SHA256:"), at.said("acme/api: laptop (SHA256:"), at.said("Warning: Deploy keys of some repositories are not included"), at.said("acme/secret"))
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
	})
}

// An error fails the query, and leaves no configuration of a part behind.
func TestAccDeployKeyList_queryFails(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Query)
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform := newAudited(t, at), newCLI(t)
		terraform.write(t, f.config("", "max_retries = 0"))
		terraform.writeFile(t, "all.tfquery.hcl", at.query("", `label_pattern = "("`))
		terraform.fails(t, []string{"query"}, "Invalid label_pattern", "missing closing )")
		terraform.writeFile(t, "all.tfquery.hcl", at.query(""))
		f.Inject(emulator.Fault{Status: 500, Path: at.said("/api/deploy-keys")})
		terraform.fails(t, []string{"query", "-generate-config-out=generated.tf"}, "Unable to list deploy keys", at.said("acme/api"))
		if _, err := os.Stat(filepath.Join(terraform.dir, "generated.tf")); err == nil {
			t.Error("it wrote a configuration")
		}
	})
}
