package deploykeys

import (
	"context"
	"errors"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// WithheldError reports that a delete was not sent because a create of this run has failed
// on the same key. The configuration wants the key, so it must stay.
type WithheldError struct{}

// Error names the reason.
func (*WithheldError) Error() string { return "another resource of this configuration wants the key" }

// Delete removes a key. A key that is already gone is not an error. After a 404 or a lost
// reply, Delete lists the keys of the parent, because only the list proves that the key is
// gone.
//
// publicKey is the text of the key. If a create of this run waits for the same public key,
// Delete hands the key over instead of removing it. If such a create has given up, the error
// is a [*WithheldError].
func (s *Service) Delete(ctx context.Context, parent bitbucket.Parent, id int64, publicKey string) Result {
	defer s.handovers.begin()()
	contested := s.handovers.contest(parent, publicKey)
	switch s.handovers.beginDelete(contested, id) {
	case leaveKey:
		return done(nil)
	case withholdDelete:
		return failed(&WithheldError{}, false)
	}
	result := s.write(parent, func(alias bitbucket.Parent) Result { return s.delete(ctx, parent, alias, id) })
	if errors.Is(result.Err, errEmptyListing) {
		result = done(nil)
	}
	s.handovers.endDelete(contested, id, result.Outcome == Done)
	return result
}

func (s *Service) delete(ctx context.Context, parent, alias bitbucket.Parent, id int64) Result {
	err := s.client.DeleteDeployKey(ctx, alias, id)
	if err == nil {
		return done(nil)
	}
	last, ok := errors.AsType[*bitbucket.Error](err)
	renamed := maybeRenamed(err)
	if !ok || !last.MaybeDone && !renamed {
		return failed(err, false)
	}
	s.cache.drop(parent)
	listing, lookupErr := s.cache.all(ctx, alias)
	if lookupErr == nil {
		lookupErr = goneFrom(listing, alias, id, err)
	}
	result := failed(err, last.MaybeDone)
	unreadable, mayBeListed := errors.AsType[*UnreadableError](lookupErr)
	switch {
	case mayBeListed && renamed:
		return failed(lookupErr, last.MaybeDone)
	case mayBeListed:
		result.LookupErr = unreadable
	case errors.Is(lookupErr, errEmptyListing) && result.Outcome == Refused:
		return failed(errEmptyListing, false) // Another alias may still have the key.
	case errors.Is(lookupErr, ErrGone):
		return done(nil)
	case renamed && !maybeRenamed(lookupErr):
		return failed(lookupErr, last.MaybeDone)
	case !renamed && !errors.Is(lookupErr, err):
		result.LookupErr = lookupErr
	}
	return result
}
