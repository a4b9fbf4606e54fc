package emulator

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// page is a part of a list.
type page[T any] struct {
	Values  []T    `json:"values"`
	Pagelen int    `json:"pagelen"`
	Size    int    `json:"size"`
	Page    int    `json:"page"`
	Next    string `json:"next,omitempty"`
}

// paged is the page that c asks for of so many values; without one, the reply is
// the 400 to give.
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
	full := size / pagelen // Compared first: a huge number must not overflow.
	if number-1 <= full {
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

// next is the link to another page. It keeps the path as it was sent, so that
// a workspace addressed by its uuid still is, and what was asked for.
func (c call) next(query url.Values, number int) string {
	others := maps.Clone(query)
	others.Del("page")
	next := c.origin() + c.path + "?"
	if len(others) > 0 {
		next += others.Encode() + "&"
	}
	return next + "page=" + strconv.Itoa(number)
}

// positive reads a number from 1 from the query.
func positive(query url.Values, name string, standard int) (int, bool) {
	if !query.Has(name) {
		return standard, true
	}
	number, err := strconv.Atoi(query.Get(name))
	return number, err == nil && number > 0
}
