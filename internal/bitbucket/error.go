package bitbucket

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// maxNames bounds how many fields or scopes of a reply are shown.
const maxNames = 50

// ErrUnusable marks a successful reply that does not match the documented API. The same
// request would get the same reply again.
var ErrUnusable = transport.ErrUnusable

// ErrProxyCredentials means that the proxy in front of Bitbucket requires credentials.
var ErrProxyCredentials = transport.ErrProxyCredentials

// Error describes a request that failed. Its text and its fields never hold credentials.
type Error struct {
	Method string
	// Path is the escaped path of the request.
	Path string
	// Status is the status of Bitbucket's reply, 0 if no usable reply arrived.
	Status int
	// Message is Bitbucket's message, or a description of a reply without a message.
	Message string
	// Described reports whether Message describes the reply instead of being Bitbucket's text.
	Described bool
	// FromFields reports whether Message only repeats the messages in Fields.
	FromFields bool
	// Fields are Bitbucket's messages about a field of the request.
	Fields map[string][]string
	// Detail is Bitbucket's second message, if there is one.
	Detail string
	// Required and Granted are the scopes that Bitbucket names with a 403.
	Required, Granted []string
	// RequestID identifies the request for Atlassian's support.
	RequestID string
	// RetryAfter is the wait that Bitbucket requests, as the text that Bitbucket sent.
	RetryAfter string
	// RateLimit describes the rate limit after a 429. Otherwise it is nil.
	RateLimit *transport.RateLimit
	// MaybeDone reports whether Bitbucket may have carried out the request.
	MaybeDone bool
	// Err is the cause if no usable reply arrived.
	Err error

	// retryAfter is the wait that Bitbucket requests, nil if it requests none.
	retryAfter *time.Duration
}

// Error describes the failure in one bounded line.
func (e *Error) Error() string {
	request := e.Method + " " + e.Path + ": "
	if e.Err != nil {
		return request + transport.Printable(e.Err.Error()) // An error of net/http may quote a malformed reply.
	}
	text := request + strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap returns the cause if no usable reply arrived.
func (e *Error) Unwrap() error { return e.Err }

// HasStatus reports whether Bitbucket answered the request with this status. It ignores the
// status of a failed request for an access token, because the request that needs the token
// was then not sent.
func HasStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Err == nil && e.Status == status && !e.ForToken()
}

// IsNotFound reports whether Bitbucket answered 404. Either the object or its parent does
// not exist, or these credentials may not see it.
func IsNotFound(err error) bool { return HasStatus(err, http.StatusNotFound) }

// IsForbidden reports whether Bitbucket answered 403 for this one object. It ignores a 403
// that concerns all objects: a missing scope, a rule of the workspace or a firewall.
func IsForbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	_, rule := errors.AsType[*AccessRuleError](err)
	return ok && HasStatus(e, http.StatusForbidden) && len(e.Required) == 0 && !rule && !e.IsPage()
}

// IsRedirect reports whether Bitbucket answered with a redirect that was not followed.
func IsRedirect(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Err == nil && e.Status >= 300 && e.Status < 400 && !e.ForToken()
}

// ForToken reports whether the request for an access token failed. The request that needs
// the token was not sent.
func (e *Error) ForToken() bool { return e.Path == transport.TokenPath }

// unusable returns the error for a successful reply that cannot be used.
func unusable(method string, u *url.URL, why string) *Error {
	return &Error{Method: method, Path: u.EscapedPath(), MaybeDone: true, Err: fmt.Errorf("%w: %s", ErrUnusable, why)}
}

// newRateLimitError returns the error for a request that was not sent because an earlier
// request has reached the rate limit.
func newRateLimitError(method, path string, limited *transport.RateLimitError) *Error {
	return &Error{Method: method, Path: path, Status: http.StatusTooManyRequests, Message: limited.Error(), Described: true, RateLimit: &limited.RateLimit}
}

// newError reads the reply to a request that failed. Bitbucket documents the form
// {"error": {"message", "fields", "detail", "id", "data"}}. A string as error, fields
// alone, plain text, HTML and an empty body have been observed too.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses
func newError(method string, u *url.URL, response *transport.Response) *Error {
	e := &Error{
		Method:     method,
		Path:       u.EscapedPath(),
		MaybeDone:  response.MaybeDone,
		retryAfter: response.RetryAfter,
	}
	e.readHead(response.StatusCode, response.Header, response.Location)
	e.readBody(response.Body)
	return e
}

// readHead reads the status and the headers.
func (e *Error) readHead(status int, header http.Header, location *url.URL) {
	e.Status = status
	e.RequestID = transport.Printable(cmp.Or(header.Get("X-Request-Id"), header.Get("X-B3-TraceId")))
	if location != nil && e.Status < 400 {
		// Show the path, which has the new name after a rename. Omit the query and the
		// user, which may be secret.
		e.Detail = transport.Printable("it redirects to " + location.Scheme + "://" + location.Host + location.EscapedPath())
	}
	e.RetryAfter = transport.Printable(header.Get("Retry-After"))
	if e.RetryAfter == "" && e.Status == http.StatusTooManyRequests {
		e.RetryAfter = transport.Printable(header.Get("X-RateLimit-Reset"))
	}
}

// readBody reads Bitbucket's messages, or describes a body that has no messages.
func (e *Error) readBody(body []byte) {
	e.readMessages(body)
	if e.Message == "" {
		e.Message, e.Described = describeBody(body)
	}
}

// IsPage reports whether the reply is an HTML page. Such a page usually comes from a firewall
// or a proxy, and not from the API.
func (e *Error) IsPage() bool { return e.Described && strings.HasPrefix(e.Message, htmlPage) }

// readMessages reads an error of the API.
func (e *Error) readMessages(body []byte) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return
	}
	envelope, found := top["error"]
	if !found {
		if e.Status >= 400 { // Below 400, the fields of the reply are not messages.
			e.readFields(top)
		}
		return
	}
	var inner struct {
		Message any                        `json:"message"`
		Fields  map[string]json.RawMessage `json:"fields"`
		Detail  json.RawMessage            `json:"detail"`
		ID      any                        `json:"id"`
		Data    json.RawMessage            `json:"data"`
	}
	if json.Unmarshal(envelope, &inner) != nil {
		// envelope is not an object but the message itself.
		e.Message = transport.Printable(strings.Join(texts(envelope), " "))
		return
	}
	if message, ok := inner.Message.(string); ok {
		e.Message = transport.Printable(message)
	}
	if id, ok := inner.ID.(string); ok {
		e.RequestID = transport.Printable(id)
	}
	e.readFields(inner.Fields)
	e.readDetail(inner.Detail)
	e.readData(inner.Data)
}

// readFields reads messages by field: {"key": ["…"]}, {"key": "…"} or
// {"key": [{"message": "…"}]}.
func (e *Error) readFields(fields map[string]json.RawMessage) {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		messages := texts(fields[field])
		if field == "type" || len(messages) == 0 || len(e.Fields) == maxNames {
			continue
		}
		if e.Fields == nil {
			e.Fields = map[string][]string{}
		}
		e.Fields[transport.Printable(field)] = messages
	}
	if e.Message != "" || len(e.Fields) == 0 {
		return
	}
	var all []string
	for _, messages := range e.Fields {
		all = append(all, messages...)
	}
	slices.Sort(all)
	e.Message, e.FromFields = transport.Printable(strings.Join(all, " ")), true
}

// readDetail reads a detail: a text, or an object that lists scopes.
func (e *Error) readDetail(raw json.RawMessage) {
	var scopes struct {
		Required []string `json:"required"`
		Granted  []string `json:"granted"`
	}
	if json.Unmarshal(raw, &scopes) == nil {
		e.Required, e.Granted = printableAll(scopes.Required), printableAll(scopes.Granted)
		return
	}
	e.Detail = cmp.Or(transport.Printable(strings.Join(texts(raw), " ")), e.Detail)
}

// readData reads the key of a message and its arguments. Some services behind the API send
// them in addition to the message or instead of it.
func (e *Error) readData(raw json.RawMessage) {
	var data struct {
		Key       json.RawMessage `json:"key"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if e.Message != "" && (e.Detail != "" || e.Required != nil) || json.Unmarshal(raw, &data) != nil {
		return
	}
	words := texts(data.Key)
	var named map[string]json.RawMessage
	if json.Unmarshal(data.Arguments, &named) != nil {
		words = append(words, texts(data.Arguments)...)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if values := texts(named[name]); len(values) > 0 && len(words) < maxNames {
			words = append(words, name+": "+strings.Join(values, " "))
		}
	}
	text := transport.Printable(strings.Join(words, " "))
	if e.Message == "" {
		e.Message = text
	} else {
		e.Detail = text
	}
}

// texts returns the messages in a text, in an object with a message, or in a list of texts
// and objects. It stops when the messages become too long to be shown together.
func texts(raw json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var found []string
	shown := 0
	for _, item := range list {
		var text string
		var object struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(item, &text) != nil && json.Unmarshal(item, &object) == nil {
			text = object.Message
		}
		if text = transport.Printable(text); text != "" {
			found = append(found, text)
		}
		if shown += len(text); shown > transport.MaxText {
			break
		}
	}
	return found
}

var pageTitle = regexp.MustCompile(`(?i)<title>(.*?)(?:</|$)`)

// htmlPage begins the description of a page.
const htmlPage = "an HTML page"

// describeBody returns the text of a body that is not an error of the API, or describes
// the body. It does not show JSON, which may hold other people's keys.
func describeBody(body []byte) (text string, described bool) {
	text = transport.Printable(string(body))
	switch {
	case text == "":
		return "an empty reply", true
	case json.Valid(body):
		return "JSON without a message", true
	case text[0] == '{':
		return "JSON that breaks off or is damaged", true
	case strings.HasPrefix(text, "<"):
		if title := pageTitle.FindStringSubmatch(text); title != nil {
			return fmt.Sprintf(htmlPage+" with the title %q", strings.TrimSpace(title[1])), true
		}
		return htmlPage, true
	}
	return text, text == transport.Redacted
}

func printableAll(texts []string) []string {
	texts = texts[:min(len(texts), maxNames)]
	for i, text := range texts {
		texts[i] = transport.Printable(text)
	}
	return texts
}
