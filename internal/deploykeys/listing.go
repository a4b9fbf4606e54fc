package deploykeys

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Listing holds the entries that Bitbucket lists for a parent.
type Listing struct {
	// Keys are in Bitbucket's order.
	Keys []bitbucket.DeployKey
	// Unreadable has the IDs of the entries that cannot be read, for example because they have
	// no public key. It has 0 for entries without an ID. If Unreadable is not empty, a key that
	// is not in Keys may still exist.
	Unreadable []int64
}

// Err returns an [*UnreadableError] if the listing has unreadable entries. Call it before a
// decision that depends on a key that is not in the listing.
func (l Listing) Err() error {
	if len(l.Unreadable) == 0 {
		return nil
	}
	return &UnreadableError{l.Unreadable}
}

// mayHide reports whether an unreadable entry may be the key with this ID.
func (l Listing) mayHide(id int64) bool {
	return slices.Contains(l.Unreadable, id) || slices.Contains(l.Unreadable, 0)
}

// UnreadableError reports that a parent lists entries that cannot be read. It wraps
// [bitbucket.ErrUnusable].
type UnreadableError struct{ IDs []int64 }

// Error names the entries.
func (e *UnreadableError) Error() string {
	return "Bitbucket lists entries without a readable key: " + e.Entries()
}

// Entries names the entries.
func (e *UnreadableError) Entries() string {
	names := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		names[i] = fmt.Sprintf("deploy key %d", id)
		if id == 0 {
			names[i] = "an entry without an ID"
		}
	}
	return strings.Join(names, ", ")
}

// Unwrap returns [bitbucket.ErrUnusable].
func (*UnreadableError) Unwrap() error { return bitbucket.ErrUnusable }
