package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// maxListingAge is how long a listing may be used. Terraform writes nothing while it
// refreshes, so an old listing can only miss changes that were made outside of Terraform.
const maxListingAge = 5 * time.Minute

// maxSingleGets is how many keys of one parent are requested one by one. After that, the
// cache reads the next page of the listing instead.
const maxSingleGets = 2

// cache answers reads of single keys from listings. This saves requests, because Bitbucket
// limits their number and one request lists a hundred keys.
type cache struct {
	client *bitbucket.Client
	mu     sync.Mutex
	// listings has the current listing of each parent, by the parent's name in lower case.
	listings map[bitbucket.Parent]*listing
	// onListed is called with the keys of each page: see [Service.OnListed].
	onListed func(parent bitbucket.Parent, keys []bitbucket.DeployKey)
}

func newCache(client *bitbucket.Client) *cache {
	return &cache{client: client, listings: map[bitbucket.Parent]*listing{}}
}

// listing holds the keys of one parent, as far as the cache has read them.
type listing struct {
	started  time.Time
	pager    *bitbucket.Pager[bitbucket.DeployKey]
	pages    int
	complete bool
	keys     map[int64]*bitbucket.DeployKey
	// order has the IDs in Bitbucket's order. A key that was requested by itself is added
	// to keys at once, but to order only when its page is read.
	order  []int64
	listed map[int64]bool
	// unreadable has the IDs for [Listing.Unreadable].
	unreadable []int64

	// readers counts the reads of single keys in progress. singleGets counts the keys that
	// were requested one by one although there were more pages.
	readers, singleGets int
	// page is the call for the next page. singles are the calls for single keys.
	page    *sharedCall
	singles map[int64]*sharedCall
}

// key returns one key. The first read of a parent requests the first page, which holds all
// keys of a parent with up to 100 keys. For a key that is not on the pages so far, key requests
// the key itself while few reads are in progress, and the next page otherwise.
//
//	keys that are read, of a parent with several pages   requests, at most
//	one or two                                           1 for the first page, 1 for each key
//	any number                                           1 for each page, 2 for single keys
func (c *cache) key(ctx context.Context, parent bitbucket.Parent, id int64) (*bitbucket.DeployKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.current(parent)
	l.readers++
	defer func() { l.readers-- }()
	for {
		if key, found := l.keys[id]; found {
			answer := *key
			return &answer, nil
		}
		preferSingleGet := l.pages > 0 && l.readers <= 2 && l.singleGets < maxSingleGets
		var call *sharedCall
		switch {
		case l.singles[id] != nil:
			call = l.singles[id]
		case l.complete && len(l.unreadable) == 0 && ownerUnverifiable(l.order, parent):
			return nil, errEmptyListing
		case l.page == nil && preferSingleGet && !l.complete && len(l.singles) > 0:
			// Wait for the other request: if neither key is found, both requests would read the
			// first page again.
			if err := c.waitForAny(ctx, l); err != nil {
				return nil, err
			}
			continue
		case l.page == nil && (l.complete || preferSingleGet):
			call = c.getSingle(ctx, l, parent, id)
		default:
			call = c.readPage(ctx, l, parent)
		}
		if err := c.wait(ctx, call); err != nil {
			return nil, err
		}
	}
}

// all returns the complete listing of a parent, from all pages.
func (c *cache) all(ctx context.Context, parent bitbucket.Parent) (Listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.current(parent)
	for !l.complete {
		if err := c.wait(ctx, c.readPage(ctx, l, parent)); err != nil {
			return Listing{}, err
		}
	}
	return l.values(), nil
}

// current returns the listing that a new read may use. It starts a new listing if there is
// none or if the listing is too old.
func (c *cache) current(parent bitbucket.Parent) *listing {
	name := parent.Lower()
	l := c.listings[name]
	if l == nil || time.Since(l.started) > maxListingAge {
		l = newListing(c.client.ListDeployKeys(parent))
		c.listings[name] = l
	}
	return l
}

func newListing(pager *bitbucket.Pager[bitbucket.DeployKey]) *listing {
	return &listing{
		started: time.Now(),
		pager:   pager,
		keys:    map[int64]*bitbucket.DeployKey{},
		listed:  map[int64]bool{},
		singles: map[int64]*sharedCall{},
	}
}

// values returns a copy of the listing, as far as its pages were read.
func (l *listing) values() Listing {
	return Listing{Keys: l.keysFrom(0), Unreadable: slices.Clone(l.unreadable)}
}

// keysFrom returns a copy of the keys on the pages that were read. It skips as many keys as
// first says.
func (l *listing) keysFrom(first int) []bitbucket.DeployKey {
	keys := make([]bitbucket.DeployKey, len(l.order)-first)
	for i, id := range l.order[first:] {
		keys[i] = *l.keys[id]
	}
	return keys
}

// drop removes the listings of the parent under any alias, because a write may have changed
// them.
func (c *cache) drop(parent bitbucket.Parent) {
	name := parent.Lower()
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.listings, func(other bitbucket.Parent, _ *listing) bool {
		return maybeSame(name.Workspace, other.Workspace) && maybeSame(name.Repository, other.Repository) && name.Project == other.Project
	})
}

// readPage returns the call for the next page. It starts the call if there is none. If the
// call fails, the listing is removed, so that only the reads that wait for the call fail.
func (c *cache) readPage(ctx context.Context, l *listing, parent bitbucket.Parent) *sharedCall {
	if l.page != nil {
		return l.page
	}
	forget := func() {
		l.page = nil
		if c.listings[parent.Lower()] == l {
			delete(c.listings, parent.Lower())
		}
	}
	pager := l.pager.Clone() // A cancelled request must not move the pager of the listing.
	l.page = c.start(ctx, forget, func(ctx context.Context) func() error {
		page, err := pager.NextPage(ctx)
		return func() error {
			if err != nil {
				forget()
				return err
			}
			l.page, l.pager = nil, pager
			known := len(l.order)
			l.add(page)
			if c.onListed != nil {
				c.onListed(parent, l.keysFrom(known))
			}
			return nil
		}
	})
	return l.page
}

// add adds the values of a page.
func (l *listing) add(page bitbucket.Page[bitbucket.DeployKey]) {
	l.pages++
	l.complete = !l.pager.HasMore()
	for key, err := range page {
		if err != nil {
			var id int64
			if value, ok := errors.AsType[*bitbucket.UnreadableKeyError](err); ok {
				id = value.ID
			}
			if !slices.Contains(l.unreadable, id) {
				l.unreadable = append(l.unreadable, id)
			}
			continue
		}
		if !l.listed[key.ID] {
			l.order = append(l.order, key.ID)
		}
		l.listed[key.ID], l.keys[key.ID] = true, &key
	}
}

// getSingle starts a request for a single key. A 404 alone does not prove that the key is
// gone: the parent must also list its keys without this key.
//
// If all pages were read, the listing has already shown this. The request then uses the UUID
// of the repository, if it is known. The UUID finds the key even if the repository was renamed
// and its name now belongs to a different repository.
func (c *cache) getSingle(ctx context.Context, l *listing, parent bitbucket.Parent, id int64) *sharedCall {
	complete := l.complete
	if !complete {
		l.singleGets++
	}
	forget := func() { delete(l.singles, id) }
	l.singles[id] = c.start(ctx, forget, func(ctx context.Context) func() error {
		name := parent
		if complete && name.Project == "" && name.UUID != "" {
			name.Repository = name.UUID
		}
		key, err := c.client.GetDeployKey(ctx, name, id)
		if bitbucket.IsNotFound(err) && !complete {
			err = c.confirmGone(ctx, parent, id, err)
		}
		return func() error {
			forget()
			switch {
			case err == nil:
				l.keys[id] = key
			case bitbucket.IsNotFound(err) && complete:
				err = goneFrom(l.values(), parent, id, err)
			}
			return err
		}
	})
	return l.singles[id]
}

// confirmGone requests the first page again after a 404 for a key. Only a parent that Bitbucket
// still finds can show that the key is gone.
func (c *cache) confirmGone(ctx context.Context, parent bitbucket.Parent, id int64, notFound error) error {
	now := newListing(c.client.ListDeployKeys(parent))
	page, err := now.pager.NextPage(ctx)
	if err != nil {
		return err
	}
	now.add(page)
	return goneFrom(now.values(), parent, id, notFound)
}

// goneFrom interprets a 404 for a key with the listing of the parent. It returns notFound if
// the key is or may be listed, or if the listing belongs to a different parent, because the
// 404 then proves nothing. Otherwise it returns [ErrGone] or errEmptyListing.
func goneFrom(listed Listing, parent bitbucket.Parent, id int64, notFound error) error {
	for _, key := range listed.Keys {
		if key.ID == id || belongsElsewhere(parent, &key) {
			return notFound
		}
	}
	if listed.mayHide(id) {
		return fmt.Errorf("%w; %w", notFound, listed.Err())
	}
	if ownerUnverifiable(listed.Keys, parent) {
		return errEmptyListing
	}
	return ErrGone
}

// waitForAny waits until a request for a different key has ended, with or without an error.
func (c *cache) waitForAny(ctx context.Context, l *listing) error {
	for _, call := range l.singles {
		if err := c.wait(ctx, call); ctx.Err() != nil {
			return err
		}
		break
	}
	return nil
}
