package deploykeys

import (
	"errors"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// write must return the result of the alias whose error [aliases.try] returns.
func TestService_write(t *testing.T) {
	t.Parallel()
	written := &bitbucket.DeployKey{ID: 7}
	lookup := errors.New("no lookup")
	notFound := func() Result { return failed(&bitbucket.Error{Status: 404}, false) }
	unknown := Result{Outcome: Unknown, Err: &bitbucket.Error{Status: 502, MaybeDone: true}, LookupErr: lookup}
	empty := failed(errEmptyListing, false)
	first := notFound()
	for name, tc := range map[string]struct {
		// results are the results of the aliases, in order.
		results []Result
		want    Result
	}{
		"done":                   {[]Result{done(written)}, done(written)},
		"done under an alias":    {[]Result{notFound(), done(written)}, done(written)},
		"unknown under an alias": {[]Result{notFound(), unknown}, unknown},
		"refused":                {[]Result{first, notFound(), notFound()}, first},
		"empty":                  {[]Result{notFound(), empty, notFound()}, empty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestService(t, pageOf(""))
			tried := 0
			got := s.write(repositoryWithUUID, func(bitbucket.Parent) Result {
				tried++
				return tc.results[tried-1]
			})
			if got != tc.want || tried != len(tc.results) {
				t.Errorf("got %+v after %d aliases, want %+v", got, tried, tc.want)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	err := errors.New("failed")
	if got := failed(err, true); got != (Result{Outcome: Unknown, Err: err}) {
		t.Errorf("got %+v", got)
	}
	if got := failed(err, false); got != (Result{Outcome: Refused, Err: err}) {
		t.Errorf("got %+v", got)
	}
}
