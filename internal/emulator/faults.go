package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Fault is a trouble to answer with. Faults are tried in the order in which
// they were injected, and the first that matches answers.
type Fault struct {
	Method string // Method is the method to match, "" for any.
	Path   string // Path is a part of the escaped path to match, "" for any.
	Skip   int    // Skip lets this many matching requests through first.
	Times  int    // Times is how often the fault answers, 0 until ClearFaults.

	// CarryOut carries the request out before the fault answers it: the change
	// is made although the client is told otherwise, or nothing.
	CarryOut bool

	Status int // Status is the answer's status, 500 when it is 0.
	Header http.Header
	Body   string

	// Rewrite carries the request out and sends the real reply, with whatever
	// Rewrite makes of its header and returns as its body.
	Rewrite func(header http.Header, body string) string

	// Cut closes the connection without an answer. Note that Go's transport
	// itself repeats a GET whose reused connection is closed.
	Cut bool
	// Truncate carries the request out and sends the real reply cut in the
	// middle of its body, with the Content-Length of the whole. A reply
	// without a body is sent as it is.
	Truncate bool
	// Reset ends the connection with a reset (RST), which is an error to the
	// client and no end of file: without an answer, as if nobody had read the
	// request, or with Truncate in the middle of the answer.
	Reset bool
	// Hang sends nothing until the client goes away.
	Hang bool
}

// injectedFault is a fault and how much of it is left.
type injectedFault struct {
	Fault
	answered int
}

// Inject adds faults behind those already there.
func (e *Emulator) Inject(faults ...Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fault := range faults {
		fault.Header = fault.Header.Clone()
		e.faults = append(e.faults, &injectedFault{Fault: fault})
	}
}

// ClearFaults ends all faults. Requests that hang already keep hanging.
func (e *Emulator) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// takeFault returns the fault that answers c, if any, and counts it.
func (e *Emulator) nextFault(c call) (Fault, bool) {
	for _, fault := range e.faults {
		switch {
		case !fault.matches(c), fault.Times > 0 && fault.answered == fault.Times:
			continue
		case fault.Skip > 0:
			fault.Skip--
			continue
		}
		fault.answered++
		return fault.Fault, true
	}
	return Fault{}, false
}

// matches reports whether the fault is meant for c.
func (f Fault) matches(c call) bool {
	return (f.Method == "" || f.Method == c.Method) && strings.Contains(c.path, f.Path)
}

// answer is the fault's reply; carryOut is what the emulator would have done.
func (f Fault) answer(carryOut func() reply) reply {
	var answer reply
	if f.CarryOut || f.Truncate || f.Rewrite != nil {
		answer = carryOut()
	}
	answer.reset = f.Reset
	switch {
	case f.Truncate:
		answer.delivery = truncated
	case f.Cut, f.Reset:
		answer.delivery = cut
	case f.Hang:
		answer.delivery = hanging
	case f.Rewrite != nil:
		answer.add(nil) // A 204 has no header to write to.
		answer.body = []byte(f.Rewrite(answer.header, string(answer.body)))
	default:
		answer = f.reply()
	}
	return answer
}

// reply is what the fault answers in place of the emulator.
func (f Fault) reply() reply {
	answer := reply{status: f.Status, header: f.Header.Clone(), body: []byte(f.Body)}
	if answer.status == 0 {
		answer.status = http.StatusInternalServerError
	}
	if answer.header.Get("Content-Type") == "" && json.Valid(answer.body) {
		if answer.header == nil {
			answer.header = http.Header{}
		}
		answer.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return answer
}

// faultOf makes a fault of a reply that the emulator knows.
func faultFromReply(answer reply) Fault {
	return Fault{Status: answer.status, Header: answer.header, Body: string(answer.body)}
}

// RateLimited is Bitbucket's 429: plain text, and no Retry-After.
func RateLimited() Fault {
	return Fault{
		Status: http.StatusTooManyRequests,
		Header: http.Header{
			"Content-Type":            {"text/plain"},
			"Vary":                    {"Authorization, cookie, user-context"},
			"Cache-Control":           {"no-cache, no-store"},
			"X-Credential-Type":       {"apikey"},
			"X-Accepted-Oauth-Scopes": {"repository"},
			"X-Request-Count":         {"447"},
		},
		Body: "Rate limit for this resource has been exceeded",
	}
}

// ServerError is a 500 that was recorded for a key that had been created all
// the same: combine it with CarryOut to play that.
func ServerError() Fault {
	return Fault{
		Status: http.StatusInternalServerError,
		Body: `{"error": {"message": "{u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}", ` +
			`"id": "5c99b0118d884499b54591e0293a90ed"}}`,
	}
}

// BadGateway is the page of a proxy that does not reach the API.
func BadGateway() Fault {
	return Fault{
		Status: http.StatusBadGateway,
		Header: http.Header{"Content-Type": {"text/html"}},
		Body: "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n" +
			"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
	}
}

// Unavailable is a 503 that asks to come back after this many seconds.
func Unavailable(retryAfter int) Fault {
	return Fault{
		Status: http.StatusServiceUnavailable,
		Header: http.Header{"Content-Type": {"text/plain"}, "Retry-After": {strconv.Itoa(retryAfter)}},
		Body:   "Service Unavailable",
	}
}

// LoginPage is what a proxy answers to somebody whom it does not know: a page
// for people, with a status that says that all went well.
func LoginPage() Fault {
	return Fault{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body: "<!DOCTYPE html>\n<html>\n<head><title>Log in to the network</title></head>\n" +
			"<body><form method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body>\n</html>\n",
	}
}

// Redirect sends the client elsewhere, to another host for example.
func Redirect(location string) Fault {
	return Fault{Status: http.StatusFound, Header: http.Header{"Location": {location}}}
}

// EmptyOK is a 200 that says nothing.
func EmptyOK() Fault {
	return Fault{Status: http.StatusOK}
}

// TruncatedJSON is the real reply without the second half of its body: all
// that HTTP promises arrives, but it is no JSON.
func TruncatedJSON() Fault {
	return Fault{Rewrite: func(_ http.Header, body string) string { return body[:len(body)/2] }}
}

// WrongContentType is the real reply, which calls itself a page.
func WrongContentType() Fault {
	return Fault{Rewrite: func(header http.Header, body string) string {
		header.Set("Content-Type", "text/html; charset=utf-8")
		return body
	}}
}

// Unauthorized is the 401 for a token that is not valid any more.
func Unauthorized() Fault {
	return faultFromReply(invalidToken())
}

// Forbidden is the 403 for somebody who may read the repository only.
func Forbidden() Fault {
	return faultFromReply(forbidden())
}

// MissingScope is the 403 for a token without a scope that it needs.
func MissingScope(required, granted []string) Fault {
	return faultFromReply(missingScope(required, granted))
}
