package bitbucket

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"net/url"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

const (
	// maxPageLength is the longest page that Bitbucket sends.
	// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination
	maxPageLength = "100"
	// maxPages bounds a collection whose links to the next page never end.
	maxPages = 1000
)

// Pager requests the pages of a collection one after the other. It is not safe for
// concurrent use.
type Pager[T any] struct {
	client *Client
	next   *url.URL
	read   map[string]bool
	decode func(u *url.URL, value json.RawMessage) (T, error)
}

// Page yields the values of one page. For a value that cannot be decoded it yields an error
// and continues with the next value.
type Page[T any] iter.Seq2[T, error]

// newPager returns a pager that begins at first. It decodes each value of a page with
// decode, which also receives the address of the page, for error messages.
func newPager[T any](c *Client, first *url.URL, decode func(*url.URL, json.RawMessage) (T, error)) *Pager[T] {
	return &Pager[T]{client: c, next: first, read: map[string]bool{}, decode: decode}
}

// firstPage returns the address of the first page of a collection.
func firstPage(collection *url.URL) *url.URL {
	first := *collection
	first.RawQuery = url.Values{"pagelen": {maxPageLength}}.Encode()
	return &first
}

// HasMore reports whether there is a page that was not yet requested.
func (p *Pager[T]) HasMore() bool { return p.next != nil }

// Clone returns a pager that continues at the same page. Neither pager affects the other.
func (p *Pager[T]) Clone() *Pager[T] {
	clone := *p
	clone.read = maps.Clone(p.read)
	return &clone
}

// NextPage requests the next page with one request. After an error, the pager must not be
// used again.
func (p *Pager[T]) NextPage(ctx context.Context) (Page[T], error) {
	u := p.next
	values, next, err := p.client.page(ctx, u)
	if err != nil {
		return nil, err
	}
	p.read[u.String()] = true
	if next != nil && (p.read[next.String()] || len(p.read) >= maxPages) {
		return nil, unusable(http.MethodGet, u, "its link to the next page leads back to a page already read, or on without end")
	}
	p.next = next
	return func(yield func(T, error) bool) {
		for _, value := range values {
			if !yield(p.decode(u, value)) {
				return
			}
		}
	}, nil
}

// page requests one page. It returns the undecoded values and the address of the next
// page, nil after the last one.
func (c *Client) page(ctx context.Context, u *url.URL) (values []json.RawMessage, next *url.URL, err error) {
	var body struct {
		Values json.RawMessage `json:"values"`
		Next   string          `json:"next"`
	}
	if err := c.do(ctx, http.MethodGet, u, nil, &body, http.StatusOK); err != nil {
		return nil, nil, err
	}
	// A reply without a list is an error. It must not count as an empty page.
	if err := json.Unmarshal(body.Values, &values); err != nil || values == nil {
		return nil, nil, unusable(http.MethodGet, u, "it has no usable list of values")
	}
	if body.Next == "" {
		return values, nil, nil
	}
	next, err = u.Parse(body.Next)
	if err != nil || !transport.SameOrigin(next, c.base) || next.User != nil {
		return nil, nil, unusable(http.MethodGet, u, "its link to the next page does not lead to "+c.base.Scheme+"://"+c.base.Host)
	}
	if len(next.EscapedPath()) > transport.MaxText { // Each error of the next page would show the link.
		return nil, nil, unusable(http.MethodGet, u, "its link to the next page is too long")
	}
	return values, next, nil
}
