package deploykeys

import (
	"context"
	"errors"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// Update changes the label and the comment of a repository's key. If no usable reply
// arrives, Update reads the key, and sends the request again if the key has not changed.
func (s *Service) Update(ctx context.Context, parent bitbucket.Parent, id int64, input bitbucket.DeployKeyInput) Result {
	defer s.handovers.begin()()
	return s.write(parent, func(alias bitbucket.Parent) Result { return s.update(ctx, alias, id, input) })
}

func (s *Service) update(ctx context.Context, parent bitbucket.Parent, id int64, input bitbucket.DeployKeyInput) Result {
	for attempt := 0; ; attempt++ {
		key, err := s.client.UpdateDeployKey(ctx, parent, id, input)
		if err == nil {
			return done(key)
		}
		last, ok := errors.AsType[*bitbucket.Error](err)
		if !ok || !last.MaybeDone {
			return failed(err, false)
		}
		now, lookupErr := s.client.GetDeployKey(ctx, parent, id)
		switch {
		case lookupErr != nil:
			return Result{Outcome: Unknown, Err: err, LookupErr: lookupErr}
		case matchesInput(now, input):
			return done(now)
		case !s.client.WaitToRetry(ctx, attempt, last):
			return failed(err, true)
		}
	}
}
