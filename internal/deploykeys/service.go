// Package deploykeys provides the operations on deploy keys that need more than one
// request: reads that share listings, writes that look up the outcome after a lost reply,
// access to renamed repositories, and a walk over a workspace. It does not depend on
// Terraform.
package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// Service reads and writes deploy keys for one run of Terraform. It stores listings, the
// new names of repositories, and the IDs of the keys that it has added. It is safe for
// concurrent use.
type Service struct {
	client    *bitbucket.Client
	cache     *cache
	aliases   aliases
	handovers handovers
}

// New returns a service that sends its requests through client.
func New(client *bitbucket.Client) *Service {
	return &Service{client: client, cache: newCache(client)}
}

// OnListed sets a function that receives the keys of each page that this service reads, and
// causes no request. Set the function before the first request. The function must not call the
// service, because the cache is locked while the function runs.
func (s *Service) OnListed(listed func(parent bitbucket.Parent, keys []bitbucket.DeployKey)) {
	s.cache.onListed = listed
}

// ErrGone reports that a key does not exist although its repository or project does.
var ErrGone = errors.New("it has no such deploy key")

// Get returns one key, if possible from a listing that is shared with other calls. The
// listing is at most five minutes old, and never older than the last write of this service.
// Get tries the aliases of a renamed repository.
//
// If the key is gone although its parent still exists, the error is [ErrGone]. A 404 alone
// does not prove this: the parent may be gone, or these credentials may not see it.
func (s *Service) Get(ctx context.Context, parent bitbucket.Parent, id int64) (*bitbucket.DeployKey, error) {
	defer s.handovers.begin()()
	return tryAliases(&s.aliases, parent, func(alias bitbucket.Parent) (*bitbucket.DeployKey, error) {
		key, err := s.cache.key(ctx, alias, id)
		if err == nil {
			err = checkParent(alias, key)
		}
		if err != nil {
			return nil, err
		}
		return key, nil
	})
}

// List returns all keys of a parent, from listings that are shared with other calls as in
// Get. If the UUID of the parent is known, List never returns the keys of a different
// parent that now has the same name.
func (s *Service) List(ctx context.Context, parent bitbucket.Parent) (Listing, error) {
	defer s.handovers.begin()()
	listing, err := tryAliases(&s.aliases, parent, func(alias bitbucket.Parent) (Listing, error) {
		listing, err := s.cache.all(ctx, alias)
		switch {
		case err != nil:
			return Listing{}, err
		case ownerUnverifiable(listing.Keys, alias):
			return listing, errEmptyListing
		case len(listing.Keys) > 0 && belongsElsewhere(alias, &listing.Keys[0]):
			return Listing{}, checkParent(alias, &listing.Keys[0])
		}
		return listing, nil
	})
	if errors.Is(err, errEmptyListing) {
		return listing, nil
	}
	return listing, err
}

// ListComplete returns the same keys as List. If the parent also has an entry that cannot be
// read, the error is an [*UnreadableError].
func (s *Service) ListComplete(ctx context.Context, parent bitbucket.Parent) ([]bitbucket.DeployKey, error) {
	listing, err := s.List(ctx, parent)
	if err == nil {
		err = listing.Err()
	}
	if err != nil {
		return nil, err
	}
	return listing.Keys, nil
}

// ListAgain is ListComplete with a listing that is not older than the call.
func (s *Service) ListAgain(ctx context.Context, parent bitbucket.Parent) ([]bitbucket.DeployKey, error) {
	s.cache.drop(parent)
	return s.ListComplete(ctx, parent)
}

// checkParent returns ErrNameReused if the key shows that the name of the parent now
// belongs to a different parent.
func checkParent(parent bitbucket.Parent, key *bitbucket.DeployKey) error {
	if !belongsElsewhere(parent, key) {
		return nil
	}
	return fmt.Errorf("%w: the deploy keys under this name are on %s, and not on %s", ErrNameReused, transport.Printable(key.ParentUUID()), parent.UUID)
}

// belongsElsewhere reports whether a key has a different parent than expected.
func belongsElsewhere(parent bitbucket.Parent, key *bitbucket.DeployKey) bool {
	return parent.UUID != "" && key.ParentUUID() != "" && !strings.EqualFold(key.ParentUUID(), parent.UUID)
}

// ownerUnverifiable reports whether a listing is empty and so cannot prove that this is the
// expected repository: the name may now belong to a different repository. A project has no
// alias to try, so its empty listing is accepted.
func ownerUnverifiable[T any](listed []T, parent bitbucket.Parent) bool {
	return len(listed) == 0 && parent.Project == "" && parent.UUID != "" && !strings.EqualFold(parent.Repository, parent.UUID)
}
