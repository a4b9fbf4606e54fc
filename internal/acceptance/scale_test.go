package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// many is a configuration with many keys on many repositories or projects, and the
// emulator that has them.
type many struct {
	*acctest.Fake
	parent    acctest.Parent
	terraform *acctest.CLI
	keys      map[string]manyKey
	// configuration is the content of the configuration file.
	configuration string
}

type manyKey struct {
	Parent string `json:"parent"`
	Key    string `json:"key"`
}

func newMany(t *testing.T, parent acctest.Parent, number, keys int, lines ...string) *many {
	t.Helper()
	f, parents := acctest.NewFakeOfMany(t, parent, number)
	m := &many{Fake: f, parent: parent, terraform: acctest.NewCLI(t), keys: map[string]manyKey{}}
	for _, parent := range parents {
		for k := range keys {
			m.keys[fmt.Sprintf("%s/%d", parent.Name, k)] = manyKey{parent.Name, acctest.NewKey(t)}
		}
	}
	m.writeJSON(t, "keys.json", m.keys)
	m.configuration = m.Config(fmt.Sprintf(`
variable "renamed" {
  default = ""
}

locals {
  keys = jsondecode(file("keys.json")) # Terraform reads the file once here, but for each key in for_each.
}

resource %q "many" {
  for_each  = local.keys
  workspace = "acme"
  %s = each.value.parent
  key       = each.value.key
  label     = each.key == var.renamed ? "renamed" : each.key
}
`, parent.TypeName, parent.Kind), lines...)
	m.terraform.Write(t, m.configuration)
	return m
}

func (m *many) writeJSON(t *testing.T, name string, value any) {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.terraform.Dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// exist adds the keys to Bitbucket and to the state, which takes less time than an apply. Before
// each key, it adds this number of keys of other people.
func (m *many) exist(t *testing.T, others int) {
	t.Helper()
	var instances []map[string]any
	for label, key := range m.keys {
		parent := m.parent.Named(key.Parent)
		for range others {
			m.Add(parent, acctest.NewKey(t), "not ours")
		}
		added := m.Add(parent, key.Key, label)
		parsed, err := sshkey.Split(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		instances = append(instances, map[string]any{"index_key": label, "schema_version": 1, "attributes": map[string]any{
			"id": parent.ImportID(added.ID), "key_id": added.ID, "key": key.Key, "label": label, "comment": "",
			"workspace": "acme", parent.Kind: parent.Name, "key_type": parsed.Type, "created_on": added.CreatedOn,
			"fingerprint_sha256": parsed.FingerprintSHA256(), "fingerprint_md5": parsed.FingerprintMD5(), parent.Kind + "_uuid": nil,
		}})
	}
	m.writeJSON(t, "terraform.tfstate", map[string]any{
		"version": 4, "serial": 1, "lineage": "many", "terraform_version": "1.0.0", "outputs": map[string]any{},
		"resources": []map[string]any{{
			"mode": "managed", "type": m.parent.TypeName, "name": "many", "instances": instances,
			"provider": fmt.Sprintf("provider[%q]", os.Getenv("TF_ACC_PROVIDER_HOST")+"/bitbucket-deploy-keys/bitbucket"),
		}},
	})
}

// count returns the number of requests by method since the last call.
func (m *many) count() map[string]int {
	counted := map[string]int{}
	for _, line := range m.Sent() {
		method, _, _ := strings.Cut(line, " ")
		counted[method]++
	}
	return counted
}

// A plan must not need more requests than necessary, because Bitbucket allows 1,000
// requests an hour. TestGet_cost of the package deploykeys has larger numbers.
func TestAccDeployKey_planCost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		parent                        acctest.Parent
		number, keys, atLeast, atMost int
	}{
		{acctest.Website, 10, 10, 10, 10},
		{acctest.Website, 1, 201, 3, 5},
		{acctest.Website, 80, 1, 80, 80},
		{acctest.WEB, 1, 3, 1, 1},
		{acctest.WEB, 2, 101, 4, 8},
		{acctest.WEB, 20, 1, 20, 20},
	} {
		t.Run(fmt.Sprintf("%s %dx%d", tc.parent.Kind, tc.number, tc.keys), func(t *testing.T) {
			t.Parallel()
			m := newMany(t, tc.parent, tc.number, tc.keys)
			m.exist(t, 0)
			m.terraform.MustRun(t, "plan", "-detailed-exitcode")
			if got := m.count(); len(got) > 1 || got["GET"] < tc.atLeast || got["GET"] > tc.atMost {
				t.Errorf("made %v requests, want %d to %d", got, tc.atLeast, tc.atMost)
			}
		})
	}
}

// With refresh_after, the next runs need no request, even if Bitbucket allows none.
func TestAccDeployKey_refreshAfterCost(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		m := newMany(t, parent, 10, 3, `refresh_after = "24h"`, `max_rate_limit_wait = "0s"`)
		m.exist(t, 0)
		m.terraform.MustRun(t, "apply", "-auto-approve")
		if got := m.count(); !maps.Equal(got, map[string]int{"GET": 10}) {
			t.Errorf("the first apply made %v requests, want one for each of 10 listings", got)
		}
		m.SetRateLimit(emulator.RateLimit{})
		m.terraform.MustRun(t, "plan", "-detailed-exitcode")
		m.terraform.MustRun(t, "apply", "-auto-approve")
		if got := m.count(); len(got) > 0 {
			t.Errorf("the next runs made %v requests", got)
		}
	})
}

func TestAccDeployKey_applyCost(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		m := newMany(t, parent, 4, 5)
		renamed, change := "repository-0/0", map[string]int{"GET": 4, "PUT": 1}
		if parent.IsProject() {
			renamed, change = "PROJECT_0/0", map[string]int{"GET": 4, "DELETE": 1, "POST": 1}
		}
		for _, step := range []struct {
			args []string
			want map[string]int
		}{
			{[]string{"apply", "-auto-approve"}, map[string]int{"POST": 20}},
			{[]string{"plan", "-detailed-exitcode"}, map[string]int{"GET": 4}},
			{[]string{"apply", "-auto-approve", "-var=renamed=" + renamed}, change},
			{[]string{"destroy", "-auto-approve"}, map[string]int{"GET": 4, "DELETE": 20}},
		} {
			m.terraform.MustRun(t, step.args...)
			if got := m.count(); !maps.Equal(got, step.want) {
				t.Errorf("%v made %v requests, want %v", step.args, got, step.want)
			}
		}
	})
}

// One managed key among many other keys needs one page and one request.
func TestAccDeployKey_costAmongMany(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	for range 250 {
		f.AddDeployKey("acme", "website", acctest.NewKey(t), "not ours")
	}
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ForgetRequests()
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	if got, want := f.Sent(), []string{"GET acme/website/deploy-keys 200", "GET acme/website/deploy-keys/10959234 200"}; !slices.Equal(got, want) {
		t.Errorf("made the requests %v, want %v", got, want)
	}
	// Data sources and resources share their lists.
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))+acctest.DataDeployKey("key_id = 10958984")+dataDeployKeys))
	terraform.MustRun(t, "plan", "-refresh-only")
	if got := f.Sent(); len(got) > 5 {
		t.Errorf("made %d requests: %v", len(got), got)
	}
}

const dataDeployKeys = "\ndata \"bitbucket_deploy_keys\" \"all\" {\n  workspace = \"acme\"\n  repository = \"website\"\n}\n"

// If a list fails after its first page, the keys that need it fail, and all of them
// stay in the state.
func TestAccDeployKey_sharedListingFails(t *testing.T) {
	t.Parallel()
	m := newMany(t, acctest.Website, 1, 12, "max_retries = 0")
	m.exist(t, 24)
	for name, fault := range map[string]emulator.Fault{
		"403":       emulator.Forbidden(),
		"404":       {Status: 404},
		"429":       {Status: 429, Header: map[string][]string{"Retry-After": {"3600"}}},
		"truncated": {Truncate: true},
		"html":      {Status: 200, Body: "<html>"},
	} {
		fault.Skip = 1 // The first page is good.
		m.Inject(fault)
		out := m.terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: Unable to read deploy key")
		if strings.Contains(out, "will be created") {
			t.Errorf("%s: a failed listing lost keys: %s", name, out)
		}
		m.ClearFaults()
	}
	m.terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// A 429 during a run delays all requests, and then the run continues.
func TestAccDeployKey_rateLimit(t *testing.T) {
	t.Parallel()
	m := newMany(t, acctest.Website, 20, 1, "max_retries = 0") // A 429 does not count as a retry.
	limited := emulator.RateLimited()
	limited.Header = limited.Header.Clone()
	limited.Header.Set("Retry-After", "1")
	limited.Skip, limited.Times = 5, 4
	m.Inject(limited)
	m.terraform.MustRun(t, "apply", "-auto-approve")
	refused, created := 0, 0
	for _, line := range m.Writes() {
		switch {
		case strings.HasSuffix(line, " 429"):
			refused++
		case strings.HasSuffix(line, " 200"):
			created++
		}
	}
	if created != 20 || refused == 0 || refused > 4 {
		t.Errorf("%d created, %d refused", created, refused)
	}

	limited.Header.Set("Retry-After", "3600")
	limited.Header.Set("X-RateLimit-Limit", "1000")
	limited.Skip, limited.Times = 3, 0
	m.Inject(limited)
	acctest.Contains(t, m.terraform.Fails(t, []string{"plan"}), "429 Too Many Requests", "Retry after (seconds or a date): 3600", "Limit: 1000", "Requests made by this run:", "Bitbucket accepts requests again at:", "max_rate_limit_wait")
	if sent := len(m.Sent()); sent > 13 {
		t.Errorf("%d requests although the limit was reached after 3", sent)
	}
	m.ClearFaults()

	// Bitbucket names no time, so the error names none either. max_rate_limit_wait alone
	// bounds the run.
	limited = emulator.RateLimited()
	limited.Skip = 3
	m.Inject(limited)
	m.terraform.Write(t, strings.Replace(m.configuration, "max_retries = 0", `max_rate_limit_wait = "4s"`, 1))
	out := m.terraform.Fails(t, []string{"plan"}, "429 Too Many Requests", "Rate limit for this resource has been exceeded", "Requests made by this run:", "raise max_rate_limit_wait")
	if strings.Contains(out, "requests again at") || strings.Contains(out, "max_retries") {
		t.Errorf("the error names a time that Bitbucket did not name, or max_retries: %s", out)
	}
	if sent := len(m.Sent()); sent < 5 || sent > 25 {
		t.Errorf("%d requests within four seconds", sent)
	}
}
