package deploykeys

import (
	"context"
	"errors"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Delete removes a key. It succeeds if the key is already gone. Neither a 404 nor a missing
// reply proves that the key is gone: the parent must list its keys without it.
func (s *Service) Delete(ctx context.Context, parent bitbucket.Parent, id int64) Result {
	result := s.write(parent, func(alias bitbucket.Parent) Result { return s.delete(ctx, parent, alias, id) })
	if errors.Is(result.Err, errEmptyListing) {
		return done(nil)
	}
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
	keys, lookupErr := s.cache.all(ctx, alias)
	if lookupErr == nil {
		lookupErr = goneFrom(keys, alias, id, err)
	}
	result := failed(err, last.MaybeDone)
	switch {
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
