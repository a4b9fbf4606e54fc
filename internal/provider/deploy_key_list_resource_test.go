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

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// keyList calls the list resource over the protocol, because no CLI before Terraform 1.14
// can run it.
type keyList struct {
	acctest.Server
	parent acctest.Parent
}

func newKeyList(t *testing.T, f *acctest.Fake, parent acctest.Parent) keyList {
	t.Helper()
	return keyList{acctest.NewConfiguredServer(t, f), parent}
}

// results starts a list of the keys in acme, unless the attributes name another workspace.
func (l keyList) results(t *testing.T, limit int64, include bool, attributes map[string]string) iter.Seq[tfprotov6.ListResourceResult] {
	t.Helper()
	stream, err := l.ListResource(t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: l.parent.TypeName, Config: l.config(t, attributes), IncludeResource: include, Limit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Results
}

// config returns the block of the list. It replaces the attribute name "repository" with
// the kind of the parent.
func (l keyList) config(t *testing.T, attributes map[string]string) *tfprotov6.DynamicValue {
	t.Helper()
	config := map[string]string{"workspace": "acme"}
	for name, value := range attributes {
		if name == "repository" {
			name, value = l.parent.Kind, l.parent.Reworded(value)
		}
		config[name] = value
	}
	return acctest.ProtocolObject(t, l.Schemas.ListResourceSchemas[l.parent.TypeName], config)
}

// shown returns results as lines: names and diagnostics.
func shown(results iter.Seq[tfprotov6.ListResourceResult]) []string {
	var lines []string
	for result := range results {
		if result.DisplayName != "" {
			lines = append(lines, regexp.MustCompile(` \(SHA256:[A-Za-z0-9+/]{43}\)$`).ReplaceAllString(result.DisplayName, ""))
		}
		for _, d := range result.Diagnostics {
			d.Detail, _, _ = strings.Cut(d.Detail, "\n\n"+guides) // TestErrorLinks checks links.
			lines = append(lines, fmt.Sprintf("%s: %s: %s", d.Severity, d.Summary, strings.ReplaceAll(d.Detail, "\n", " ")))
		}
	}
	return lines
}

// newAudited starts a Bitbucket with keys on several repositories of two projects, or
// with keys on several projects.
func newAudited(t *testing.T, parent acctest.Parent) *acctest.Fake {
	t.Helper()
	f := acctest.NewFakeOf(t, []emulator.Repository{
		{Slug: "website", UUID: acctest.WebsiteUUID, Project: "WEB"}, {Slug: "secret", Project: "WEB"}, {Slug: "api"}, {Slug: "empty"},
	}, nil)
	if parent.IsProject() {
		f = acctest.NewFakeOf(t, nil, []emulator.Project{{Key: "WEB", UUID: acctest.ProjectUUID}, {Key: "SECRET"}, {Key: "API"}, {Key: "EMPTY"}})
	}
	shared := acctest.NewKey(t)
	f.Add(parent, shared+" ci@example.com", "CI")
	f.Add(parent, acctest.NewKey(t), "deploy (blue)")
	f.Add(parent.Named(parent.Reworded("secret")), acctest.NewKey(t), "hidden")
	f.Add(parent.Named(parent.Other), shared, "")
	f.Add(parent.Named(parent.Other), acctest.NewKey(t)+" laptop", "")
	if parent.IsProject() {
		f.SetProjectPermission("acme", "SECRET", emulator.PermissionRead)
	} else {
		f.SetPermission("acme", "secret", emulator.PermissionRead)
	}
	return f
}

const hiddenSecret = "WARNING: Deploy keys of some repositories are not included: Bitbucket lists these repositories (1), but answered 403 or 404 to the requests for " +
	"their deploy keys: acme/secret. The account must be an administrator of a repository to read its deploy keys."

const noRepository = "WARNING: No repository found in the project: Bitbucket lists no repository of the project NONE in the workspace acme, so no deploy keys were found. " +
	"Either the project does not exist, or it has no repository that the account can see. Check project and workspace."

// limited returns the warning of a list that ended at its limit.
func limited(limit int, more string) string {
	return fmt.Sprintf("WARNING: Not all deploy keys are listed: The list ended after %d deploy keys, which is its limit. %s. To list all of them, set limit in the list block to a higher number; the default is 100. "+
		"Do not make an exclusive set (TYPEs_exclusive) of this list: it would remove the deploy keys that are not listed.", limit, more)
}

const (
	knownMore = "There are more of them"
	maybeMore = "There may be more of them: the search ended after the next repository"
)

func TestDeployKeyList(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		l := newKeyList(t, f, parent)
		fingerprint := regexp.MustCompile(`SHA256:\S{43}`).FindString(first(l.results(t, 0, false, nil)).DisplayName)
		for name, tc := range map[string]struct {
			attributes map[string]string
			limit      int64
			want       []string
		}{
			"workspace":     {nil, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", "acme/api: deploy key 10958987", "acme/api: laptop", hiddenSecret}},
			"uuid":          {map[string]string{"workspace": acctest.WorkspaceUUID, "repository": "api"}, 0, []string{acctest.WorkspaceUUID + "/api: deploy key 10958987", acctest.WorkspaceUUID + "/api: laptop"}},
			"uuid, project": {map[string]string{"workspace": acctest.WorkspaceUUID, "project": "PROJ"}, 0, []string{acctest.WorkspaceUUID + "/api: deploy key 10958987", acctest.WorkspaceUUID + "/api: laptop"}},
			"project":       {map[string]string{"project": "WEB"}, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret}},
			"no project":    {map[string]string{"project": "NONE"}, 0, []string{noRepository}},
			"repository":    {map[string]string{"repository": "api"}, 0, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
			"label":         {map[string]string{"label_pattern": `^CI$|\(b`}, 0, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret}},
			"no label":      {map[string]string{"repository": "api", "label_pattern": "."}, 0, nil},
			"fingerprint":   {map[string]string{"fingerprint_sha256": fingerprint}, 0, []string{"acme/website: CI", "acme/api: deploy key 10958987", hiddenSecret}},
			"limit":         {nil, 1, []string{"acme/website: CI", limited(1, knownMore)}},
			"limit, maybe":  {nil, 2, []string{"acme/website: CI", "acme/website: deploy (blue)", limited(2, maybeMore), hiddenSecret}},
			"limit, hidden": {nil, 3, []string{"acme/website: CI", "acme/website: deploy (blue)", "acme/api: deploy key 10958987", limited(3, knownMore), hiddenSecret}},
			"limit, label":  {map[string]string{"repository": "api", "label_pattern": "^$"}, 1, []string{"acme/api: deploy key 10958987", limited(1, knownMore)}},
			"limit, next":   {map[string]string{"project": "WEB", "label_pattern": "CI"}, 1, []string{"acme/website: CI", limited(1, maybeMore), hiddenSecret}},
			"exact limit":   {map[string]string{"repository": "api"}, 2, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
			"high limit":    {map[string]string{"repository": "api"}, 3, []string{"acme/api: deploy key 10958987", "acme/api: laptop"}},
		} {
			if parent.IsProject() && tc.attributes["project"] != "" {
				continue // For projects, this attribute names the parent.
			}
			if got := strings.Join(shown(l.results(t, tc.limit, false, tc.attributes)), "\n"); got != strings.ReplaceAll(parent.Reworded(strings.Join(tc.want, "\n")), "TYPE", parent.TypeName) {
				t.Errorf("%s: got %q", name, got)
			}
		}
		if writes := f.Writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}
	})
}

// If looking for more than the limit fails, the keys that were listed are not lost.
func TestDeployKeyList_limitFails(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		l := newKeyList(t, f, parent)
		f.Inject(emulator.Fault{Path: parent.Reworded("/secret/deploy-keys"), Status: 500})
		want := []string{parent.Reworded("acme/website: CI"), parent.Reworded("acme/website: deploy (blue)"), strings.ReplaceAll(parent.Reworded(limited(2, maybeMore)), "TYPE", parent.TypeName)}
		if got := shown(l.results(t, 2, false, nil)); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// An entry without a readable key does not hide the other keys of the workspace.
func TestDeployKeyList_unreadable(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		l := newKeyList(t, f, parent)
		f.Inject(emulator.UnreadableKey(acctest.FirstID))
		want := []string{
			"acme/website: deploy (blue)", "acme/api: deploy key 10958987", "acme/api: laptop", hiddenSecret,
			"WARNING: Deploy keys of some repositories cannot be read: Bitbucket lists entries without a readable key. They are not included: acme/website (deploy key 10958984). " +
				"Open the list of access keys in Bitbucket's settings. Remove such an entry there, or report it to Atlassian. Until then, an exclusive set of such a repository removes no key.",
		}
		if got := strings.Join(shown(l.results(t, 0, false, nil)), "\n"); got != parent.Reworded(strings.Join(want, "\n")) {
			t.Errorf("got %q", got)
		}
	})
}

// query returns a query file with a line in the list block, and with lines in its config.
func query(p acctest.Parent, line string, config ...string) string {
	return fmt.Sprintf("list %q \"all\" {\n  provider = bitbucket\n  %s\n  config {\n    workspace = \"acme\"\n    %s\n  }\n}\n", p.TypeName, line, strings.Join(config, "\n    "))
}

// first returns the first result and then stops the list.
func first(results iter.Seq[tfprotov6.ListResourceResult]) tfprotov6.ListResourceResult {
	for result := range results {
		return result
	}
	return tfprotov6.ListResourceResult{}
}

// A result has the identity of the key, and the same resource as an import.
func TestDeployKeyList_result(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		l := newKeyList(t, f, parent)
		kind := parent.Kind
		result := first(l.results(t, 1, true, nil))
		identity, err := result.Identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
			"workspace": tftypes.String, kind: tftypes.String, "key_id": tftypes.Number,
		}})
		if err != nil || !identity.Equal(tftypes.NewValue(identity.Type(), map[string]tftypes.Value{
			"workspace": tftypes.NewValue(tftypes.String, "acme"), kind: tftypes.NewValue(tftypes.String, parent.Name), "key_id": tftypes.NewValue(tftypes.Number, acctest.FirstID),
		})) {
			t.Errorf("got the identity %s, %v", identity, err)
		}
		resource, err := result.Resource.Unmarshal(l.Schemas.ResourceSchemas[parent.TypeName].ValueType())
		if err != nil {
			t.Fatal(err)
		}
		var attributes map[string]tftypes.Value
		if err := resource.As(&attributes); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"id": parent.ImportID(acctest.FirstID), "workspace": "acme", kind: parent.Name, "label": "CI", "comment": "ci@example.com",
			"key": f.Keys(parent)[0].Key + " ci@example.com", kind + "_uuid": parent.UUID, "key_type": "ssh-ed25519",
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
			t.Errorf("got the resource %v, which was not requested", result.Resource)
		}
	})
}

// A label can be any text, and a key can be invalid.
func TestDeployKeyList_displayName(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		f.Add(parent, acctest.NewKey(t), "\x1b[2J\u202ea\nb")
		f.Add(parent, "rubbish", "no key")
		want := []string{parent.Reworded("acme/website:  [2J a b"), parent.Reworded("acme/website: no key (no SSH key)")}
		if got := shown(newKeyList(t, f, parent).results(t, 0, true, nil)); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// The list sends only the requests that its results need, and returns each result at once.
func TestDeployKeyList_streams(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		// A request may still arrive after its list ended, so each list has its own fake.
		for _, tc := range []struct{ limit, take, want, requests int }{
			{5, 1000, 5, 1 + 3 + 10},
			{1000, 41, 41, 1 + 21 + 10},
			{1000, 1000, 500, 3 + 250},
		} {
			f, parents := acctest.NewFakeOfMany(t, parent, 250)
			for _, parent := range parents {
				f.Add(parent, acctest.NewKey(t), "")
				f.Add(parent, acctest.NewKey(t), "")
			}
			got := 0
			for range newKeyList(t, f, parent).results(t, int64(tc.limit), false, nil) {
				if got++; got == tc.take {
					break
				}
			}
			if most := f.MaxInFlight(); got != tc.want || most > 10 {
				t.Errorf("limit %d: %d results, %d requests at once", tc.limit, got, most)
			}
			if sent := len(f.Sent()); sent > tc.requests || tc.want == 500 && sent != tc.requests {
				t.Errorf("limit %d, %d taken: %d requests, want %d", tc.limit, tc.take, sent, tc.requests)
			}
		}
	})
}

// A failed request is an error, and it is the last result.
func TestDeployKeyList_errors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, tc := range map[string]struct {
			fault      emulator.Fault
			attributes map[string]string
			want       []string
		}{
			"repositories": {emulator.Fault{Status: 500}, nil, []string{"ERROR: Unable to list repositories: Could not list the repositories of acme."}},
			"keys":         {emulator.Fault{Status: 500, Path: "/website/deploy-keys"}, nil, []string{"ERROR: Unable to list deploy keys: Could not list the deploy keys of " + parent.String() + "."}},
			"later keys":   {emulator.Fault{Status: 500, Path: "/api/deploy-keys"}, nil, []string{"acme/website: CI", "acme/website: deploy (blue)", hiddenSecret, "ERROR: Unable to list deploy keys: "}},
			"workspace":    {emulator.Fault{}, map[string]string{"workspace": "nobody"}, []string{"ERROR: Unable to list repositories: Could not list the repositories of nobody."}},
			"scope":        {emulator.MissingScope([]string{parent.Reworded("read:repository:bitbucket")}, nil), nil, []string{"ERROR: Unable to list repositories: "}},
			"hidden":       {emulator.Fault{}, map[string]string{"repository": "secret"}, []string{"ERROR: Unable to list deploy keys: Could not list the deploy keys of " + parent.Named(parent.Reworded("secret")).String() + "."}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newAudited(t, parent)
				l := newKeyList(t, f, parent)
				if tc.fault.Path = parent.Reworded(tc.fault.Path); tc.fault.Status != 0 {
					f.Inject(tc.fault)
				}
				got := shown(l.results(t, 0, false, tc.attributes))
				if len(got) != len(tc.want) {
					t.Fatalf("got %q", got)
				}
				for i, want := range tc.want {
					want = parent.Reworded(want)
					if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
						t.Errorf("there is no %q in %q, result %d", want, got, i)
					}
				}
			})
		}
	})
}

// Wrong values are reported before any request.
func TestDeployKeyList_validation(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		l := newKeyList(t, f, parent)
		for want, attributes := range map[string]map[string]string{
			"Expected the key of a project": {"project": "web"},
			"Invalid label_pattern":         {"label_pattern": "("},
			"must be a fingerprint":         {"fingerprint_sha256": "aa:bb"},
			"Invalid repository":            {"repository": "../website"},
			"Invalid workspace":             {"workspace": ""},
			"Invalid Attribute Combination": {"repository": "website", "project": "WEB"},
		} {
			if want = parent.Reworded(want); len(attributes) == 2 && parent.IsProject() {
				continue // Only one of them is an attribute.
			}
			answer, err := l.ValidateListResourceConfig(t.Context(), &tfprotov6.ValidateListResourceConfigRequest{
				TypeName: l.parent.TypeName, Config: l.config(t, attributes),
			})
			if err != nil || len(answer.Diagnostics) != 1 || !strings.Contains(answer.Diagnostics[0].Summary+answer.Diagnostics[0].Detail, want) {
				t.Errorf("want %q, got %v, %v", want, answer, err)
			}
		}
		if sent := f.Sent(); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

// The configuration that a query writes can be applied, and then the plan is empty.
func TestAccDeployKeyList_generate(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Query)
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := newAudited(t, parent), acctest.NewCLI(t)
		terraform.Write(t, f.Config(""))
		terraform.WriteFile(t, "all.tfquery.hcl", query(parent, "limit = 1000"))
		out := terraform.MustRun(t, "query", "-generate-config-out=generated.tf")
		acctest.Contains(t, out, "list."+parent.TypeName+".all", parent.Reworded("acme/website: CI (SHA256:"), parent.Reworded("acme/api: laptop (SHA256:"), parent.Reworded("Warning: Deploy keys of some repositories are not included"), parent.Reworded("acme/secret"))
		if strings.Contains(out, "Incomplete List Result") {
			t.Error(out)
		}
		if sent := f.Sent(); len(sent) != 1+4 {
			t.Errorf("sent %v", sent)
		}
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "4 imported, 0 added, 0 changed, 0 destroyed")
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		if writes := f.Writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}
		if keys := terraform.State(t); len(keys) != 4 {
			t.Errorf("imported %+v\n%s", keys, acctest.ReadFile(t, filepath.Join(terraform.Dir, "generated.tf")))
		}
	})
}

// An error makes the query fail, and no incomplete configuration is written.
func TestAccDeployKeyList_queryFails(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Query)
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := newAudited(t, parent), acctest.NewCLI(t)
		terraform.Write(t, f.Config("", "max_retries = 0"))
		terraform.WriteFile(t, "all.tfquery.hcl", query(parent, "", `label_pattern = "("`))
		terraform.Fails(t, []string{"query"}, "Invalid label_pattern", "missing closing )")
		terraform.WriteFile(t, "all.tfquery.hcl", query(parent, ""))
		f.Inject(emulator.Fault{Status: 500, Path: parent.Reworded("/api/deploy-keys")})
		terraform.Fails(t, []string{"query", "-generate-config-out=generated.tf"}, "Unable to list deploy keys", parent.Reworded("acme/api"))
		if _, err := os.Stat(filepath.Join(terraform.Dir, "generated.tf")); err == nil {
			t.Error("it wrote a configuration")
		}
	})
}
