package deploykeys

import (
	"errors"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Outcome is how a write ended.
type Outcome int

const (
	// Done means that Bitbucket has carried the write out.
	Done Outcome = iota
	// Refused means that Bitbucket has not carried the write out.
	Refused
	// Unknown means that Bitbucket may have carried the write out.
	Unknown
)

// Result is the outcome of a write.
type Result struct {
	Outcome Outcome
	// Key is the key that a create or an update has written. If the outcome of a create is
	// Unknown but the key is known to exist, Key has its ID and the values that were sent.
	Key *bitbucket.DeployKey
	// Err is the error of the last request, nil if the outcome is Done.
	Err error
	// LookupErr is why the provider could not look up whether the write was carried out.
	// If it is nil and the outcome is Unknown, the lookup did not find the change.
	LookupErr error
}

func done(key *bitbucket.DeployKey) Result { return Result{Key: key} }

// failed returns the result of a write whose last request has failed.
func failed(err error, maybeDone bool) Result {
	if maybeDone {
		return Result{Outcome: Unknown, Err: err}
	}
	return Result{Outcome: Refused, Err: err}
}

// write runs a write under each alias of the parent, as [aliases.try] does. It returns the
// result whose error [aliases.try] returns.
func (s *Service) write(parent bitbucket.Parent, operation func(alias bitbucket.Parent) Result) Result {
	defer s.cache.drop(parent)
	var results []Result
	err := s.aliases.try(parent, func(alias bitbucket.Parent) error {
		result := operation(alias)
		results = append(results, result)
		return result.Err
	})
	for _, result := range results {
		if errors.Is(err, result.Err) {
			return result
		}
	}
	return Result{Outcome: Unknown, Err: err} // Not reached: a parent has at least one alias.
}
