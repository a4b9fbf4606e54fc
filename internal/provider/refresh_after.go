package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// refreshAfter decides which deploy keys a refresh reads. A full refresh costs at least one
// request for each repository, so a state with more repositories than Bitbucket allows
// requests in an hour could not be planned at all.
type refreshAfter struct {
	// age is the highest age from which a key is read again. 0 reads every key.
	age time.Duration
	// seed is random for each run.
	seed maphash.Seed

	mu sync.Mutex
	// notRead has the IDs of the keys that the refresh of this run has skipped. oldest is the
	// oldest time at which a skipped key was read.
	notRead map[string]bool
	oldest  time.Time
}

// lastRead is what the private state of a key stores about its last read. Terraform writes
// private state only during apply.
type lastRead struct {
	// At is when a request has last shown that Bitbucket has the key as it is in the state. It
	// is zero if the key must be read.
	At time.Time `json:"at"`
	// Share sets the age at which the key is read again: 0 means half of refresh_after, 1 means
	// all of it, and numbers between 0 and 1 mean ages between.
	Share float64 `json:"share"`
}

// lastReadName is the name of the private value.
const lastReadName = "last_read"

// privateState is the private state of a resource in a call of Terraform. The framework does
// not export its type.
type privateState interface {
	GetKey(ctx context.Context, name string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, name string, value []byte) diag.Diagnostics
}

// lastReadOf returns the stored value, or the zero value if the stored value cannot be decoded.
// The key is then read again, which repairs the stored value.
func lastReadOf(ctx context.Context, private privateState, diags *diag.Diagnostics) lastRead {
	value, moreDiags := private.GetKey(ctx, lastReadName)
	diags.Append(moreDiags...)
	var read lastRead
	if json.Unmarshal(value, &read) != nil {
		return lastRead{}
	}
	return read
}

// newLastRead describes a read at this time. Share differs between parents, so that keys that
// were read together are not due together. Share also differs between runs: otherwise runs at
// regular times would read the same keys together again and again.
//
// If one run reads several keys of a parent, they have the same share, because one listing reads
// them all.
func (a *refreshAfter) newLastRead(parent bitbucket.Parent, at time.Time) lastRead {
	hash := maphash.Comparable(a.seed, parent.Lower())
	return lastRead{at.UTC().Truncate(time.Second), float64(hash%1000) / 1000}
}

// store stores when a request for the key was sent. It removes the stored time instead if every
// refresh reads every key, or if JSON cannot hold the time, because the clock is then wrong.
func (a *refreshAfter) store(ctx context.Context, private privateState, parent bitbucket.Parent, at time.Time, diags *diag.Diagnostics) {
	value, err := json.Marshal(a.newLastRead(parent, at))
	if a.age == 0 || err != nil {
		markDue(ctx, private, diags)
		return
	}
	diags.Append(private.SetKey(ctx, lastReadName, value)...)
}

// markDue makes the next refresh read the key, because the key in Bitbucket may differ from the
// state.
func markDue(ctx context.Context, private privateState, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, lastReadName, nil)...)
}

// due reports whether a key must be read again. The zero time is older than any age, and a
// time in the future shows that a clock was wrong.
func (a *refreshAfter) due(read lastRead, now time.Time) bool {
	share := min(max(read.Share, 0), 1)
	age := now.Sub(read.At)
	return age < 0 || float64(age) >= float64(a.age)/2*(1+share)
}

// skips reports whether the refresh skips this key. It logs how many keys the refresh has skipped
// so far, and the oldest time at which a skipped key was read.
func (a *refreshAfter) skips(ctx context.Context, id string, read lastRead) bool {
	if a.due(read, time.Now()) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.notRead == nil {
		a.notRead = map[string]bool{}
	}
	a.notRead[id] = true
	if a.oldest.IsZero() || read.At.Before(a.oldest) {
		a.oldest = read.At
	}
	tflog.Info(ctx, "deploy key was not read again because of refresh_after", map[string]any{
		"id": id, "last_read": read.At.Format(time.RFC3339), "keys_not_read": len(a.notRead), "oldest_last_read": a.oldest.Format(time.RFC3339),
	})
	return true
}

// skipped reports whether the refresh of this run has skipped this key.
func (a *refreshAfter) skipped(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.notRead[id]
}

// planAgain returns the advice for a write that did not find the key, although the state has
// it. It is "" for another error, and if every refresh reads every key.
func (a *refreshAfter) planAgain(read lastRead, err error) string {
	if a.age == 0 || read.At.IsZero() || !bitbucket.IsNotFound(err) {
		return ""
	}
	return fmt.Sprintf("This provider has last read the key at %s: because of refresh_after, not every plan reads it. "+
		"The next plan reads this key again. Plan and apply again.\n\n%s", read.At.Format(time.RFC3339), linkTo("errors-deploy-keys#update-did-not-find-the-key"))
}
