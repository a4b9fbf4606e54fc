package deploykeys

import (
	"context"
	"iter"
	"sync"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// ParentKeys are the deploy keys of one parent in a walk.
type ParentKeys struct {
	Parent bitbucket.Parent
	// Keys are in Bitbucket's order.
	Keys []bitbucket.DeployKey
	// Hidden reports that Bitbucket answered 403 or 404: these credentials may not see the
	// keys, or the parent has just been removed.
	Hidden bool
}

// WalkRepositories yields the keys of the repositories of a workspace that the credentials
// may see, in Bitbucket's order; only the repositories of one project, unless project is "".
// It requests the keys of as many repositories at once as requests may be in flight. An
// error ends the walk. Nothing more is requested when the caller stops it.
func (s *Service) WalkRepositories(ctx context.Context, workspace, project string) iter.Seq2[ParentKeys, error] {
	return s.walk(ctx, func() *bitbucket.Pager[bitbucket.Parent] { return s.client.ListRepositories(workspace, project) })
}

// WalkProjects yields the keys of the projects of a workspace in the same way. The keys of
// a project's repositories are not among them.
func (s *Service) WalkProjects(ctx context.Context, workspace string) iter.Seq2[ParentKeys, error] {
	return s.walk(ctx, func() *bitbucket.Pager[bitbucket.Parent] { return s.client.ListProjects(workspace) })
}

// listed is the listing of one parent, or an error.
type listed struct {
	keys ParentKeys
	err  error
}

// walk yields the keys of one parent after the other, while it requests those of the next.
func (s *Service) walk(ctx context.Context, list func() *bitbucket.Pager[bitbucket.Parent]) iter.Seq2[ParentKeys, error] {
	return func(yield func(ParentKeys, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var requests sync.WaitGroup
		defer requests.Wait()
		defer cancel()
		next, stop := iter.Pull2(parents(ctx, list()))
		defer stop()

		var queue []<-chan listed
		for more := true; more || len(queue) > 0; {
			for more && len(queue) < s.client.MaxConcurrentRequests() {
				var parent bitbucket.Parent
				var err error
				if parent, err, more = next(); !more {
					break
				}
				reply := make(chan listed, 1)
				queue = append(queue, reply)
				if err != nil {
					reply <- listed{err: err}
					more = false
					break
				}
				requests.Go(func() { reply <- s.listParent(ctx, parent) })
			}
			if len(queue) == 0 {
				return
			}
			first := <-queue[0]
			queue = queue[1:]
			if !yield(first.keys, first.err) || first.err != nil {
				return
			}
		}
	}
}

// listParent lists the keys of one parent. A missing scope is missing for all parents, so it
// is an error that ends the walk, and hides nothing.
func (s *Service) listParent(ctx context.Context, parent bitbucket.Parent) listed {
	keys, err := s.List(ctx, parent)
	if bitbucket.IsNotFound(err) || bitbucket.IsForbidden(err) {
		return listed{keys: ParentKeys{Parent: parent, Hidden: true}}
	}
	return listed{ParentKeys{Parent: parent, Keys: keys}, err}
}

// parents yields the parents of all pages, each one once: a repository that is added
// meanwhile moves another one to the next page.
func parents(ctx context.Context, pager *bitbucket.Pager[bitbucket.Parent]) iter.Seq2[bitbucket.Parent, error] {
	return func(yield func(bitbucket.Parent, error) bool) {
		seen := map[bitbucket.Parent]bool{}
		for pager.HasMore() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				yield(bitbucket.Parent{}, err)
				return
			}
			for parent, err := range page {
				if err == nil && seen[parent] {
					continue
				}
				seen[parent] = true
				if !yield(parent, err) || err != nil {
					return
				}
			}
		}
	}
}
