package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Whichever of a key and a set is planned second reports the key, once.
func TestManagedKeys(t *testing.T) {
	t.Parallel()
	const uuid = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
	website := bitbucket.Parent{Workspace: "acme", Repository: "website"}
	named := bitbucket.Parent{Workspace: "acme", Repository: "website", UUID: uuid}
	renamed := bitbucket.Parent{Workspace: "acme", Repository: "site", UUID: strings.ToUpper(uuid)}
	byUUID := bitbucket.Parent{Workspace: "acme", Repository: uuid}
	project := bitbucket.Parent{Workspace: "acme", Project: "WEB"}
	ids := func(ids ...int64) map[int64]bool {
		set := map[int64]bool{}
		for _, id := range ids {
			set[id] = true
		}
		return set
	}
	const missing, removed = "Managed deploy keys of acme/", "Managed deploy key would be removed"
	for name, tc := range map[string]struct {
		key, set bitbucket.Parent
		planned  plannedSet
		want     string
	}{
		"missing":           {website, website, plannedSet{ids(6), true, nil}, missing},
		"spelling":          {website, bitbucket.Parent{Workspace: "ACME", Repository: "Website"}, plannedSet{ids(6), true, nil}, "Managed deploy keys of "},
		"renamed":           {named, renamed, plannedSet{ids(6), true, nil}, missing},
		"by UUID":           {named, byUUID, plannedSet{ids(6), true, nil}, missing},
		"removed":           {website, website, plannedSet{ids(6), true, ids(5)}, removed},
		"removed, unknown":  {website, website, plannedSet{ids(6), false, ids(5)}, removed},
		"listed":            {website, website, plannedSet{ids(5), true, nil}, ""},
		"key_ids unknown":   {website, website, plannedSet{ids(6), false, nil}, ""},
		"different parents": {project, website, plannedSet{ids(6), true, ids(5)}, ""},
	} {
		for _, order := range []string{"key first", "set first"} {
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				var m managedKeys
				var first, second, again diag.Diagnostics
				planKey := func(diags *diag.Diagnostics) { m.planKey(tc.key, 5, types.StringValue("ci"), diags) }
				planSet := func(diags *diag.Diagnostics) { m.planSet(tc.set, &tc.planned, diags) }
				if order == "set first" {
					planKey, planSet = planSet, planKey
				}
				m.add(tc.key, 7) // It was only read: it may be about to be deleted.
				planKey(&first)
				planSet(&second)
				if len(first) > 0 {
					t.Errorf("the first reports %v", first)
				}
				var got string
				for _, d := range second {
					got += d.Summary()
					if !strings.Contains(d.Detail(), fmt.Sprintf("\n  5  %q\n", "ci")) || strings.Contains(d.Detail(), "\n  7 ") {
						t.Errorf("the message is %q", d.Detail())
					}
				}
				if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
					t.Errorf("the second reports %q, want %q", got, tc.want)
				}
				if planSet(&again); again.WarningsCount() > 0 {
					t.Errorf("it warns again: %v", again)
				}
			})
		}
	}
}

// A set leaves out what this run has read, under any name of the parent.
func TestManagedKeys_idsOf(t *testing.T) {
	t.Parallel()
	var m managedKeys
	const uuid = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
	m.add(bitbucket.Parent{Workspace: "acme", Repository: "website"}, 5)
	m.add(bitbucket.Parent{Workspace: "acme", Repository: "site", UUID: uuid}, 6)
	m.add(bitbucket.Parent{Workspace: "acme", Project: "WEB"}, 7)
	if got := fmt.Sprint(m.idsOf(bitbucket.Parent{Workspace: "ACME", Repository: "website", UUID: uuid})); got != "map[5:true 6:true]" {
		t.Errorf("got %s", got)
	}
}

// Recording a key must not look at the other keys of its parent: a plan of many keys would take
// a time that grows with the square of their number.
//
//nolint:paralleltest // AllocsPerRun panics if other tests run in parallel.
func TestManagedKeys_manyKeys(t *testing.T) {
	website := bitbucket.Parent{Workspace: "acme", Repository: "website"}
	allocations := func(keys int64) float64 {
		var m managedKeys
		for id := range keys {
			m.add(website, id)
		}
		return testing.AllocsPerRun(10, func() { m.planKey(website, 0, types.StringValue("ci"), &diag.Diagnostics{}) })
	}
	if one, thousand := allocations(1), allocations(1000); thousand > one {
		t.Errorf("with 1,000 keys, planKey made %v allocations, and with one key %v", thousand, one)
	}
}
