package bitbucket

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxPageLength is the longest page that Bitbucket sends.
	// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination
	maxPageLength = "100"
	// maxPages bounds a collection whose links to the next page never end.
	maxPages = 1000
	// maxQuery bounds the query of a link to the next page.
	maxQuery = 4 << 10
)

// Pager requests the pages of a collection one after the other. It uses only the query of
// the link to the next page, and sends all requests to the address of the first page. A link
// has been observed to name an internal host of Bitbucket. Behind a proxy, a link names
// Bitbucket instead of the proxy.
//
// A Pager is not safe for concurrent use.
type Pager[T any] struct {
	client *Client
	first  *url.URL
	// link is the link to the next page as Bitbucket sent it. It is "" before the first
	// page and after the last page. It is not read before the next page is requested.
	link string
	// number is the number of the page that was read last.
	number int
	// requested has the queries of all pages so far. seen has the hashes of all values so
	// far.
	requested map[string]bool
	seen      map[uint64]bool
	decode    func(u *url.URL, value json.RawMessage) (T, error)
}

// Page yields the values of one page. For a value that cannot be decoded it yields an error
// and continues with the next value.
type Page[T any] iter.Seq2[T, error]

// newPager returns a pager that begins at first. It decodes each value of a page with
// decode, which also receives the address of the page, for error messages.
func newPager[T any](c *Client, first *url.URL, decode func(*url.URL, json.RawMessage) (T, error)) *Pager[T] {
	return &Pager[T]{client: c, first: first, requested: map[string]bool{}, seen: map[uint64]bool{}, decode: decode}
}

// firstPage returns the address of the first page of a collection.
func firstPage(collection *url.URL) *url.URL {
	first := *collection
	first.RawQuery = url.Values{"pagelen": {maxPageLength}}.Encode()
	return &first
}

// HasMore reports whether there is a page that was not yet requested.
func (p *Pager[T]) HasMore() bool { return p.number == 0 || p.link != "" }

// Clone returns a pager that continues at the same page. Neither pager affects the other.
func (p *Pager[T]) Clone() *Pager[T] {
	clone := *p
	clone.requested, clone.seen = maps.Clone(p.requested), maps.Clone(p.seen)
	return &clone
}

// NextPage requests the next page with one request. After an error, the pager must not be
// used again.
func (p *Pager[T]) NextPage(ctx context.Context) (Page[T], error) {
	query, number, why := p.nextQuery() // If there is no link yet, this is the query of the first page.
	if why != "" {
		return nil, unusable(http.MethodGet, p.first, "its link to the next page "+why)
	}
	u := *p.first
	u.RawQuery = query
	values, link, err := p.client.page(ctx, &u)
	if err != nil {
		return nil, err
	}
	p.requested[sortedQuery(query)] = true
	p.link, p.number = link, number
	if p.repeats(values) {
		return nil, unusable(http.MethodGet, &u, "it repeats a page already read")
	}
	return func(yield func(T, error) bool) {
		for _, value := range values {
			if !yield(p.decode(&u, value)) {
				return
			}
		}
	}, nil
}

// nextQuery returns the query and the number of the next page. If the link to the next page
// cannot be used, why is the reason.
func (p *Pager[T]) nextQuery() (query string, number int, why string) {
	query, number, ok := followingQuery(p.link, p.first.RawQuery, p.number)
	switch {
	case !ok:
		return "", 0, "cannot be read"
	case len(query) > maxQuery:
		return "", 0, "is too long"
	case p.requested[sortedQuery(query)], len(p.requested) >= maxPages:
		return "", 0, "leads back to a page already read, or on without end"
	}
	return query, number, ""
}

// repeats reports whether all of these values were on earlier pages. Without this check, a
// server that ignores the number of the page would send the same page forever.
func (p *Pager[T]) repeats(values []json.RawMessage) bool {
	repeated := len(values) > 0
	hashes := make([]uint64, len(values))
	for i, value := range values {
		hashes[i] = maphash.Bytes(valueSeed, value)
		repeated = repeated && p.seen[hashes[i]]
	}
	for _, hash := range hashes {
		p.seen[hash] = true
	}
	return repeated
}

var valueSeed = maphash.MakeSeed()

// followingQuery returns the query and the number of the next page. It uses the query of the
// link, and adds the parameters of the first request that the link lacks. It returns false
// if the query of the link cannot be read.
//
// number is the number of the page that has the link. If the link does not name a higher
// number, the next page is number+1, because Bitbucket has been observed to repeat a number.
func followingQuery(link, first string, number int) (query string, next int, ok bool) {
	link, _, _ = strings.Cut(link, "#")
	_, query, _ = strings.Cut(link, "?")
	next = number + 1
	has := map[string]bool{"page": true}
	var parameters []string
	for parameter := range strings.SplitSeq(query, "&") {
		rawName, rawValue, _ := strings.Cut(parameter, "=")
		name, err := url.QueryUnescape(rawName)
		value, valueErr := url.QueryUnescape(rawValue)
		if err != nil || valueErr != nil || strings.ContainsFunc(parameter, notInQuery) {
			return "", 0, false
		}
		if parameter == "" {
			continue
		}
		has[name] = true
		if page, err := strconv.Atoi(value); name == "page" && err == nil { // Otherwise, the value is opaque.
			next = max(page, number+1)
			parameter = "page=" + strconv.Itoa(next)
		}
		parameters = append(parameters, parameter)
	}
	for parameter := range strings.SplitSeq(first, "&") {
		rawName, _, _ := strings.Cut(parameter, "=")
		if name, err := url.QueryUnescape(rawName); err == nil && parameter != "" && !has[name] {
			parameters = append(parameters, parameter)
		}
	}
	return strings.Join(parameters, "&"), next, true
}

// notInQuery reports whether a character cannot be sent in a query without an escape.
func notInQuery(r rune) bool { return r <= ' ' || r >= 0x7f }

// sortedQuery returns a query in a form that does not depend on the order of the parameters.
func sortedQuery(query string) string {
	parameters := strings.Split(query, "&")
	slices.Sort(parameters)
	return strings.Join(parameters, "&")
}

// page requests one page. It returns the undecoded values and the link to the next page, ""
// after the last one.
func (c *Client) page(ctx context.Context, u *url.URL) (values []json.RawMessage, link string, err error) {
	var body struct {
		Values json.RawMessage `json:"values"`
		Next   string          `json:"next"`
	}
	if err := c.do(ctx, http.MethodGet, u, nil, &body, http.StatusOK); err != nil {
		return nil, "", err
	}
	// A reply without a list is an error. It must not count as an empty page.
	if err := json.Unmarshal(body.Values, &values); err != nil || values == nil {
		return nil, "", unusable(http.MethodGet, u, "it has no usable list of values")
	}
	return values, body.Next, nil
}
