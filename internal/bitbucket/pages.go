package bitbucket

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
)

// maxPageLength is the longest page that Bitbucket gives.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination
const maxPageLength = "100"

// pages iterates over a collection page by page, each asked for when the one
// before it has been consumed. After an error there are no more pages.
func pages[T any](ctx context.Context, c *Client, first *url.URL) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		u := *first
		u.RawQuery = url.Values{"pagelen": {maxPageLength}}.Encode()
		for seen := map[string]bool{}; ; {
			seen[u.String()] = true
			values, next, err := page[T](ctx, c, &u)
			if !yield(values, err) || err != nil || next == nil {
				return
			}
			if seen[next.String()] {
				yield(nil, unusable(http.MethodGet, &u, "its link to the next page leads back to a page already read"))
				return
			}
			u = *next
		}
	}
}

// page asks for one page and returns where the next one is, nil after the last.
func page[T any](ctx context.Context, c *Client, u *url.URL) ([]T, *url.URL, error) {
	answer, err := c.do(ctx, http.MethodGet, u, nil, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	// Raw values tell a missing list, which is no page at all, from an empty one.
	var body struct {
		Values json.RawMessage `json:"values"`
		Next   string          `json:"next"`
	}
	if err := decode(http.MethodGet, u, answer, &body); err != nil {
		return nil, nil, err
	}
	var values []T
	if err := json.Unmarshal(body.Values, &values); err != nil || values == nil {
		return nil, nil, unusable(http.MethodGet, u, "it has no usable list of values")
	}
	if body.Next == "" {
		return values, nil, nil
	}
	next, err := u.Parse(body.Next)
	if err != nil || !sameOrigin(next, c.base) || next.User != nil {
		return nil, nil, unusable(http.MethodGet, u, "its link to the next page does not lead to "+c.base.Scheme+"://"+c.base.Host)
	}
	return values, next, nil
}
