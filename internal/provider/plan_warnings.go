package provider

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// planWarnings gives warnings that depend on several calls. Terraform refreshes and plans its
// resources in any order, so each call records its facts, and the call that completes a warning
// gives the warning. No call sends a request for a warning.
type planWarnings struct {
	mu sync.Mutex
	// applying reports that the run has begun to change deploy keys. From then on there are no
	// warnings, because Bitbucket has keys that the run has added itself.
	applying bool
	// keys has the planned and the listed keys.
	keys map[keyPlace]*plannedKey
	// managed has the keys in the state, by their IDs. A value is nil if only the ID is known.
	managed map[int64]*plannedKey
	// due has the keys that the next report checks.
	due []*plannedKey
	// writes has the planned operations. The value reports whether a warning was given.
	writes map[plannedWrite]bool
}

// keyPlace is a public key in a repository or project, as the configuration spells it.
type keyPlace struct {
	parent      bitbucket.Parent
	fingerprint string
}

// plannedKey has the facts that the run has recorded about a key in one place.
type plannedKey struct {
	place keyPlace
	// parent is the place's parent as a resource spells it.
	parent bitbucket.Parent
	// creates counts the resources that are to add the key.
	creates int
	// listed is the key as Bitbucket has listed it, nil if it was not listed.
	listed *bitbucket.DeployKey
	// kept has the IDs of the keys that resources have and keep.
	kept map[int64]bool
	// warned reports that a warning was given.
	warned bool
}

// plannedWrite is an operation on the keys of repositories or of projects.
type plannedWrite struct {
	operation operation
	kind      *parentKind
}

// record calls a function that adds the facts of one call. It holds the lock meanwhile, and
// does nothing after the run has begun to change deploy keys.
func (w *planWarnings) record(add func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.applying {
		return
	}
	if w.keys == nil {
		w.keys, w.managed, w.writes = map[keyPlace]*plannedKey{}, map[int64]*plannedKey{}, map[plannedWrite]bool{}
	}
	add()
}

// at returns the record of a key in a place, and adds the record if there is none. It returns
// nil if the place or the key is not known. It needs the lock.
func (w *planWarnings) at(parent bitbucket.Parent, key publicKeyValue) *plannedKey {
	if key.parsed == nil || parent.Workspace == "" || parent.Name() == "" {
		return nil
	}
	place := keyPlace{parent.Lower(), key.parsed.FingerprintSHA256()}
	if w.keys[place] == nil {
		w.keys[place] = &plannedKey{place: place, parent: parent, kept: map[int64]bool{}}
	}
	return w.keys[place]
}

// listed records keys that Bitbucket has listed.
func (w *planWarnings) listed(parent bitbucket.Parent, keys []bitbucket.DeployKey) {
	w.record(func() {
		for i := range keys {
			if key := w.at(parent, newPublicKeyValue(keys[i].Key)); key != nil {
				key.listed = &keys[i]
				w.changed(key)
			}
		}
	})
}

// refreshes records that a key of the state is being read. Its resource is planned later.
func (w *planWarnings) refreshes(parent bitbucket.Parent, state *deployKeyModel) {
	w.record(func() {
		if id := state.KeyID.ValueInt64(); w.managed[id] == nil {
			w.managed[id] = w.at(parent, state.Key) // An imported key has no public key in the state yet.
		}
	})
}

// imports records that a key is being imported. Its place is not known before it is read.
func (w *planWarnings) imports(id int64) {
	w.record(func() {
		if _, known := w.managed[id]; !known {
			w.managed[id] = nil
		}
	})
}

// keeps records that a resource has a key and keeps it. It returns false if the place of the
// key is not known: then keepsAt must be called.
func (w *planWarnings) keeps(id int64) (known bool) {
	w.record(func() {
		key := w.managed[id]
		if known = key != nil; known {
			key.kept[id] = true
			w.changed(key)
		}
	})
	return known
}

// keepsAt records that a resource has a key in this place and keeps it. The plan may spell the
// place differently than the state.
func (w *planWarnings) keepsAt(parent bitbucket.Parent, publicKey publicKeyValue, id int64) {
	w.record(func() {
		if key := w.at(parent, publicKey); key != nil {
			key.kept[id] = true
			w.managed[id] = key
			w.changed(key)
		}
	})
}

// removes records that a resource loses its key.
func (w *planWarnings) removes(id int64) {
	w.record(func() {
		if key := w.managed[id]; key != nil {
			delete(key.kept, id)
		}
		if _, known := w.managed[id]; !known {
			w.managed[id] = nil
		}
	})
}

// creates records that a resource is to add a key.
func (w *planWarnings) creates(parent bitbucket.Parent, publicKey publicKeyValue) {
	w.record(func() {
		if key := w.at(parent, publicKey); key != nil {
			key.parent = parent
			key.creates++
			w.changed(key)
		}
	})
}

// plans records that an operation is planned.
func (w *planWarnings) plans(o operation, kind *parentKind) {
	w.record(func() {
		if write := (plannedWrite{o, kind}); !w.writes[write] {
			w.writes[write] = false
		}
	})
}

// begins records that the run begins to change deploy keys.
func (w *planWarnings) begins() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applying = true
	w.keys, w.managed, w.due, w.writes = nil, nil, nil, nil
}

// changed makes the next report check a key, if the key can complete a warning. It needs the
// lock.
func (w *planWarnings) changed(key *plannedKey) {
	if key.creates > 0 && !key.warned {
		w.due = append(w.due, key)
	}
}

// reportKnown gives the warnings that are complete and were not given yet.
func (d *providerData) reportKnown(diags *diag.Diagnostics) {
	if d == nil || d.client == nil {
		return
	}
	w := &d.warnings
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.applying {
		return
	}
	for _, key := range w.due {
		w.warnExists(key, diags)
	}
	w.due = nil
	w.warnForbidden(d.client, diags)
}

// warnExists warns about a key that is to be added although Bitbucket cannot accept it: a key
// can be in a repository or project once.
func (w *planWarnings) warnExists(key *plannedKey, diags *diag.Diagnostics) {
	if key.warned {
		return
	}
	place, kind := describeParent(key.parent), kindOf(key.parent)
	once := fmt.Sprintf("Bitbucket accepts a key once in a %s. ", kind.attribute)
	twice := func(detail string) {
		key.warned = true
		diags.AddWarning("Same deploy key twice in "+place, detail)
	}
	switch {
	case len(key.kept) > 0:
		twice(fmt.Sprintf("The plan adds the key %s to %s, but another resource of this configuration has this key already, as deploy key %d. "+
			once+"The apply will fail to add it again. Remove one of the two resources.", key.place.fingerprint, place, slices.Min(slices.Collect(maps.Keys(key.kept)))))
	case key.creates > 1:
		twice(fmt.Sprintf("Two resources of this configuration add the key %s to %s. "+once+"The apply will fail to add it a second time. Remove one of the two resources.", key.place.fingerprint, place))
	case key.listed != nil:
		if _, managed := w.managed[key.listed.ID]; managed {
			return // A resource has this key. Only its plan shows whether it keeps the key.
		}
		key.warned = true
		id := deployKeyID(key.parent, key.listed.ID)
		diags.AddWarning("Deploy key exists already in "+place, fmt.Sprintf("The plan adds the key %[1]s to %[2]s, which has this key already: deploy key %[3]d, label %[4]q, added %[5]q.\n\n"+
			"If no resource has this key yet, the apply will fail to add it. Import it with this block:\n\n  import {\n    to = %[6]s.NAME\n    id = %[7]q\n  }\n\n"+
			"If only the name, the module, the for_each key or the position in a list of a resource has changed, the apply hands the key over to the new address. A moved block avoids the handover:\n\n"+
			"  moved {\n    from = %[6]s.OLD_NAME\n    to   = %[6]s.NEW_NAME\n  }\n\n"+
			"If another resource of this configuration has the key and keeps it, remove one of the two resources.",
			key.place.fingerprint, place, key.listed.ID, key.listed.Label, key.listed.CreatedOn, kind.typeName, id))
	}
}

// accessTokenTypes are the types of credentials that cannot change the deploy keys of
// repositories. It is not known whether they can change the deploy keys of projects.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#access-tokens
var accessTokenTypes = []string{"repo_access_token", "project_access_token", "workspace_access_token"}

// warnForbidden warns about planned operations that Bitbucket will refuse. It relies on the type
// and the scopes of the credentials in Bitbucket's earlier replies.
func (w *planWarnings) warnForbidden(client *bitbucket.Client, diags *diag.Diagnostics) {
	if len(w.writes) == 0 {
		return
	}
	credential := client.Credential()
	accessToken := slices.Contains(accessTokenTypes, credential.Type)
	planned := slices.SortedFunc(maps.Keys(w.writes), func(a, b plannedWrite) int {
		return cmp.Or(cmp.Compare(a.operation.verb, b.operation.verb), cmp.Compare(b.kind.attribute, a.kind.attribute))
	})
	for _, write := range planned {
		kind, missing, forbidden := write.kind, "", accessToken && write.kind == repositoryKind
		if !accessToken {
			missing = missingScope(write, credential.Scopes)
			forbidden = missing != ""
		}
		if w.writes[write] || !forbidden {
			continue
		}
		w.writes[write] = true
		why := fmt.Sprintf("Bitbucket's replies show that the token is an access token (%s). Access tokens can read the deploy keys of repositories, but cannot add, update or delete them. "+
			useAPIToken+"\n\n", credential.Type)
		if !accessToken {
			why = fmt.Sprintf("Bitbucket's replies show that the credentials lack the scope %s. They have: %s. A scope cannot be added to a token: create a new token.\n\n", missing, strings.Join(credential.Scopes, ", "))
		}
		diags.AddWarning("Credentials cannot "+write.operation.verb+" deploy keys", fmt.Sprintf("The plan needs to %s deploy keys of %s, but the apply will fail. ", write.operation.verb, kind.plural)+
			why+write.operation.requiredCredentials(kind))
	}
}

// oauthScopes are the beginnings of the scopes of OAuth consumers and access tokens. Scopes of
// API tokens end in :bitbucket.
var oauthScopes = []string{"account", "email", "issue", "pipeline", "project", "pullrequest", "repository", "runner", "snippet", "team", "test", "webhook", "wiki"}

// missingScope returns a scope that an operation needs and that is not granted. It returns ""
// if there is none, or if the granted scopes are not known.
func missingScope(write plannedWrite, granted []string) string {
	api := false
	for _, scope := range granted {
		name, _, _ := strings.Cut(scope, ":")
		isAPI := strings.HasSuffix(scope, ":bitbucket")
		if !isAPI && !slices.Contains(oauthScopes, name) {
			return ""
		}
		api = api || isAPI
	}
	oauthAdmin := write.kind.attribute + ":admin"
	if len(granted) == 0 || slices.Contains(granted, oauthAdmin) {
		return ""
	}
	if !api {
		return oauthAdmin
	}
	for _, scope := range []string{"admin:" + write.kind.attribute + ":bitbucket", write.operation.ownScope} {
		if !slices.Contains(granted, scope) {
			return scope
		}
	}
	return ""
}
