package deploykeys

import "github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"

// Outcome is how a write ended.
type Outcome int

const (
	// Unknown means that Bitbucket may have carried the write out.
	Unknown Outcome = iota
	// Done means that Bitbucket has carried the write out.
	Done
	// Refused means that Bitbucket has not carried the write out, or that the parent already
	// has the key: see [ExistsError].
	Refused
)

// Result is the outcome of a write.
type Result struct {
	Outcome Outcome
	// Key is the key that a create or an update has written. If the outcome of a create is
	// Unknown but the key is known to exist, Key has its ID and the values that were sent.
	Key *bitbucket.DeployKey
	// Err is the error of the last request, nil if the outcome is Done.
	Err error
	// LookupErr is the error of the lookup that checks whether Bitbucket has carried the write
	// out. If it is nil and the outcome is Unknown, the lookup did not find the change.
	LookupErr error
}

func done(key *bitbucket.DeployKey) Result { return Result{Outcome: Done, Key: key} }

// failed returns the result of a write whose last request has failed.
func failed(err error, maybeDone bool) Result {
	if maybeDone {
		return Result{Outcome: Unknown, Err: err}
	}
	return Result{Outcome: Refused, Err: err}
}

// write runs a write under each alias of the parent, as [tryAliases] does.
func (s *Service) write(parent bitbucket.Parent, operation func(alias bitbucket.Parent) Result) Result {
	defer s.cache.drop(parent)
	result, _ := tryAliases(&s.aliases, parent, func(alias bitbucket.Parent) (Result, error) {
		result := operation(alias)
		return result, result.Err
	})
	return result
}
