package deploykeys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// ExistsError reports that the parent already has the key. It wraps Err.
type ExistsError struct {
	Existing bitbucket.DeployKey
	// AddedHere reports that another create of this run has added the key.
	AddedHere bool
	// Err is the refusal, or the error of a create whose reply was lost. After a lost
	// reply, the existing key is older than the create or has a different label or comment.
	Err error
}

// Error describes the conflict in one line.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("it is there already, as deploy key %d: %v", e.Existing.ID, e.Err)
}

// Unwrap returns Err.
func (e *ExistsError) Unwrap() error { return e.Err }

// clockTolerance is how far created_on may differ from the time of the request. Clocks
// cannot be compared exactly, because Date headers have whole seconds.
const clockTolerance = 5 * time.Second

// maxHandovers bounds how often one create sends its request again after a delete.
const maxHandovers = 3

// Create adds a key. If no usable reply arrives, Create looks for a new key that matches the
// input. If there is none, Create sends the request again.
//
// If the parent already has the key, Create waits for a delete of this run: see [handovers].
// Without such a delete, the error is an [*ExistsError].
//
// Create tries no aliases: after a lost reply, it could add the key twice.
func (s *Service) Create(ctx context.Context, parent bitbucket.Parent, input bitbucket.DeployKeyInput) Result {
	defer s.handovers.begin()()
	defer s.cache.drop(parent)
	contested := s.handovers.contest(parent, input.Key)
	for range maxHandovers {
		deleted := s.handovers.awaitDeletes(ctx, contested)
		result := s.create(ctx, parent, contested, input)
		exists, ok := errors.AsType[*ExistsError](result.Err)
		if !ok {
			_, inUse := errors.AsType[*bitbucket.KeyInUseError](result.Err)
			if inUse && s.handovers.awaitDeletes(ctx, contested) > deleted {
				continue // The key was removed between the refusal and the lookup.
			}
			return result
		}
		if exists.AddedHere {
			return result
		}
		parent.UUID = exists.Existing.ParentUUID()
		switch contested = s.handovers.contest(parent, input.Key); s.handovers.await(ctx, contested, exists.Existing.ID) {
		case notHandedOver:
			return result
		case handedOver:
			if key := s.takeOver(ctx, parent, &exists.Existing, input); key != nil {
				return done(key)
			}
		case removed:
		}
	}
	return s.create(ctx, parent, contested, input)
}

// takeOver gives an existing key the label and the comment of input, if they differ, and
// returns the key. If Bitbucket cannot change this key, takeOver removes it and returns nil, so
// that the create adds the key again. After any other error, takeOver returns the key
// unchanged: the key must not be lost.
func (s *Service) takeOver(ctx context.Context, parent bitbucket.Parent, existing *bitbucket.DeployKey, input bitbucket.DeployKeyInput) *bitbucket.DeployKey {
	if matchesInput(existing, input) {
		return existing
	}
	immutable := parent.Project != "" // Bitbucket cannot update the key of a project.
	if !immutable {
		result := s.update(ctx, parent, existing.ID, input)
		if result.Outcome == Done {
			return result.Key
		}
		_, immutable = errors.AsType[*bitbucket.ImmutableKeyError](result.Err)
	}
	if immutable && s.delete(ctx, parent, parent, existing.ID).Outcome == Done {
		return nil
	}
	return existing
}

// create sends the request. If the reply is lost, or if a refusal may mean that the parent
// already has the key (400 or 409), create looks for the key.
func (s *Service) create(ctx context.Context, parent bitbucket.Parent, contested *contestedKey, input bitbucket.DeployKeyInput) Result {
	started, lost := time.Now(), false
	for attempt := 0; ; attempt++ {
		key, err := s.client.CreateDeployKey(ctx, parent, input)
		if err == nil {
			s.handovers.add(contested, key.ID)
			return done(key)
		}
		last, ok := errors.AsType[*bitbucket.Error](err)
		if !ok {
			return failed(err, lost)
		}
		lost = lost || last.MaybeDone
		mayExist := bitbucket.HasStatus(err, http.StatusBadRequest) || bitbucket.HasStatus(err, http.StatusConflict)
		if !last.MaybeDone && !mayExist {
			return failed(err, lost)
		}
		result := failed(err, lost)
		partial, added := errors.AsType[*bitbucket.PartialReplyError](err)
		if added {
			result.Key = fromPartialReply(partial, input)
		}
		existing, err := s.findSameKey(ctx, parent, input)
		switch {
		case err != nil:
			result.LookupErr = err
			return result
		case existing == nil && (added || !last.MaybeDone || !s.client.WaitToRetry(ctx, attempt, last)):
			return result
		case existing == nil:
			continue
		}
		addedHere := s.handovers.isAdded(contested, existing.ID)
		ours := added && partial.Key.ID == existing.ID || lost && matchesInput(existing, input) && !olderThan(existing, s.client.ServerTime(started))
		if ours && s.handovers.take(ctx, contested, existing.ID) {
			return done(existing)
		}
		return Result{Outcome: Refused, Err: &ExistsError{*existing, addedHere, result.Err}}
	}
}

// findSameKey returns the key of a parent with the same public key as input, or nil. Label and
// comment may differ. It returns an error if an entry that cannot be read may be the key. If
// ctx ends, findSameKey continues for a grace period, because a new key must not be lost.
func (s *Service) findSameKey(ctx context.Context, parent bitbucket.Parent, input bitbucket.DeployKeyInput) (*bitbucket.DeployKey, error) {
	wanted, err := sshkey.Split(input.Key)
	if err != nil {
		return nil, nil // A text that is not a key matches no key, so no request is needed.
	}
	s.cache.drop(parent)
	listing, err := s.cache.all(ctx, parent)
	if err != nil && ctx.Err() != nil {
		longer, cancel := transport.WithGracePeriod(ctx)
		defer cancel()
		s.cache.drop(parent)
		listing, err = s.cache.all(longer, parent)
	}
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(listing.Keys, func(key bitbucket.DeployKey) bool {
		stored, err := sshkey.Split(key.Key)
		return err == nil && stored.SameMaterial(wanted)
	})
	if i < 0 {
		return nil, listing.Err()
	}
	return &listing.Keys[i], nil
}

// fromPartialReply returns the key that a create has added, if only the ID in the reply can
// be used. The other fields come from input. It returns nil if the reply contains a
// different public key.
func fromPartialReply(partial *bitbucket.PartialReplyError, input bitbucket.DeployKeyInput) *bitbucket.DeployKey {
	if partial.Key.Key != "" && !sshkey.SameKey(partial.Key.Key, input.Key) {
		return nil
	}
	sent, err := sshkey.Split(input.Key)
	if err != nil {
		return nil
	}
	return &bitbucket.DeployKey{ID: partial.Key.ID, Key: sent.String(), Comment: sent.Comment, Label: input.Label}
}

// matchesInput reports whether a key has the label and the comment of input. It ignores
// spaces in the comment, because Bitbucket may change the spaces between several words.
func matchesInput(key *bitbucket.DeployKey, input bitbucket.DeployKeyInput) bool {
	if strings.TrimSpace(key.Label) != strings.TrimSpace(input.Label) {
		return false
	}
	if input.Key == "" {
		return true
	}
	sent, err := sshkey.Split(input.Key)
	stored, _ := sshkey.Split(key.Key) // Bitbucket has accepted text that is not a key. Such text has no comment.
	return err == nil && slices.Equal(strings.Fields(cmp.Or(key.Comment, stored.Comment)), strings.Fields(sent.Comment))
}

// olderThan reports whether a key was added before moment, which is a time of Bitbucket's
// clock. A key without a readable created_on counts as older.
func olderThan(key *bitbucket.DeployKey, moment time.Time) bool {
	created, err := time.Parse(time.RFC3339, key.CreatedOn)
	return err != nil || created.Before(moment.Add(-clockTolerance))
}
