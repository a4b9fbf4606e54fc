package provider

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
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
	// age is the age from which a key is read again. 0 reads every key.
	age time.Duration

	mu sync.Mutex
	// notRead has the IDs of the keys that this run has not read. oldest is the oldest time at
	// which one of them was read.
	notRead map[string]bool
	oldest  time.Time
}

// lastRead is the name of the private value with the time at which Bitbucket last returned
// the key as it is in the state. Terraform stores it in the state, but only during apply.
const lastRead = "last_read"

// privateState is the private state of a resource in a call of Terraform.
type privateState interface {
	GetKey(ctx context.Context, name string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, name string, value []byte) diag.Diagnostics
}

// lastReadOf returns the stored time, the zero time if there is none. A value that is not a
// time counts as none: the key is then read again, which repairs the value.
func lastReadOf(ctx context.Context, private privateState, diags *diag.Diagnostics) time.Time {
	value, moreDiags := private.GetKey(ctx, lastRead)
	diags.Append(moreDiags...)
	var read time.Time
	if json.Unmarshal(value, &read) != nil {
		return time.Time{}
	}
	return read
}

// store stores the time at which a request for the key was sent. If every key is read in
// every refresh, nobody needs the time, so store removes it.
func (a *refreshAfter) store(ctx context.Context, private privateState, read time.Time, diags *diag.Diagnostics) {
	if a.age == 0 {
		markDue(ctx, private, diags)
		return
	}
	value := read.UTC().Truncate(time.Second).Format(`"` + time.RFC3339 + `"`)
	diags.Append(private.SetKey(ctx, lastRead, []byte(value))...)
}

// markDue lets the next refresh read the key, because Bitbucket may have something else than
// the state.
func markDue(ctx context.Context, private privateState, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, lastRead, nil)...)
}

// due reports whether a key that was read at this time must be read again. The zero time is
// older than any age, and a time in the future shows that a clock was wrong.
func (a *refreshAfter) due(parent bitbucket.Parent, read, now time.Time) bool {
	age := now.Sub(read)
	return age < 0 || age >= a.ageOf(parent)
}

// ageOf returns the age from which the keys of a parent are read again. It is between half
// of the configured age and the whole, so that keys that were added at once are not read
// again at once. The keys of one parent have the same age, because one listing reads them.
func (a *refreshAfter) ageOf(parent bitbucket.Parent) time.Duration {
	name := parent.UUID
	if name == "" {
		name = parent.Lower().String()
	}
	sum := sha256.Sum256([]byte(name))
	share := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	return time.Duration(float64(a.age) / 2 * (1 + share))
}

// skips reports whether the refresh does not read this key, and logs how many keys it has
// not read so far, and the oldest time at which one of them was read.
func (a *refreshAfter) skips(ctx context.Context, parent bitbucket.Parent, id string, read time.Time) bool {
	if a.due(parent, read, time.Now()) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.notRead == nil {
		a.notRead = map[string]bool{}
	}
	a.notRead[id] = true
	if a.oldest.IsZero() || read.Before(a.oldest) {
		a.oldest = read
	}
	tflog.Info(ctx, "deploy key was not read again because of refresh_after", map[string]any{
		"id": id, "last_read": read.Format(time.RFC3339), "keys_not_read": len(a.notRead), "oldest_last_read": a.oldest.Format(time.RFC3339),
	})
	return true
}

// skipped reports whether the refresh of this run has not read this key.
func (a *refreshAfter) skipped(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.notRead[id]
}

// planAgain returns the advice for a write that did not find the key, although the state has
// it. It is "" for another error, and if every refresh reads every key.
func (a *refreshAfter) planAgain(read time.Time, err error) string {
	if a.age == 0 || read.IsZero() || !bitbucket.IsNotFound(err) {
		return ""
	}
	return fmt.Sprintf("This provider has last read the key at %s: because of refresh_after, not every plan reads it. "+
		"The next plan reads this key again. Plan and apply again.", read.Format(time.RFC3339))
}
