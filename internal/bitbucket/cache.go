package bitbucket

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxListingAge is how long a listing is good for. Terraform writes nothing
// while it refreshes, so only what others change can be missed.
const maxListingAge = 5 * time.Minute

// listings answer reads of single keys from listings of their places: Bitbucket
// counts requests, and one request lists a hundred keys.
type listings struct {
	c  *Client
	mu sync.Mutex
	// of has the current listing of each place, by its name in lower case.
	of map[Place]*listing
}

// listing is what a place has been seen to hold.
type listing struct {
	begun time.Time
	// next is the page to read next, nil when all were read, which read has.
	next *url.URL
	read map[string]bool
	keys map[int64]*DeployKey
	// order has the ids as Bitbucket lists them. A key that was asked for by
	// itself is in keys, but in order only when its page comes.
	order  []int64
	listed map[int64]bool
	// unusable is the error of the first value that is no deploy key.
	unusable error

	// waiting counts the reads under way, singles the keys that were asked for
	// one by one although there were more pages.
	waiting, singles int
	// page is the page under way, asked the single keys.
	page  *flight
	asked map[int64]*flight
}

// flight is an exchange that any number of reads wait for. It runs on a context
// of its own, which ends when nobody waits any more.
type flight struct {
	waiting int
	done    chan struct{}
	err     error
	// giveUp ends the exchange and makes sure that no other read joins it.
	giveUp func()
}

// key returns one key. The first read of a place asks for its first page, which
// answers all others of a place with up to 100 keys. A key that is not on the
// pages so far is asked for by itself while few reads wait, else the next page is
// read: the cost is one request more than keys for one or two keys, and two more
// than pages for any number.
func (l *listings) key(ctx context.Context, place Place, id int64) (*DeployKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.current(place)
	held.waiting++
	defer func() { held.waiting-- }()
	for {
		if key, found := held.keys[id]; found {
			answer := *key
			return &answer, nil
		}
		few := len(held.read) > 0 && held.waiting <= 2 && held.singles < 2
		var awaited *flight
		switch {
		case held.asked[id] != nil:
			awaited = held.asked[id]
		case held.complete() && isAnybodys(held.order, place):
			return nil, errNoneListed
		case held.page == nil && few && !held.complete() && len(held.asked) > 0:
			// Not found, either would ask for the same page again.
			if err := l.waitForAny(ctx, held); err != nil {
				return nil, err
			}
			continue
		case held.page == nil && (held.complete() || few):
			awaited = l.ask(ctx, held, place, id)
		default:
			awaited = l.readPage(ctx, held, place)
		}
		if err := l.wait(ctx, awaited); err != nil {
			return nil, err
		}
	}
}

// all returns every key of a place, from all pages.
func (l *listings) all(ctx context.Context, place Place) ([]DeployKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.current(place)
	held.waiting++
	defer func() { held.waiting-- }()
	for !held.complete() {
		if err := l.wait(ctx, l.readPage(ctx, held, place)); err != nil {
			return nil, err
		}
	}
	if held.unusable != nil {
		return nil, held.unusable
	}
	return held.values(), nil
}

// current returns the listing that a new read may use.
func (l *listings) current(place Place) *listing {
	name := place.lower()
	held := l.of[name]
	if held == nil || time.Since(held.begun) > maxListingAge {
		held = &listing{
			begun:  time.Now(),
			next:   firstPage(l.c.deployKeysURL(place)),
			read:   map[string]bool{},
			keys:   map[int64]*DeployKey{},
			listed: map[int64]bool{},
			asked:  map[int64]*flight{},
		}
		l.of[name] = held
	}
	return held
}

// isAnybodys tells whether what is listed does not show whose it is, for lack of
// keys: the name of a repository may have been taken by a new one. For an empty
// project there is no other name to ask for.
func isAnybodys[T any](listed []T, place Place) bool {
	return len(listed) == 0 && place.Project == "" && place.UUID != "" && !strings.EqualFold(place.Repository, place.UUID)
}

// values are the keys of the pages so far, as Bitbucket lists them.
func (h *listing) values() []DeployKey {
	values := make([]DeployKey, len(h.order))
	for i, id := range h.order {
		values[i] = *h.keys[id]
	}
	return values
}

// complete tells whether all pages were read.
func (h *listing) complete() bool { return h.next == nil }

// drop forgets what a write may have changed, under whatever name of the place it
// was listed.
func (l *listings) drop(place Place) {
	name := place.lower()
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.of, func(other Place, _ *listing) bool {
		return mayBeSame(name.Workspace, other.Workspace) && mayBeSame(name.Repository, other.Repository) && name.Project == other.Project
	})
}

// readPage returns the flight of the next page, which it begins if there is none.
// A listing that fails is forgotten, so that only reads that wait for it fail.
func (l *listings) readPage(ctx context.Context, held *listing, place Place) *flight {
	if held.page != nil {
		return held.page
	}
	u := held.next
	forget := func() {
		held.page = nil
		if l.of[place.lower()] == held {
			delete(l.of, place.lower())
		}
	}
	held.page = l.begin(ctx, forget, func(ctx context.Context) func() error {
		values, next, err := l.c.page(ctx, u)
		return func() error {
			held.page = nil
			held.read[u.String()] = true
			if err == nil {
				err = endless(u, next, held.read)
			}
			if err != nil {
				forget()
				return err
			}
			held.next = next
			held.add(values, u)
			return nil
		}
	})
	return held.page
}

// add takes over the keys of a page.
func (h *listing) add(values []json.RawMessage, u *url.URL) {
	for _, value := range values {
		var key DeployKey
		if json.Unmarshal(value, &key) != nil || key.check(http.MethodGet, u, 0) != nil {
			if h.unusable == nil {
				h.unusable = unusable(http.MethodGet, u, "one of its values is no deploy key with an id")
			}
			continue
		}
		if !h.listed[key.ID] {
			h.order = append(h.order, key.ID)
		}
		h.listed[key.ID], h.keys[key.ID] = true, &key
	}
}

// ask begins a request for a single key. Where it is not found, the place must
// list its keys without it to say that it is gone; if all pages were read, it just
// did. Then the request goes by the UUID of a repository, which also finds the key
// if it was renamed and its name is another's now.
func (l *listings) ask(ctx context.Context, held *listing, place Place, id int64) *flight {
	complete := held.complete()
	if !complete {
		held.singles++
	}
	forget := func() { delete(held.asked, id) }
	held.asked[id] = l.begin(ctx, forget, func(ctx context.Context) func() error {
		name := place
		if complete && name.Project == "" && name.UUID != "" {
			name.Repository = name.UUID
		}
		key, err := l.c.FindDeployKey(ctx, name, id)
		if IsNotFound(err) && !complete {
			err = l.confirmGone(ctx, place, id, err)
		}
		return func() error {
			forget()
			switch {
			case err == nil:
				held.keys[id] = key
			case IsNotFound(err) && complete:
				err = gone(held.values(), place, id, err)
			}
			return err
		}
	})
	return held.asked[id]
}

// confirmGone asks for the first page once more: only a place that still answers
// can say that a key is gone.
func (l *listings) confirmGone(ctx context.Context, place Place, id int64, refusal error) error {
	u := firstPage(l.c.deployKeysURL(place))
	values, _, err := l.c.page(ctx, u)
	if err != nil {
		return err
	}
	now := listing{keys: map[int64]*DeployKey{}, listed: map[int64]bool{}}
	now.add(values, u)
	return gone(now.values(), place, id, refusal)
}

// gone is what a 404 for a key means, given the keys that its place lists: nothing,
// if it is among them or they are another place's.
func gone(listed []DeployKey, place Place, id int64, refusal error) error {
	for _, key := range listed {
		if key.ID == id || place.isNotOf(&key) {
			return refusal
		}
	}
	if isAnybodys(listed, place) {
		return errNoneListed
	}
	return ErrDeployKeyGone
}

// begin runs an exchange beside its caller, without the lock. What it returns is
// carried out with the lock, before those who wait are told.
func (l *listings) begin(ctx context.Context, forget func(), exchange func(context.Context) func() error) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{})}
	f.giveUp = func() { cancel(); forget() }
	go func() {
		defer cancel()
		settle := exchange(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		if ctx.Err() == nil {
			f.err = settle()
		}
		close(f.done)
	}()
	return f
}

// waitForAny waits until a request for another key has ended, however it did.
func (l *listings) waitForAny(ctx context.Context, held *listing) error {
	for _, f := range held.asked {
		if err := l.wait(ctx, f); ctx.Err() != nil {
			return err
		}
		break
	}
	return nil
}

// wait waits for a flight without the lock. The last one to give up ends it.
func (l *listings) wait(ctx context.Context, f *flight) error {
	f.waiting++
	l.mu.Unlock()
	var gaveUp error
	select {
	case <-f.done:
	case <-ctx.Done():
		gaveUp = ctx.Err()
	}
	l.mu.Lock()
	f.waiting--
	if gaveUp == nil {
		return f.err
	}
	if f.waiting == 0 {
		f.giveUp()
	}
	return gaveUp
}
