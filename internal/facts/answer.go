package facts

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// An answer is one line of text. Servers that behave the same must have the same answer, so an
// answer has placeholders instead of names, IDs and times.

// maxText is the maximum length of a text of a reply in an answer. A longer text is shortened.
const maxText = 250

// leaf is a value inside of a JSON value. The path is like "links.self.href" or
// "values[].id".
type leaf struct {
	path  string
	value any
}

// leaves returns the leaves of a JSON value, sorted by path. An empty object or list is a
// leaf.
func leaves(path string, value any) []leaf {
	var all []leaf
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			all = append(all, leaves(strings.TrimPrefix(path+"."+name, "."), value[name])...)
		}
	case []any:
		for _, element := range value {
			all = append(all, leaves(path+"[]", element)...)
		}
	}
	if all == nil {
		return []leaf{{path, value}}
	}
	return all
}

var (
	uuidPattern = regexp.MustCompile(`(?i)(\{|%7B)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\}|%7D)`)
	idPattern   = regexp.MustCompile(`(/deploy-keys?/)\d+`)
	hexPattern  = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	namePattern = regexp.MustCompile(`(?i)tf-acc-[a-z0-9]{12}\b`)
	keyPattern  = regexp.MustCompile(`TFACC[A-Z0-9]{12}\b`)
	typePattern = regexp.MustCompile(`(ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9]+|sk-[a-z0-9@.-]+) AAAA[A-Za-z0-9+/=]+`)
)

// kind returns the type of a JSON value. For a time, a UUID and a URL it returns a more exact
// type than string.
func kind(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case map[string]any:
		return "empty object"
	case []any:
		return "empty list"
	case string:
		_, err := time.Parse(time.RFC3339, value)
		switch {
		case err == nil && strings.HasSuffix(value, "Z"):
			return "time with Z"
		case err == nil:
			return "time with an offset"
		case uuidPattern.FindString(value) == value && value != "":
			return "uuid"
		case strings.HasPrefix(value, "https://"), strings.HasPrefix(value, "http://"):
			return "URL"
		}
	}
	return "string"
}

// fields lists the fields of a JSON value with their types.
func fields(value any) string {
	var all []string
	for _, leaf := range leaves("", value) {
		of := kind(leaf.value)
		if text, ok := leaf.value.(string); ok && (leaf.path == "type" || strings.HasSuffix(leaf.path, ".type")) {
			of = strconv.Quote(text) // The types of Bitbucket's objects are the same on each server.
		}
		field := strings.TrimSpace(leaf.path + " " + of)
		if !slices.Contains(all, field) {
			all = append(all, field)
		}
	}
	return strings.Join(all, ", ")
}

// succeeded reports whether a reply has the status of a success.
func succeeded(reply *live.Reply) bool { return reply.Status >= 200 && reply.Status < 300 }

// object returns the object in the body of a reply, or nil.
func object(reply *live.Reply) map[string]any {
	var body map[string]any
	_ = json.Unmarshal(reply.Body, &body) // The body may be anything.
	return body
}

// withFields returns an answer that lists fields and their types: all fields of the object in
// the reply, or of the value at this path in the object.
func (r *run) withFields(reply *live.Reply, at ...string) string {
	body := object(reply)
	if !succeeded(reply) || body == nil {
		return r.refusal(reply)
	}
	var value any = body
	for _, name := range at {
		value = first(value, name)
	}
	return fmt.Sprintf("%d; %s", reply.Status, fields(value))
}

// first returns a field of an object, or the first element if the field is a list.
func first(value any, name string) any {
	parent, _ := value.(map[string]any)
	field := parent[name]
	if list, ok := field.([]any); ok {
		if len(list) == 0 {
			return list
		}
		return list[0]
	}
	return field
}

// withValues returns an answer that lists these fields of an object and their values.
func (r *run) withValues(reply *live.Reply, names ...string) string {
	body := object(reply)
	if !succeeded(reply) || body == nil {
		return r.refusal(reply)
	}
	shown := make([]string, len(names))
	for i, name := range names {
		var value any = body
		found := true
		for part := range strings.SplitSeq(name, ".") {
			parent, _ := value.(map[string]any)
			value, found = parent[part]
		}
		if shown[i] = name + " " + r.value(value); !found {
			shown[i] = name + " missing"
		}
	}
	return fmt.Sprintf("%d; %s", reply.Status, strings.Join(shown, ", "))
}

// withPage returns an answer with the number of values of a page and with its other fields.
func (r *run) withPage(reply *live.Reply) string {
	body := object(reply)
	values, ok := body["values"].([]any)
	if !succeeded(reply) || !ok {
		return r.refusal(reply)
	}
	delete(body, "values")
	shown := []string{fmt.Sprintf("%d values", len(values))}
	for _, leaf := range leaves("", body) {
		if leaf.path != "" {
			shown = append(shown, leaf.path+" "+r.value(leaf.value))
		}
	}
	return fmt.Sprintf("%d; %s", reply.Status, strings.Join(shown, ", "))
}

// value returns a value of a reply as a text for an answer.
func (r *run) value(value any) string {
	text, ok := value.(string)
	if !ok {
		encoded, err := json.Marshal(value)
		if err != nil {
			return kind(value)
		}
		return string(encoded)
	}
	return r.quoted(text)
}

// quoted returns a text of a reply with placeholders, in quotes. It shortens a long text.
func (r *run) quoted(text string) string {
	text = r.masked(text)
	if length := utf8.RuneCountInString(text); length > maxText {
		return fmt.Sprintf("%s (%d characters)", strconv.Quote(string([]rune(text)[:20])+"…"), length)
	}
	return strconv.Quote(text)
}

// refusal returns an answer for an error in any form: Bitbucket's envelope, other JSON, text,
// a page or an empty body. It also describes a redirect and a success without an object.
func (r *run) refusal(reply *live.Reply) string {
	status := strconv.Itoa(reply.Status)
	if target := reply.Header.Get("Location"); target != "" && reply.Status >= 300 && reply.Status < 400 {
		return status + " to " + r.masked(target)
	}
	text := strings.TrimSpace(string(reply.Body))
	var body any
	switch err := json.Unmarshal(reply.Body, &body); {
	case text == "":
		return status + " with an empty body"
	case strings.HasPrefix(text, "<"):
		return status + " HTML page"
	case err != nil:
		return status + " text " + r.quoted(text)
	}
	top, _ := body.(map[string]any)
	envelope, _ := top["error"].(map[string]any)
	message, standard := envelope["message"].(string)
	if standard && top["type"] == "error" {
		status += " " + r.quoted(message)
		delete(envelope, "message")
		delete(top, "type")
	}
	if len(envelope) == 0 && envelope != nil {
		delete(top, "error")
	}
	var rest []string
	for _, leaf := range leaves("", body) {
		if leaf.path != "" || top == nil {
			rest = append(rest, strings.TrimSpace(leaf.path+" "+r.value(leaf.value)))
		}
	}
	if len(rest) == 0 {
		return status
	}
	if standard {
		return status + ", " + strings.Join(rest, ", ")
	}
	return status + " " + strings.Join(rest, ", ")
}

// printable returns a text in one line, without credentials and without characters that would
// change how a terminal shows it. A server can put anything into a reply.
func printable(server *live.Server, text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return utf8.RuneError
		}
		return c
	}, server.Redact(text))
}

// masked replaces credentials with a note, and everything that differs between servers with a
// placeholder.
func (r *run) masked(text string) string {
	text = r.server.Redact(text)
	text = strings.ReplaceAll(text, r.server.Base.String(), "{api}")
	text = strings.ReplaceAll(text, r.server.Base.Scheme+"://"+r.server.Base.Host, "{site}")
	text = strings.ReplaceAll(text, "https://bitbucket.org", "{site}")
	text = uuidPattern.ReplaceAllString(text, "{uuid}")
	text = idPattern.ReplaceAllString(text, "${1}{id}")
	text = hexPattern.ReplaceAllString(text, "{hexadecimal number}")
	text = typePattern.ReplaceAllStringFunc(text, func(key string) string {
		if r.sent[key] {
			return "{key}"
		}
		return "{another key}"
	})
	text = namePattern.ReplaceAllStringFunc(text, func(name string) string {
		placeholder, known := r.names[strings.ToLower(name)]
		switch {
		case !known:
			placeholder = "{name}"
		case name != strings.ToLower(name):
			placeholder += " in capitals"
		}
		return placeholder
	})
	text = keyPattern.ReplaceAllString(text, "{project}")
	workspace := regexp.MustCompile(`(?i)(^|[/'"])` + regexp.QuoteMeta(r.server.Workspace) + `($|[/'"?])`)
	return workspace.ReplaceAllString(text, "${1}{workspace}${2}")
}

// headers returns an answer that lists these headers. If a value depends on the account, the
// answer has only the form of the value.
func (r *run) headers(reply *live.Reply, names ...string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = name + " missing"
		if values := reply.Header.Values(name); len(values) > 0 {
			shown[i] = name + " " + r.headerValue(strings.Join(values, ", "))
		}
	}
	return strings.Join(shown, ", ")
}

var (
	scopesPattern = regexp.MustCompile(`^[a-z-]+(:[a-z-]+)*(, ?[a-z-]+(:[a-z-]+)*)*$`)
	kindPattern   = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
)

func (r *run) headerValue(value string) string {
	_, notNumber := strconv.ParseFloat(value, 64)
	_, notDate := http.ParseTime(value)
	switch {
	case value == "true", value == "false":
		return "{boolean}"
	case notNumber == nil:
		return "{number}"
	case notDate == nil:
		return "{date}"
	case strings.Contains(value, ":") && scopesPattern.MatchString(value), strings.Contains(value, ", ") && scopesPattern.MatchString(value):
		return "{list of scopes}"
	case kindPattern.MatchString(value):
		return strconv.Quote(r.masked(value))
	}
	return r.quoted(value)
}
