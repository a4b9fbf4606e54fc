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
	"unicode"
)

const (
	// maxMessage bounds what is shown of one text of a reply, in characters.
	maxMessage = 500
	// maxNames bounds how many fields or scopes are shown.
	maxNames = 50
)

// Error is a request that did not end as asked. Its text and fields never hold
// credentials.
type Error struct {
	Method string
	// Path is the escaped path of the request.
	Path string
	// Status is what Bitbucket answered, 0 if nothing that could be used.
	Status int
	// Message holds Bitbucket's words, or a description of a reply that has
	// none.
	Message string
	// Fields are the messages that belong to a field of the request.
	Fields map[string][]string
	// Detail says more, where Bitbucket does.
	Detail string
	// Required and Granted are the scopes that Bitbucket names with a 403.
	Required, Granted []string
	// RequestID is what Atlassian's support finds the request by.
	RequestID string
	// RetryAfter is the time that Bitbucket asked to wait, as it put it.
	RetryAfter string
	// RateLimit says more about a 429, nil otherwise.
	RateLimit *RateLimit
	// Lost tells that the request may have been carried out all the same.
	Lost bool
	// Recovery is why that could not be found out. Where it is nil, what a lost
	// request was to change was not there when it was looked for.
	Recovery error
	// Err is what went wrong where Bitbucket did not answer, or not with what
	// the API documents.
	Err error

	// wait is the time that Bitbucket asked to wait, if it named one.
	wait  time.Duration
	named bool
}

// Error says it in one bounded line: net/http quotes what it cannot read.
func (e *Error) Error() string {
	request := e.Method + " " + e.Path + ": "
	if e.Err != nil {
		return request + clean(e.Err.Error())
	}
	text := request + strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap gives access to what went wrong below HTTP.
func (e *Error) Unwrap() error { return e.Err }

// HasStatus tells whether Bitbucket answered with this status. What it answers
// to the request for an access token says nothing about what that was for.
func HasStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Err == nil && e.Status == status && !e.ForToken()
}

// IsNotFound tells whether Bitbucket answered 404, which may mean that the
// thing is gone, or a thing above it, or that these credentials may not see it.
func IsNotFound(err error) bool { return HasStatus(err, http.StatusNotFound) }

// hasNoRoute tells whether Bitbucket has nothing at an address, whatever the
// repository.
func hasNoRoute(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && IsNotFound(e) && e.Says("no API hosted at this URL")
}

// isForbidden tells whether these credentials may not do it with this thing: 403,
// unless it is for want of a scope, and so for all things.
func isForbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && HasStatus(e, http.StatusForbidden) && len(e.Required) == 0 && !e.ForToken()
}

// ForToken tells whether it was an access token that could not be had: what the
// token was for has not been sent.
func (e *Error) ForToken() bool { return e.Path == tokenPath }

// Says tells whether Bitbucket's words hold this text.
func (e *Error) Says(text string) bool {
	words := []string{e.Message, e.Detail}
	for _, messages := range e.Fields {
		words = append(words, messages...)
	}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, text) })
}

// newError reads the reply to a request that failed. Bitbucket's own form is
// {"error": {"message", "fields", "detail", "id", "data"}}, but error has been
// seen as a string, fields alone as the whole body, plain text, HTML and nothing
// at all.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#standardized-error-responses
func newError(method string, u *url.URL, response *http.Response, body []byte) *Error {
	e := &Error{
		Method: method,
		Path:   u.EscapedPath(),
		Lost:   mayBeDone(response, nil),
	}
	e.readHead(response)
	e.readBody(body)
	return e
}

// readHead reads the status and the headers.
func (e *Error) readHead(response *http.Response) {
	e.Status = response.StatusCode
	e.wait, e.named = askedWait(response, time.Now())
	e.RequestID = clean(cmp.Or(response.Header.Get("X-Request-Id"), response.Header.Get("X-B3-TraceId")))
	if to, err := response.Location(); err == nil && e.Status < 400 {
		e.Detail = clean("it leads to " + to.Scheme + "://" + to.Host)
	}
	e.RetryAfter = clean(response.Header.Get("Retry-After"))
	if e.RetryAfter == "" && e.Status == http.StatusTooManyRequests {
		e.RetryAfter = clean(response.Header.Get("X-RateLimit-Reset"))
	}
}

// readBody reads what Bitbucket says, and describes a body that says nothing.
func (e *Error) readBody(body []byte) {
	e.readWords(body)
	if e.Message == "" {
		e.Message = describeBody(body)
	}
}

func (e *Error) readWords(body []byte) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return
	}
	envelope, found := top["error"]
	if !found {
		if e.Status >= 400 { // Else they are no complaints.
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
		// Not an object: the message itself.
		e.Message = clean(strings.Join(texts(envelope), " "))
		return
	}
	if message, ok := inner.Message.(string); ok {
		e.Message = clean(message)
	}
	if id, ok := inner.ID.(string); ok {
		e.RequestID = clean(id)
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
		e.Fields[clean(field)] = messages
	}
	if e.Message != "" || len(e.Fields) == 0 {
		return
	}
	var all []string
	for _, messages := range e.Fields {
		all = append(all, messages...)
	}
	slices.Sort(all)
	e.Message = clean(strings.Join(all, " "))
}

// readDetail reads a detail that is a text or names scopes.
func (e *Error) readDetail(raw json.RawMessage) {
	var scopes struct {
		Required []string `json:"required"`
		Granted  []string `json:"granted"`
	}
	if json.Unmarshal(raw, &scopes) == nil {
		e.Required, e.Granted = cleanAll(scopes.Required), cleanAll(scopes.Granted)
		return
	}
	e.Detail = cmp.Or(clean(strings.Join(texts(raw), " ")), e.Detail)
}

// readData reads the key of a message and its arguments, which services behind the
// API send beside or in place of the words.
func (e *Error) readData(raw json.RawMessage) {
	var data struct {
		Key       json.RawMessage `json:"key"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if e.Message != "" && (e.Detail != "" || e.Required != nil) || json.Unmarshal(raw, &data) != nil {
		return
	}
	said := texts(data.Key)
	var named map[string]json.RawMessage
	if json.Unmarshal(data.Arguments, &named) != nil {
		said = append(said, texts(data.Arguments)...)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if values := texts(named[name]); len(values) > 0 && len(said) < maxNames {
			said = append(said, name+": "+strings.Join(values, " "))
		}
	}
	words := clean(strings.Join(said, " "))
	if e.Message == "" {
		e.Message = words
	} else {
		e.Detail = words
	}
}

// texts finds the messages in a text, a {"message"} or a list of either, of which
// only the first ones are taken where they are too long to be shown together.
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
		if text = clean(text); text != "" {
			found = append(found, text)
		}
		if shown += len(text); shown > maxMessage {
			break
		}
	}
	return found
}

var titleOfPage = regexp.MustCompile(`(?i)<title>(.*?)(?:</|$)`)

// describeBody gives the words of a body that is not an error of the API, or
// tells what it is instead. JSON is not shown: it may be about other people's
// keys.
func describeBody(body []byte) string {
	text := clean(string(body))
	switch {
	case text == "":
		return "an empty reply"
	case json.Valid(body):
		return "JSON without a message"
	case text[0] == '{':
		return "JSON that breaks off or is damaged"
	case strings.HasPrefix(text, "<"):
		if title := titleOfPage.FindStringSubmatch(text); title != nil {
			return fmt.Sprintf("an HTML page with the title %q", strings.TrimSpace(title[1]))
		}
		return "an HTML page"
	}
	return text
}

// clean makes one bounded line of text from elsewhere, safe to print.
func clean(text string) string {
	if len(text) > 16*maxMessage {
		text = text[:16*maxMessage]
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}

func cleanAll(texts []string) []string {
	texts = texts[:min(len(texts), maxNames)]
	for i, text := range texts {
		texts[i] = clean(text)
	}
	return texts
}
