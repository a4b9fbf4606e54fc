// Package httpfake serves prepared HTTP replies to tests, over a connection or in
// memory.
package httpfake

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// Script is a server that sends prepared replies in order and records the requests. A
// request after the last reply fails the test.
type Script struct {
	t        *testing.T
	replies  []http.HandlerFunc
	mu       sync.Mutex
	requests []Request
}

// Request is a request that a [Script] received.
type Request struct {
	// Line is the method and the target as they were sent.
	Line, Body string
	Length     int64
	Header     http.Header
}

// NewScript returns a Script with these replies.
func NewScript(t *testing.T, replies ...http.HandlerFunc) *Script {
	return &Script{t: t, replies: replies}
}

// ServeHTTP sends the next reply.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("reading the body of a request: %v", err)
	}
	line := r.Method + " " + r.RequestURI
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, Request{line, string(body), r.ContentLength, r.Header.Clone()})
	s.mu.Unlock()
	if n >= len(s.replies) {
		s.t.Errorf("request %d was not expected: %s", n+1, line)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.replies[n](w, r)
}

// Requests returns the requests that arrived.
func (s *Script) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Expect fails the test unless exactly these requests arrived.
func (s *Script) Expect(lines ...string) {
	s.t.Helper()
	var got []string
	for _, request := range s.Requests() {
		got = append(got, request.Line)
	}
	if !slices.Equal(got, lines) {
		s.t.Errorf("got requests\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// Authorizations returns the Authorization headers of the requests.
func (s *Script) Authorizations() string {
	var all []string
	for _, request := range s.Requests() {
		all = append(all, strings.Join(request.Header.Values("Authorization"), " and "))
	}
	return strings.Join(all, ", ")
}

// Reply sends a status, a body and headers, each as "Name: value". It replaces HOST in the
// body and in the headers with the host of the server, and ORIGIN with its URL.
func Reply(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fill := func(text string) string {
			return strings.ReplaceAll(strings.ReplaceAll(text, "ORIGIN", "http://HOST"), "HOST", r.Host)
		}
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			w.Header().Set("Content-Type", "application/json")
		}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			w.Header().Set(name, fill(value))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, fill(body)) // The client may have closed the connection.
	}
}

// Page sends a page of these values, each as JSON, with a link to the next page
// unless next is "".
func Page(next string, values ...string) http.HandlerFunc {
	if next != "" {
		next = fmt.Sprintf(`, "next": %q`, next)
	}
	return Reply(http.StatusOK, `{"pagelen": 100, "values": [`+strings.Join(values, ", ")+`]`+next+`}`)
}

// Cut closes the connection without a reply.
func Cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Truncated closes the connection in the middle of a reply.
func Truncated(status int) http.HandlerFunc {
	return Reply(status, `{"id": 1234, "key": `, "Content-Length: 1000")
}

// Hang sends no reply while the client waits for one.
func Hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// RoundTripFunc is a function that is used as a transport.
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f RoundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// InMemory passes requests to a handler without a network. In a synctest bubble the clock
// advances only while all goroutines wait, which a network would prevent.
type InMemory struct{ Handler http.Handler }

// RoundTrip passes the request to the handler.
func (m InMemory) RoundTrip(sent *http.Request) (*http.Response, error) {
	r := sent.Clone(sent.Context())
	r.RequestURI = sent.URL.RequestURI()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	aborted := m.serve(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if aborted {
		return nil, io.EOF
	}
	response := w.Result()
	response.Request = sent // A client resolves a redirect to a path against this request.
	if response.ContentLength > int64(w.Body.Len()) {
		response.Body = io.NopCloser(io.MultiReader(w.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return response, nil
}

// serve reports whether the handler aborted without a reply.
func (m InMemory) serve(w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		reason := recover()
		aborted = reason == http.ErrAbortHandler //nolint:errorlint // net/http compares in the same way.
		if reason != nil && !aborted {
			panic(reason) // A mistake in a handler must not look like a lost reply.
		}
	}()
	m.Handler.ServeHTTP(w, r)
	return false
}
