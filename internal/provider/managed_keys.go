package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// managedKeys lets exclusive sets recognize the deploy keys that resources of the same
// configuration manage. Such a key must stay even if key_ids lacks its ID: otherwise one
// apply would remove the key and the next apply would add it again. Terraform plans keys and
// sets in any order, so the second of the two plans reports the mistake.
type managedKeys struct {
	mu   sync.Mutex
	keys map[bitbucket.Parent]map[int64]*managedKey
	sets map[bitbucket.Parent][]*plannedSet
}

// managedKeyAdvice is the advice for managed keys that are missing in key_ids.
const managedKeyAdvice = "Add the key_id of each resource to key_ids, or remove the resource from the configuration."

// managedKey is a deploy key that this run has read or added.
type managedKey struct {
	label string
	// planned reports that a resource of the configuration has the key. A key that was only
	// read may be about to be deleted.
	planned bool
	// reported reports that a message has named the key.
	reported bool
}

// plannedSet is an exclusive set that this run has planned.
type plannedSet struct {
	// listed has the known IDs of key_ids. complete reports whether all of key_ids is known.
	listed   map[int64]bool
	complete bool
	// removes has the IDs that the plan shows as removed.
	removes map[int64]bool
}

// lookupNames returns the names under which a parent is recorded: its own name and, if it is
// known, its UUID. The UUID finds a renamed repository.
func lookupNames(parent bitbucket.Parent) []bitbucket.Parent {
	names := []bitbucket.Parent{parent.Lower()}
	for _, uuid := range []string{parent.UUID, parent.Repository} {
		if isUUID(uuid) {
			names = append(names, bitbucket.Parent{UUID: strings.ToLower(uuid)})
		}
	}
	return names
}

// add records a key of a resource in the state. A set that is refreshed later leaves the key
// out of other_keys.
func (m *managedKeys) add(parent bitbucket.Parent, id int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record(parent, id)
}

// record returns the record of a key, and adds the record if there is none. It needs the lock.
func (m *managedKeys) record(parent bitbucket.Parent, id int64) *managedKey {
	names, key := lookupNames(parent), &managedKey{}
	for _, name := range names {
		if known := m.keys[name][id]; known != nil {
			key = known
		}
	}
	if m.keys == nil {
		m.keys = map[bitbucket.Parent]map[int64]*managedKey{}
	}
	for _, name := range names {
		if m.keys[name] == nil {
			m.keys[name] = map[int64]*managedKey{}
		}
		m.keys[name][id] = key
	}
	return key
}

// keysOf returns the recorded keys of a parent. It needs the lock.
func (m *managedKeys) keysOf(parent bitbucket.Parent) map[int64]*managedKey {
	keys := map[int64]*managedKey{}
	for _, name := range lookupNames(parent) {
		maps.Copy(keys, m.keys[name])
	}
	return keys
}

// idsOf returns the IDs of the recorded keys of a parent.
func (m *managedKeys) idsOf(parent bitbucket.Parent) map[int64]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := map[int64]bool{}
	for id := range m.keysOf(parent) {
		ids[id] = true
	}
	return ids
}

// planKey records that a resource of the configuration has a key. It reports each planned set
// that lacks the key in key_ids.
func (m *managedKeys) planKey(parent bitbucket.Parent, id int64, label types.String, diags *diag.Diagnostics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := m.record(parent, id)
	key.planned, key.label = true, label.ValueString()
	for _, name := range lookupNames(parent) {
		for _, set := range m.sets[name] {
			set.report(parent, map[int64]*managedKey{id: key}, diags)
		}
	}
}

// planSet records a planned set, and reports the planned keys that are missing in key_ids.
func (m *managedKeys) planSet(parent bitbucket.Parent, set *plannedSet, diags *diag.Diagnostics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sets == nil {
		m.sets = map[bitbucket.Parent][]*plannedSet{}
	}
	for _, name := range lookupNames(parent) {
		m.sets[name] = append(m.sets[name], set)
	}
	set.report(parent, m.keysOf(parent), diags)
}

// report warns of the planned keys that are missing in key_ids. If the plan of the set already
// shows such a key as removed, report adds an error, because that plan cannot be changed any
// more.
func (s *plannedSet) report(parent bitbucket.Parent, keys map[int64]*managedKey, diags *diag.Diagnostics) {
	var removed, missing string
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		key := keys[id]
		line := fmt.Sprintf("\n  %d  %q", id, key.label)
		switch {
		case !key.planned:
			continue
		case s.removes[id]:
			removed += line
		case s.complete && !s.listed[id] && !key.reported:
			missing += line
		default:
			continue
		}
		key.reported = true
	}
	if removed != "" {
		diags.AddError("Managed deploy key would be removed", fmt.Sprintf("Resources of this configuration manage these deploy keys of %s. "+
			"Their IDs are not in key_ids of the exclusive set:\n%s\n\nThis plan would remove the keys. %s Nothing was changed.", describeParent(parent), removed, managedKeyAdvice))
	}
	if missing != "" {
		// Terraform shows only one of several warnings with the same summary.
		diags.AddWarning("Managed deploy keys of "+describeParent(parent)+" are not in key_ids", fmt.Sprintf("Resources of this configuration manage these deploy keys, "+
			"but their IDs are not in key_ids of the exclusive set:\n%s\n\nThe set does not remove these keys. %s", missing, managedKeyAdvice))
	}
}
