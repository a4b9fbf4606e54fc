package facts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// question finds the answer to the question that has the same ID in facts.json.
type question struct {
	id    string
	needs []string
	// ask returns the answer. If the question cannot be asked, the error is the reason.
	ask func(ctx context.Context, r *run) (string, error)
}

// unknownID is an ID that no key has.
const unknownID = 1

// input is the body of a POST or a PUT of a key.
type input = map[string]any

// questions are asked in this order. Some questions need an object that an earlier question
// has created. The questions about a renamed repository are last.
var questions = []question{
	{"key-empty-list", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.Path(r.renamed.Slug)+"/deploy-keys")
		return r.answer(reply, err, r.withPage)
	}},
	{"key-post-fields", []string{aKey}, func(_ context.Context, r *run) (string, error) {
		return r.withFields(r.first.reply), nil
	}},
	{"key-comment", []string{aKey}, func(_ context.Context, r *run) (string, error) {
		return r.withValues(r.first.reply, "key", "comment", "label"), nil
	}},
	{"key-get-fields", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, key(r.keys(), r.first.id))
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply) })
	}},
	{"key-list-fields", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.keys())
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply, "values") })
	}},
	posted("key-comment-omitted", func() input { return input{"key": newKey(), "label": "no comment"} }, "comment"),
	posted("key-comment-spaces", func() input { return input{"key": newKey() + " two  spaces   and three", "label": "spaces"} }, "comment"),
	posted("key-comment-tab", func() input { return input{"key": newKey() + " one\ttab", "label": "tab"} }, "comment"),
	posted("key-newline", func() input { return input{"key": newKey() + " host\n", "label": "newline"} }, "key", "comment"),
	posted("key-comment-field", func() input { return input{"key": newKey(), "label": "field", "comment": "sent apart"} }, "comment"),
	posted("label-empty", func() input { return input{"key": newKey(), "label": ""} }, "label"),
	posted("label-omitted", func() input { return input{"key": newKey()} }, "label"),
	posted("label-null", func() input { return input{"key": newKey(), "label": nil} }, "label"),
	posted("label-long", func() input { return input{"key": newKey(), "label": strings.Repeat("x", 300)} }, "label"),
	posted("label-spaces-emoji", func() input { return input{"key": newKey(), "label": "  deploy \U0001F680 key  "} }, "label"),
	posted("label-duplicate", func() input { return input{"key": newKey(), "label": "first"} }, "label"),
	posted("key-invalid", func() input { return input{"key": "ssh-ed25519 not-a-key", "label": "invalid"} }, "key"),
	posted("key-no-format", func() input { return input{"key": "not a key", "label": "invalid"} }, "key"),
	posted("key-weak-rsa", func() input { return input{"key": weakRSA(), "label": "weak"} }, "key"),
	posted("key-security-key", func() input { return input{"key": securityKey(), "label": "security key"} }, "key"),
	posted("key-dsa", func() input { return input{"key": dsaKey(), "label": "DSA"} }, "key"),
	posted("key-empty-body", func() input { return input{} }, "key"),
	{"duplicate-repository", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		return r.post(ctx, r.keys(), input{"key": r.first.line, "label": "first"}, "key")
	}},
	{"duplicate-other-comment", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		return r.post(ctx, r.keys(), input{"key": withoutComment(r.first.line) + " other@host", "label": "other"}, "key", "comment")
	}},
	{"duplicate-other-repository", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodPost, r.server.Path(r.renamed.Slug)+"/deploy-keys", input{"key": r.first.line, "label": "shared"})
		var added struct{ ID int64 }
		if err == nil && succeeded(reply) && reply.Decode(&added) == nil {
			r.kept = createdKey{added.ID, r.first.line, reply}
		}
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withValues(reply, "key", "label") })
	}},
	{"duplicate-project", []string{aKey, aProject}, func(ctx context.Context, r *run) (string, error) {
		var answer string
		var err error
		r.projectKey, answer, err = r.postProjectKey(ctx, r.first.line)
		return answer, err
	}},
	{"duplicate-same-project", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		if r.projectKey.id == 0 { // The project refused the key of its repository.
			var err error
			if r.projectKey, _, err = r.postProjectKey(ctx, newKey()); err != nil {
				return "", err
			}
			if r.projectKey.id == 0 {
				return "", &unanswered{"no key could be added to the project: " + r.refusal(r.projectKey.reply), r.projectKey.reply.Status == http.StatusForbidden}
			}
		}
		_, answer, err := r.postProjectKey(ctx, r.projectKey.line)
		return answer, err
	}},
	{"repository-lists-project-keys", []string{aKey, aProject}, func(ctx context.Context, r *run) (string, error) {
		if r.projectKey.id == 0 {
			return "", errNoProjectKey(r)
		}
		reply, err := r.get(ctx, r.keys()+"?pagelen=100")
		return r.answer(reply, err, func(reply *live.Reply) string {
			if !succeeded(reply) {
				return r.refusal(reply)
			}
			if slices.Contains(listedIDs(reply), r.projectKey.id) {
				return fmt.Sprintf("%d; the list has the key of the project", reply.Status)
			}
			return fmt.Sprintf("%d; the list does not have the key of the project", reply.Status)
		})
	}},
	{"project-key-post-fields", []string{aProject}, func(_ context.Context, r *run) (string, error) {
		if r.projectKey.id == 0 {
			return "", errNoProjectKey(r)
		}
		return r.withFields(r.projectKey.reply), nil
	}},
	{"project-key-self-link", []string{aProject}, func(_ context.Context, r *run) (string, error) {
		if r.projectKey.id == 0 {
			return "", errNoProjectKey(r)
		}
		return r.withValues(r.projectKey.reply, "links.self.href"), nil
	}},
	{"project-key-get-fields", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		return r.ofProjectKey(ctx, http.MethodGet, nil, func(reply *live.Reply) string { return r.withFields(reply) })
	}},
	{"project-key-list-fields", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.projectKeys())
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply, "values") })
	}},
	{"project-key-put", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		return r.ofProjectKey(ctx, http.MethodPut, input{"key": r.projectKey.line, "label": "changed"}, func(reply *live.Reply) string { return r.withValues(reply, "label") })
	}},
	{"project-key-lower-case", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.ProjectPath(strings.ToLower(r.project))+"/deploy-keys")
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply, "values") })
	}},
	{"project-key-unknown", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, key(r.projectKeys(), unknownID))
		return r.answer(reply, err, r.refusal)
	}},
	{"project-unknown", nil, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.ProjectPath("TFACCNONE")+"/deploy-keys")
		return r.answer(reply, err, r.refusal)
	}},
	{"project-key-delete", []string{aProject}, func(ctx context.Context, r *run) (string, error) {
		return r.ofProjectKey(ctx, http.MethodDelete, nil, r.refusal)
	}},

	put("put-key-and-label", func(k createdKey) input { return input{"key": k.line, "label": "after"} }),
	put("put-label-alone", func(createdKey) input { return input{"label": "alone"} }),
	put("put-comment", func(k createdKey) input {
		return input{"key": withoutComment(k.line) + " after@host", "label": "before"}
	}),
	put("put-without-comment", func(k createdKey) input { return input{"key": withoutComment(k.line), "label": "before"} }),
	put("put-other-key", func(createdKey) input { return input{"key": newKey(), "label": "before"} }),
	{"put-unknown", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodPut, key(r.keys(), unknownID), input{"key": newKey(), "label": "unknown"})
		return r.answer(reply, err, r.refusal)
	}},

	{"key-unknown", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, key(r.keys(), unknownID))
		return r.answer(reply, err, r.refusal)
	}},
	{"key-unknown-delete", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodDelete, key(r.keys(), unknownID), nil)
		return r.answer(reply, err, r.refusal)
	}},
	{"key-malformed-id", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.keys()+"/first")
		return r.answer(reply, err, r.refusal)
	}},
	{"key-delete", []string{changingKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodDelete, key(r.keys(), r.changing.id), nil)
		return r.answer(reply, err, r.refusal)
	}},
	{"key-create-again", []string{changingKey}, func(ctx context.Context, r *run) (string, error) {
		return r.post(ctx, r.keys(), input{"key": r.changing.line, "label": "again"}, "key", "label")
	}},

	listed("list-pagelen-0", "?pagelen=0", (*run).withPage),
	listed("list-pagelen-101", "?pagelen=101", (*run).withPageForm),
	listed("list-page-0", "?page=0", (*run).withPageForm),
	listed("list-page-text", "?page=first", (*run).withPageForm),
	listed("list-page-past-end", "?pagelen=100&page=7", (*run).withPageForm),
	listed("list-next", "?pagelen=1", func(r *run, reply *live.Reply) string { return r.withValues(reply, "next") }),
	listed("list-first-page", "?pagelen=1", (*run).withPageForm),
	listed("list-second-page", "?pagelen=1&page=2", (*run).withPageForm),
	listed("list-slash", "/?pagelen=1", func(r *run, reply *live.Reply) string { return r.withValues(reply, "next") }),
	listed("list-fields-parameter", "?fields=values.id", func(r *run, reply *live.Reply) string { return r.withFields(reply) }),
	listed("list-order", "?pagelen=100", func(r *run, reply *live.Reply) string {
		ids := listedIDs(reply)
		falling := slices.Clone(ids)
		slices.Reverse(falling)
		switch {
		case !succeeded(reply):
			return r.refusal(reply)
		case slices.IsSorted(ids):
			return "rising IDs"
		case slices.IsSorted(falling):
			return "falling IDs"
		}
		return "another order"
	}),

	{"path-capitals", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		path := "/repositories/" + url.PathEscape(strings.ToUpper(r.server.Workspace)) + "/" + url.PathEscape(strings.ToUpper(r.repository.Slug))
		reply, err := r.get(ctx, key(path+"/deploy-keys", r.first.id))
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withValues(reply, "repository.full_name", "links.self.href") })
	}},
	{"path-uuid", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		return r.byUUID(ctx, r.server.Workspace)
	}},
	{"path-any-workspace", []string{aKey}, func(ctx context.Context, r *run) (string, error) {
		return r.byUUID(ctx, "{}")
	}},
	{"repository-unknown", nil, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.Path("tf-acc-none")+"/deploy-keys")
		return r.answer(reply, err, r.refusal)
	}},
	{"workspace-unknown", nil, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, "/repositories/tf-acc-none/tf-acc-none/deploy-keys")
		return r.answer(reply, err, r.refusal)
	}},
	{"route-unknown", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.keys()+"/1/unknown")
		return r.answer(reply, err, r.refusal)
	}},
	{"repositories-of-project", []string{aProject, aRepository}, func(ctx context.Context, r *run) (string, error) {
		query := url.Values{"pagelen": {"100"}, "fields": {"next,values.slug"}, "q": {fmt.Sprintf("project.key=%q", r.project)}}
		reply, err := r.get(ctx, "/repositories/"+url.PathEscape(r.server.Workspace)+"?"+query.Encode())
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply) })
	}},
	{"repository-fields-parameter", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.Path(r.repository.Slug)+"?fields=uuid")
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply) })
	}},

	{"deployments-slash", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments/", (*run).withPage)
	}},
	{"deployments-no-slash", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments", (*run).withPage)
	}},
	{"deployments-sort", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments/?pagelen=100&sort=-state.started_on", (*run).withPage)
	}},
	{"deployments-sort-other", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments/?pagelen=100&sort=number", (*run).withPage)
	}},
	{"deployments-filter", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments/?pagelen=100&state.name=COMPLETED", (*run).withPage)
	}},
	{"deployments-unknown", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/deployments/%7B00000000-0000-4000-8000-000000000000%7D", (*run).refusal)
	}},
	{"environments-slash", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/environments/", (*run).withPage)
	}},
	{"environments-no-slash", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.below(ctx, "/environments", (*run).withPage)
	}},
	{"environments-post", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodPost, r.server.Path(r.repository.Slug)+"/environments/", input{
			"name": "tf-acc", "environment_type": map[string]string{"name": "Test"},
		})
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply) })
	}},
	{"environments-post-again", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodPost, r.server.Path(r.repository.Slug)+"/environments/", input{
			"name": "tf-acc", "environment_type": map[string]string{"name": "Test"},
		})
		return r.answer(reply, err, r.refusal)
	}},
	{"environments-list-fields", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.server.Path(r.repository.Slug)+"/environments/?pagelen=100")
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withFields(reply, "values") })
	}},

	{"credential-headers", nil, func(ctx context.Context, r *run) (string, error) {
		return r.headersOf(ctx, "X-Credential-Type", "X-OAuth-Scopes", "X-Accepted-OAuth-Scopes")
	}},
	{"rate-limit-headers", nil, func(ctx context.Context, r *run) (string, error) {
		return r.headersOf(ctx, "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Resource", "X-RateLimit-NearLimit", "Retry-After")
	}},

	{"rename", []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		repository, err := r.server.RenameRepository(ctx, r.oldSlug)
		if refused, ok := errors.AsType[*live.Error](err); ok {
			reason := r.miss(err, "the repository could not be renamed", http.StatusForbidden)
			if stops(reason) {
				return "", reason
			}
			r.lacks(reason, aRename)
			return r.refusal(refused.Reply), nil
		}
		if err != nil {
			return "", stopError{err}
		}
		r.renamed = repository
		r.names[repository.Slug] = "{new name}"
		return "renamed to " + r.masked(repository.Slug), nil
	}},
	renamed("rename-get-repository", func(ctx context.Context, r *run, old string) (*live.Reply, error) {
		return r.get(ctx, old+"?fields=full_name")
	}),
	renamed("rename-list", func(ctx context.Context, r *run, old string) (*live.Reply, error) {
		return r.get(ctx, old+"/deploy-keys?fields=page")
	}),
	renamed("rename-get-key", func(ctx context.Context, r *run, old string) (*live.Reply, error) {
		return r.get(ctx, key(old+"/deploy-keys", max(r.kept.id, unknownID)))
	}),
	renamed("rename-post", func(ctx context.Context, r *run, old string) (*live.Reply, error) {
		return r.send(ctx, http.MethodPost, old+"/deploy-keys", input{"key": newKey(), "label": "old name"})
	}),
	renamed("rename-delete", func(ctx context.Context, r *run, old string) (*live.Reply, error) {
		return r.send(ctx, http.MethodDelete, key(old+"/deploy-keys", unknownID), nil)
	}),
	{"rename-keeps-id", []string{aRename, aKey}, func(ctx context.Context, r *run) (string, error) {
		if r.kept.id == 0 {
			return "", &unanswered{reason: "the renamed repository has no key"}
		}
		reply, err := r.get(ctx, key(r.server.Path(r.renamed.Slug)+"/deploy-keys", r.kept.id))
		return r.answer(reply, err, func(reply *live.Reply) string {
			return r.withValues(reply, "label", "repository.full_name", "repository.name")
		})
	}},
}

// answer returns the description of a reply, or the error if there is one.
func (r *run) answer(reply *live.Reply, err error, describe func(*live.Reply) string) (string, error) {
	if err != nil {
		return "", err
	}
	return describe(reply), nil
}

// posted returns a question about a POST to the repository's keys. The answer lists these
// fields of the new key.
func posted(id string, body func() input, names ...string) question {
	return question{id, []string{aRepository}, func(ctx context.Context, r *run) (string, error) {
		return r.post(ctx, r.keys(), body(), names...)
	}}
}

func (r *run) post(ctx context.Context, collection string, body input, names ...string) (string, error) {
	reply, err := r.send(ctx, http.MethodPost, collection, body)
	return r.answer(reply, err, func(reply *live.Reply) string { return r.withValues(reply, names...) })
}

// put returns a question about a PUT of the changing key.
func put(id string, body func(createdKey) input) question {
	return question{id, []string{changingKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.send(ctx, http.MethodPut, key(r.keys(), r.changing.id), body(r.changing))
		return r.answer(reply, err, func(reply *live.Reply) string { return r.withValues(reply, "label", "comment") })
	}}
}

// listed returns a question about a GET of the repository's keys with this query.
func listed(id, query string, describe func(*run, *live.Reply) string) question {
	return question{id, []string{aKey, changingKey}, func(ctx context.Context, r *run) (string, error) {
		reply, err := r.get(ctx, r.keys()+query)
		return r.answer(reply, err, func(reply *live.Reply) string { return describe(r, reply) })
	}}
}

// renamed returns a question about a request that uses the old name of the renamed repository.
func renamed(id string, send func(ctx context.Context, r *run, old string) (*live.Reply, error)) question {
	return question{id, []string{aRename}, func(ctx context.Context, r *run) (string, error) {
		reply, err := send(ctx, r, r.server.Path(r.oldSlug))
		return r.answer(reply, err, r.refusal)
	}}
}

// below returns the answer to a GET of a path below the repository.
func (r *run) below(ctx context.Context, path string, describe func(*run, *live.Reply) string) (string, error) {
	reply, err := r.get(ctx, r.server.Path(r.repository.Slug)+path)
	return r.answer(reply, err, func(reply *live.Reply) string { return describe(r, reply) })
}

// withPageForm returns an answer that lists the fields of a page, and whether the page has
// values. It omits the number of values, which depends on how many keys the server accepted.
func (r *run) withPageForm(reply *live.Reply) string {
	body := object(reply)
	values, ok := body["values"].([]any)
	if !succeeded(reply) || !ok {
		return r.refusal(reply)
	}
	delete(body, "values")
	has := "values"
	if len(values) == 0 {
		has = "no values"
	}
	return fmt.Sprintf("%d; %s, %s", reply.Status, has, fields(body))
}

// byUUID returns the answer to a GET of the first key, with the repository's UUID in the path.
func (r *run) byUUID(ctx context.Context, workspace string) (string, error) {
	path := "/repositories/" + url.PathEscape(workspace) + "/" + url.PathEscape(r.repository.UUID)
	reply, err := r.get(ctx, key(path+"/deploy-keys", r.first.id))
	return r.answer(reply, err, func(reply *live.Reply) string { return r.withValues(reply, "repository.full_name", "links.self.href") })
}

// postProjectKey adds a key to the project and returns it with the answer.
func (r *run) postProjectKey(ctx context.Context, line string) (createdKey, string, error) {
	reply, err := r.send(ctx, http.MethodPost, r.projectKeys(), input{"key": line, "label": "project"})
	if err != nil {
		return createdKey{}, "", err
	}
	added := createdKey{line: line, reply: reply}
	var body struct{ ID int64 }
	if succeeded(reply) && reply.Decode(&body) == nil {
		added.id = body.ID
	}
	return added, r.withValues(reply, "key", "label"), nil
}

// ofProjectKey returns the answer to a request for the key of the project.
func (r *run) ofProjectKey(ctx context.Context, method string, body any, describe func(*live.Reply) string) (string, error) {
	if r.projectKey.id == 0 {
		return "", errNoProjectKey(r)
	}
	reply, err := r.send(ctx, method, key(r.projectKeys(), r.projectKey.id), body)
	return r.answer(reply, err, describe)
}

// errNoProjectKey returns the reason why a question about the key of the project cannot be
// asked.
func errNoProjectKey(r *run) error {
	reason := &unanswered{reason: "the project has no key"}
	if r.projectKey.reply != nil {
		reason = &unanswered{"no key could be added to the project: " + r.refusal(r.projectKey.reply), r.projectKey.reply.Status == http.StatusForbidden}
	}
	return reason
}

// headersOf returns an answer that lists these headers of a reply.
func (r *run) headersOf(ctx context.Context, names ...string) (string, error) {
	reply, err := r.get(ctx, "/repositories/"+url.PathEscape(r.server.Workspace)+"?pagelen=1&fields=pagelen")
	return r.answer(reply, err, func(reply *live.Reply) string { return r.headers(reply, names...) })
}

// listedIDs returns the IDs of the values of a page.
func listedIDs(reply *live.Reply) []int64 {
	var page struct{ Values []struct{ ID int64 } }
	if reply.Decode(&page) != nil {
		return nil
	}
	var ids []int64
	for _, value := range page.Values {
		ids = append(ids, value.ID)
	}
	return ids
}

// withoutComment returns the type and the base64 of a public key.
func withoutComment(line string) string {
	parts := strings.Fields(line)
	return strings.Join(parts[:min(len(parts), 2)], " ")
}
