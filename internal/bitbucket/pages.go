package bitbucket

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// maxPageLength is the longest page that Bitbucket gives.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination
const maxPageLength = "100"

// maxPages bounds a list whose links to the next page never end.
const maxPages = 1000

// firstPage is where the longest first page of a collection is.
func firstPage(collection *url.URL) *url.URL {
	first := *collection
	first.RawQuery = url.Values{"pagelen": {maxPageLength}}.Encode()
	return &first
}

// page returns the values of one page and where the next page is, nil after the
// last. The values are undecoded: one that cannot be used says nothing of the
// others.
func (c *Client) page(ctx context.Context, u *url.URL) (values []json.RawMessage, next *url.URL, err error) {
	var body struct {
		Values json.RawMessage `json:"values"`
		Next   string          `json:"next"`
	}
	if err := c.do(ctx, http.MethodGet, u, nil, &body, http.StatusOK); err != nil {
		return nil, nil, err
	}
	// A missing list is no page at all, and no empty one.
	if err := json.Unmarshal(body.Values, &values); err != nil || values == nil {
		return nil, nil, unusable(http.MethodGet, u, "it has no usable list of values")
	}
	if body.Next == "" {
		return values, nil, nil
	}
	next, err = u.Parse(body.Next)
	if err != nil || !sameOrigin(next, c.base) || next.User != nil {
		return nil, nil, unusable(http.MethodGet, u, "its link to the next page does not lead to "+c.base.Scheme+"://"+c.base.Host)
	}
	if len(next.EscapedPath()) > maxMessage { // It would be shown with every error of that page.
		return nil, nil, unusable(http.MethodGet, u, "its link to the next page is too long")
	}
	return values, next, nil
}

// endless is the error for a link from the page u to one that was read before,
// or to one too many.
func endless(u, next *url.URL, read map[string]bool) error {
	if next != nil && (read[next.String()] || len(read) >= maxPages) {
		return unusable(http.MethodGet, u, "its link to the next page leads back to a page already read, or on without end")
	}
	return nil
}
