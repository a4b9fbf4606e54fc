package deploykeys

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// A renamed resource, a shifted count list or two swapped keys change addresses, not keys.
// Terraform then deletes and creates the same key of the same parent side by side, in any
// order. If the create comes first, Bitbucket refuses it, and the delete would remove a key
// that the configuration wants. So a create that meets an existing key waits for the delete
// of this run, which hands the key over instead of removing it.

const (
	// maxIdle is how long no call may make progress before a waiting create gives up.
	maxIdle = 2 * time.Second
	// maxIdleAgain replaces maxIdle after a create has given up, if a longer wait is probably
	// useless: no call has started since, or at least as many creates wait as then. Those
	// creates fill all slots of -parallelism, so no delete can start.
	maxIdleAgain = maxIdle / 8
)

// handovers connects the creates and deletes of one run that concern the same key.
type handovers struct {
	mu sync.Mutex
	// contested has the keys that this run creates or deletes, by their fingerprint. A
	// fingerprint has one entry for each parent of the key.
	contested map[string][]*contestedKey
	// working counts the calls in progress that do not wait for a handover.
	working int
	// waiting has the creates that wait for a handover, the oldest first.
	waiting []*waitingCreate
	// idle lets the oldest waiting create give up. It runs while no call makes progress.
	idle *time.Timer
	// stuckWith is how many creates waited when a create last gave up, 0 if none has given up.
	// gaveUp reports that no call has started since.
	stuckWith int
	gaveUp    bool
	// deleteEnded is closed and set to nil when a delete ends. awaitDeletes creates it.
	deleteEnded chan struct{}
}

// contestedKey is a key of one parent that this run creates or deletes.
type contestedKey struct {
	parent bitbucket.Parent
	// deleting counts the deletes in progress.
	deleting int
	// deleted and added have the IDs of the keys that this run has removed and added. taken has
	// the IDs of existing keys that a create has taken over. Another resource, which is to be
	// deleted, may still have such an ID.
	deleted, added, taken map[int64]bool
	// wanted reports that a create has given up because the key exists. A delete must then not
	// remove the key, because the configuration wants it.
	wanted bool
}

// waitingCreate is a create that has met an existing key.
type waitingCreate struct {
	key *contestedKey
	id  int64
	// settled receives how the wait ended.
	settled chan handover
}

// handover is how the wait of a create ended.
type handover int

const (
	// notHandedOver means that this run has not deleted the key: the create fails.
	notHandedOver handover = iota
	// handedOver means that a delete has left the key to the create.
	handedOver
	// removed means that a delete has removed the key: the create must send its request again.
	removed
)

// begin counts a call that makes progress. The caller must call end when the call returns.
func (h *handovers) begin() (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.working++
	h.gaveUp = false
	h.watchIdle()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.working--
		h.watchIdle()
	}
}

// contest returns the record of a key of a parent, and adds the record if there is none.
func (h *handovers) contest(parent bitbucket.Parent, publicKey string) *contestedKey {
	fingerprint := publicKey
	if key, err := sshkey.Split(publicKey); err == nil {
		fingerprint = key.FingerprintSHA256()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.contested[fingerprint] {
		if sameParent(k.parent, parent) {
			k.parent.UUID = cmp.Or(k.parent.UUID, parent.UUID) // A create finds the UUID in the existing key.
			return k
		}
	}
	if h.contested == nil {
		h.contested = map[string][]*contestedKey{}
	}
	k := &contestedKey{parent: parent, deleted: map[int64]bool{}, added: map[int64]bool{}, taken: map[int64]bool{}}
	h.contested[fingerprint] = append(h.contested[fingerprint], k)
	return k
}

// sameParent reports whether both names mean the same parent: by their UUIDs if both are
// known, else by their spelling.
func sameParent(a, b bitbucket.Parent) bool {
	if uuidA, uuidB := knownUUID(a), knownUUID(b); uuidA != "" && uuidB != "" {
		return strings.EqualFold(uuidA, uuidB)
	}
	return a.Lower() == b.Lower()
}

// knownUUID returns the UUID of a parent, "" if it is not known. A repository may have its UUID
// as its name.
func knownUUID(parent bitbucket.Parent) string {
	if parent.UUID == "" && strings.HasPrefix(parent.Repository, "{") {
		return parent.Repository
	}
	return parent.UUID
}

// awaitDeletes waits until no delete of the key is in progress. It returns how many deletes of
// the key this run has carried out.
func (h *handovers) awaitDeletes(ctx context.Context, k *contestedKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k.deleting > 0 && ctx.Err() == nil {
		if h.deleteEnded == nil {
			h.deleteEnded = make(chan struct{})
		}
		ended := h.deleteEnded
		h.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		h.mu.Lock()
	}
	return len(k.deleted)
}

// add records a new key.
func (h *handovers) add(k *contestedKey, id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k.added[id] = true
}

// isAdded reports whether a create of this run has added the key with this ID or taken it over.
func (h *handovers) isAdded(k *contestedKey, id int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return k.added[id] || k.taken[id]
}

// take records that a create has found its key after a lost reply. It returns false if another
// create has the key, or if a delete of this run has removed or may remove the key.
func (h *handovers) take(ctx context.Context, k *contestedKey, id int64) bool {
	h.awaitDeletes(ctx, k)
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.deleting > 0 || k.deleted[id] || k.added[id] || k.taken[id] {
		return false
	}
	k.taken[id] = true
	return true
}

// await waits until a delete hands over or removes the key with this ID. It gives up when ctx
// ends, or when no call makes progress.
func (h *handovers) await(ctx context.Context, k *contestedKey, id int64) handover {
	h.mu.Lock()
	if k.deleted[id] {
		h.mu.Unlock()
		return removed
	}
	w := &waitingCreate{key: k, id: id, settled: make(chan handover, 1)}
	h.waiting = append(h.waiting, w)
	h.working--
	h.watchIdle()
	h.mu.Unlock()

	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.working++
		h.watchIdle()
	}()
	select {
	case result := <-w.settled:
		return result
	case <-ctx.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		h.settle(w, notHandedOver)
		return <-w.settled
	}
}

// settle ends the wait of a create, unless it has ended already. It needs the lock.
func (h *handovers) settle(w *waitingCreate, result handover) {
	i := slices.Index(h.waiting, w)
	if i < 0 {
		return
	}
	h.waiting = slices.Delete(h.waiting, i, i+1)
	w.key.wanted = w.key.wanted || result == notHandedOver
	w.settled <- result
}

// watchIdle starts or stops the timer after a change. It needs the lock.
func (h *handovers) watchIdle() {
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	if h.working > 0 || len(h.waiting) == 0 {
		return
	}
	wait := maxIdle
	if h.gaveUp || h.stuckWith > 0 && len(h.waiting) >= h.stuckWith {
		wait = maxIdleAgain
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.idle == timer { // Nothing has changed meanwhile.
			h.stuckWith, h.gaveUp = len(h.waiting), true
			h.settle(h.waiting[0], notHandedOver)
		}
	})
	h.idle = timer
}

// deletion decides what a delete must do about a key.
type deletion int

const (
	// sendDelete means that the delete must remove the key, and call endDelete.
	sendDelete deletion = iota
	// leaveKey means that a create of this run has the key now.
	leaveKey
	// withholdDelete means that a create of this run has failed because the key exists.
	withholdDelete
)

// beginDelete decides what a delete of the key with this ID must do. It hands the key over if a
// create waits for it.
func (h *handovers) beginDelete(k *contestedKey, id int64) deletion {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.taken[id] {
		return leaveKey
	}
	for _, w := range h.waiting {
		if w.key == k && w.id == id {
			k.taken[id] = true
			h.settle(w, handedOver)
			return leaveKey
		}
	}
	if k.wanted {
		return withholdDelete
	}
	k.deleting++
	return sendDelete
}

// endDelete records the end of a delete and wakes awaitDeletes. If the delete has removed the
// key, endDelete also ends the waits of the creates for this key.
func (h *handovers) endDelete(k *contestedKey, id int64, done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k.deleting--
	if h.deleteEnded != nil {
		close(h.deleteEnded)
		h.deleteEnded = nil
	}
	if !done {
		return
	}
	k.deleted[id] = true
	for _, w := range slices.Clone(h.waiting) {
		if w.key == k && w.id == id {
			h.settle(w, removed)
		}
	}
}
