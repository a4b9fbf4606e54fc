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
	Listing
	// Hidden reports whether Bitbucket answered 403 or 404: these credentials may not see
	// the keys, or the parent was removed during the walk.
	Hidden bool
}

// WalkRepositories yields the keys of the repositories of a workspace that the credentials
// may see, in Bitbucket's order. If project is not "", it yields only the repositories of
// that project.
//
// It sends as many requests at once as the client allows. An error ends the walk. When the
// caller stops the walk, no more requests are sent.
func (s *Service) WalkRepositories(ctx context.Context, workspace, project string) iter.Seq2[ParentKeys, error] {
	return s.walk(ctx, func() *bitbucket.Pager[bitbucket.Parent] { return s.client.ListRepositories(workspace, project) })
}

// WalkProjects yields the keys of the projects of a workspace in the same way. It does not
// yield the keys of a project's repositories.
func (s *Service) WalkProjects(ctx context.Context, workspace string) iter.Seq2[ParentKeys, error] {
	return s.walk(ctx, func() *bitbucket.Pager[bitbucket.Parent] { return s.client.ListProjects(workspace) })
}

// listed is the listing of one parent, or an error.
type listed struct {
	keys ParentKeys
	err  error
}

// walk yields the keys of one parent after the other. Meanwhile it requests the keys of the
// next parents.
func (s *Service) walk(ctx context.Context, list func() *bitbucket.Pager[bitbucket.Parent]) iter.Seq2[ParentKeys, error] {
	return func(yield func(ParentKeys, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var requests sync.WaitGroup
		defer requests.Wait()
		defer cancel()
		next, stop := iter.Pull2(parents(ctx, list()))
		defer stop()

		var queue []<-chan listed
		more := true
		for {
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

// listParent lists the keys of one parent. A 403 because of a missing scope concerns all
// parents, so it is an error that ends the walk.
func (s *Service) listParent(ctx context.Context, parent bitbucket.Parent) listed {
	listing, err := s.List(ctx, parent)
	if bitbucket.IsNotFound(err) || bitbucket.IsForbidden(err) {
		return listed{keys: ParentKeys{Parent: parent, Hidden: true}}
	}
	return listed{ParentKeys{Parent: parent, Listing: listing}, err}
}

// parents yields each parent of all pages once. It skips repetitions, because a repository that
// is added during the walk can move another repository to the next page.
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
