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
// path as sent and the other parameters of the query.
func (c call) next(query url.Values, number int) string {
	rest := maps.Clone(query)
	rest.Del("page")
	next := c.origin() + c.path + "?"
	if len(rest) > 0 {
		next += rest.Encode() + "&"
	}
	return next + "page=" + strconv.Itoa(number)
}

// positive returns the positive number that the query has for name, or defaultValue
// if the query does not have name. It reports false for any other value.
func positive(query url.Values, name string, defaultValue int) (int, bool) {
	if !query.Has(name) {
		return defaultValue, true
	}
	number, err := strconv.Atoi(query.Get(name))
	return number, err == nil && number > 0
}
