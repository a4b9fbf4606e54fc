package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Fault replaces the reply to matching requests. If several faults match a request,
// the fault that was injected first applies.
type Fault struct {
	Method string // Method is the method to match. "" matches every method.
	Path   string // Path is a part of the escaped path to match. "" matches every path.
	Skip   int    // Skip is the number of matching requests before the fault applies.
	Times  int    // Times is the number of requests to which the fault applies. 0 is unlimited.

	// CarryOut carries out the request before the fault replaces its reply. The
	// client then receives an error, or no reply, although the change succeeded.
	CarryOut bool

	Status int // Status is the status of the reply. 0 means 500.
	Header http.Header
	Body   string

	// Rewrite carries out the request and changes its reply. It may change the
	// header, and it returns the body to send.
	Rewrite func(header http.Header, body string) string

	// Cut closes the connection without a reply. Note that Go's HTTP transport
	// repeats a GET if the connection was used before.
	Cut bool
	// Truncate carries out the request and sends only the first half of the body,
	// with the Content-Length of the complete body. It does not change a reply
	// without a body.
	Truncate bool
	// Reset ends the connection with a TCP reset (RST). The client then gets an
	// error instead of an end of file. The reset replaces the whole reply. With
	// Truncate, it replaces only the second half.
	Reset bool
	// Hang sends nothing until the client closes the connection.
	Hang bool
}

// injectedFault is a fault with the number of requests to which it applied.
type injectedFault struct {
	Fault
	answered int
}

// Inject appends faults to the faults that were injected earlier.
func (e *Emulator) Inject(faults ...Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fault := range faults {
		fault.Header = fault.Header.Clone()
		e.faults = append(e.faults, &injectedFault{Fault: fault})
	}
}

// ClearFaults removes all faults. Requests that already hang are not released.
func (e *Emulator) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// nextFault returns the fault that applies to c, and counts the request.
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

// matches reports whether the method and the path of c match the fault.
func (f Fault) matches(c call) bool {
	return (f.Method == "" || f.Method == c.Method) && strings.Contains(c.path, f.Path)
}

// answer returns the reply to a request to which f applies. It calls carryOut if f
// carries out the request.
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
		answer.add(nil) // Rewrite may write to the header, but the header of a 204 is nil.
		answer.body = []byte(f.Rewrite(answer.header, string(answer.body)))
	default:
		answer = f.reply()
	}
	return answer
}

// reply returns the reply with the status, the header and the body of the fault.
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

// faultFromReply returns a fault that sends a reply of the emulator.
func faultFromReply(answer reply) Fault {
	return Fault{Status: answer.status, Header: answer.header, Body: string(answer.body)}
}

// RateLimited is the 429 of Bitbucket. It is plain text and has no Retry-After.
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

// ServerError is a 500 that Bitbucket sent although it had created the key. Set
// CarryOut to imitate that.
func ServerError() Fault {
	return Fault{
		Status: http.StatusInternalServerError,
		Body: `{"error": {"message": "{u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}", ` +
			`"id": "5c99b0118d884499b54591e0293a90ed"}}`,
	}
}

// BadGateway is the page of a proxy that cannot reach the API.
func BadGateway() Fault {
	return Fault{
		Status: http.StatusBadGateway,
		Header: http.Header{"Content-Type": {"text/html"}},
		Body: "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n" +
			"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
	}
}

// Unavailable is a 503 with a Retry-After of this many seconds.
func Unavailable(retryAfter int) Fault {
	return Fault{
		Status: http.StatusServiceUnavailable,
		Header: http.Header{"Content-Type": {"text/plain"}, "Retry-After": {strconv.Itoa(retryAfter)}},
		Body:   "Service Unavailable",
	}
}

// LoginPage is the log-in page of a proxy. Its status is 200, although it is not a
// reply of the API.
func LoginPage() Fault {
	return Fault{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body: "<!DOCTYPE html>\n<html>\n<head><title>Log in to the network</title></head>\n" +
			"<body><form method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body>\n</html>\n",
	}
}

// Redirect is a redirect to location, for example on another host.
func Redirect(location string) Fault {
	return Fault{Status: http.StatusFound, Header: http.Header{"Location": {location}}}
}

// EmptyOK is a 200 without a body.
func EmptyOK() Fault {
	return Fault{Status: http.StatusOK}
}

// TruncatedJSON sends only the first half of the body. The reply is valid HTTP, but
// its body is not valid JSON.
func TruncatedJSON() Fault {
	return Fault{Rewrite: func(_ http.Header, body string) string { return body[:len(body)/2] }}
}

// WrongContentType sends the reply with the Content-Type of an HTML page.
func WrongContentType() Fault {
	return Fault{Rewrite: func(header http.Header, body string) string {
		header.Set("Content-Type", "text/html; charset=utf-8")
		return body
	}}
}

// UnreadableKey removes the public key of the deploy key with this ID from replies. Nobody
// has observed such a reply of Bitbucket.
func UnreadableKey(id int64) Fault {
	return Fault{Path: "/deploy-keys", Rewrite: func(_ http.Header, body string) string {
		var value any
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber()
		if decoder.Decode(&value) != nil {
			return body
		}
		removeKey(value, json.Number(strconv.FormatInt(id, 10)))
		changed, err := json.Marshal(value)
		if err != nil {
			return body
		}
		return string(changed)
	}}
}

// removeKey removes the field key of the objects with this ID.
func removeKey(value any, id json.Number) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			removeKey(element, id)
		}
	case map[string]any:
		if value["id"] == id {
			delete(value, "key")
		}
		for _, field := range value {
			removeKey(field, id)
		}
	}
}

// Unauthorized is the 401 for an invalid or expired token.
func Unauthorized() Fault {
	return faultFromReply(invalidToken())
}

// Forbidden is the 403 for an account that can only read the repository.
func Forbidden() Fault {
	return faultFromReply(forbidden())
}

// MissingScope is the 403 for a token without a required scope.
func MissingScope(required, granted []string) Fault {
	return faultFromReply(missingScope(required, granted))
}
