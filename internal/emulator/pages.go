package emulator

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// page is the JSON of one page of a list.
type page[T any] struct {
	Values  []T    `json:"values"`
	Pagelen int    `json:"pagelen"`
	Size    int    `json:"size"`
	Page    int    `json:"page"`
	Next    string `json:"next,omitempty"`
}

// newPage returns the page that c requests from a list of size values. If the
// query of c is invalid, it returns nil and the error reply.
func newPage[T any](c call, size int, value func(i int) T) (*page[T], reply) {
	query := c.URL.Query()
	pagelen, ok := positive(query, "pagelen", 10)
	if !ok || pagelen > 100 {
		return nil, errorMessage(http.StatusBadRequest, "Invalid pagelen")
	}
	number, ok := positive(query, "page", 1)
	if !ok {
		return nil, errorMessage(http.StatusBadRequest, "Invalid page")
	}
	list := &page[T]{Values: []T{}, Pagelen: pagelen, Size: size, Page: number}
	full := size / pagelen
	if number-1 <= full { // Prevents an overflow in the multiplication below.
		start := (number - 1) * pagelen
		end := min(start+pagelen, size)
		for i := start; i < end; i++ {
			list.Values = append(list.Values, value(i))
		}
		if end < size {
			list.Next = c.next(query, number+1)
		}
	}
	return list, reply{}
}

// next returns the link to the page with this number. Like Bitbucket, it keeps the
// path as sent and the other parameters of the query. [NextLinks] selects the host
// and the number in the link.
func (c call) next(query url.Values, number int) string {
	rest := maps.Clone(query)
	rest.Del("page")
	next := c.nextOrigin() + c.path + "?"
	if len(rest) > 0 {
		next += rest.Encode() + "&"
	}
	if c.nextLinks == NextLinksSamePage {
		number--
	}
	return next + "page=" + strconv.Itoa(number)
}

// NextLinks selects how the emulator writes the link to the next page of a list.
type NextLinks int

const (
	// NextLinksDocumented writes the address of the next page, on the host of the request.
	NextLinksDocumented NextLinks = iota
	// NextLinksInternalHost writes the address of a host inside of Bitbucket, which
	// clients cannot reach.
	NextLinksInternalHost
	// NextLinksSamePage repeats the number of the page that has the link.
	NextLinksSamePage
	// NextLinksAPIHost names api.bitbucket.org, as Bitbucket does for a client behind a
	// proxy.
	NextLinksAPIHost
)

// SetNextLinks selects the links of all later pages.
func (e *Emulator) SetNextLinks(links NextLinks) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nextLinks = links
}

// nextOrigin returns the origin of the link to the next page.
func (c call) nextOrigin() string {
	switch c.nextLinks {
	case NextLinksInternalHost:
		return "http://deployments.internal:8080"
	case NextLinksAPIHost:
		return "https://api.bitbucket.org"
	}
	return c.origin()
}

// positive returns the number of the parameter name, or defaultValue if the query does
// not have the parameter. It returns false if the value is not a positive number.
func positive(query url.Values, name string, defaultValue int) (int, bool) {
	if !query.Has(name) {
		return defaultValue, true
	}
	number, err := strconv.Atoi(query.Get(name))
	return number, err == nil && number > 0
}
