package recording

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/dnaeon/go-vcr.v4/pkg/cassette"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// sanitizer removes names and credentials from exchanges. It works in two passes. The first
// pass collects the names in all exchanges, because a name in a field of one exchange may be in
// a message of a different exchange.
type sanitizer struct {
	server *live.Server
	// names are the names of people, accounts and workspaces, with their replacements.
	names map[string]string
	// sent are the texts in the bodies of requests. A reply may repeat them.
	sent map[string]bool
	// uuids and created have a number for each UUID, and for each random name of a
	// repository or project.
	uuids, created map[string]int
	// forms are the forms of the names. They are known after the first pass.
	forms []replacement
}

// replacement replaces a form of a name, in any case.
type replacement struct {
	form, with string
	// wholeWords reports whether only whole words are replaced. That is so if the form is
	// short or ordinary, because it may then be a part of a longer word.
	wholeWords bool
}

const (
	somebody  = "anonymized" // This word is not in Bitbucket's own texts.
	workspace = "acme"
	apiRoot   = "https://api.bitbucket.org/2.0"
	removed   = "removed"
	page      = "<!DOCTYPE html>\n<html></html>\n"
)

func newSanitizer(server *live.Server) *sanitizer {
	return &sanitizer{
		server: server,
		names:  map[string]string{server.Workspace: workspace},
		sent:   map[string]bool{}, uuids: map[string]int{}, created: map[string]int{},
	}
}

var (
	// accountTypes are the types of objects that describe an account.
	accountTypes = []string{"user", "app_user", "team", "aaid_user", "account", "workspace_membership", "service_account"}
	// accountFields hold an account, whatever its type is.
	accountFields = []string{"owner", "created_by", "added_by", "updated_by", "deployer", "creator", "author", "user", "account", "actor", "member"}
	// nameFields name an account in any object.
	nameFields = []string{"display_name", "nickname", "username", "account_id", "email", "mail", "full_name", "first_name", "last_name", "public_name", "emailaddress"}

	uuidPattern    = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	createdPattern = regexp.MustCompile(`(?i)(tf-acc-|TFACC)([a-z0-9]{12})\b`)
	urlPattern     = regexp.MustCompile(`https?://[^\s"'<>]+`)
	keyTypePattern = regexp.MustCompile(`^(ssh-|sk-|ecdsa-)`)
	emailPattern   = regexp.MustCompile(`(?i)[\w.+-]+(@|%40)[\w-]+(\.[\w-]+)+`)
	tokenPattern   = regexp.MustCompile(`AT[A-Z]TT[\w=.~+/-]{8,}|ATBB[\w=.-]{8,}|eyJ[\w-]{6,}\.[\w-]+\.?[\w-]*|(?i)\b(bearer|basic)\s+[\w+/=.~-]{8,}`)
	base64Pattern  = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}`)
)

// learn collects the names in a JSON value. field is the name of the field with the value.
func (s *sanitizer) learn(value any, field string) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			s.learn(element, field)
		}
	case map[string]any:
		kind, _ := value["type"].(string)
		isAccount := slices.Contains(accountTypes, kind) || slices.Contains(accountFields, field)
		isParent := kind == "workspace" || kind == "project" || kind == "repository" || field == "workspace"
		for name, inner := range value {
			text, ok := inner.(string)
			identifies := slices.Contains(nameFields, strings.ToLower(name))
			owned := isAccount && (name == "name" || name == "slug" || name == "key")
			parent := isParent && (name == "name" || name == "slug" || name == "key" || name == "description")
			if !ok || !identifies && !owned && !parent {
				s.learn(inner, name)
				continue
			}
			for part := range strings.SplitSeq(text, "/") { // A full name is workspace/slug.
				s.learnName(part, kind == "workspace" || field == "workspace", isAccount)
			}
		}
	}
}

// ordinary are words that are not names by themselves. They are also in Bitbucket's own texts.
var ordinary = []string{
	"access", "account", "admin", "automation", "bitbucket", "bot", "build", "deploy", "deployment", "deployments", "dev",
	"environment", "environments", "key", "project", "projects", "repositories", "repository", "robot", "service", "team",
	"terraform", "test", "token", "user", "workspace", "workspaces",
}

// learnName adds one name. If the name belongs to an account, it also adds each word of it.
func (s *sanitizer) learnName(name string, isWorkspace, isAccount bool) {
	name = strings.TrimSpace(name)
	if name == "" || createdPattern.FindString(name) == name || strings.EqualFold(name, s.server.Workspace) || s.sent[name] {
		return
	}
	s.names[name] = somebody
	if isWorkspace {
		s.names[name] = workspace
	}
	if words := strings.Fields(name); isAccount && len(words) > 1 {
		for _, word := range words {
			if utf8.RuneCountInString(word) > 2 && !slices.Contains(ordinary, strings.ToLower(word)) {
				s.names[word] = somebody
			}
		}
	}
}

// noteSent remembers a text in the body of a request, also in the forms in which Bitbucket
// stores it.
func (s *sanitizer) noteSent(text string) {
	s.sent[text], s.sent[strings.TrimSpace(text)] = true, true
	if parts := strings.SplitN(strings.TrimSpace(text), " ", 3); len(parts) > 1 && keyTypePattern.MatchString(text) {
		s.sent[parts[0]+" "+parts[1]] = true
	}
}

// learnAll is the first pass. It collects the names in all exchanges.
func (s *sanitizer) learnAll(exchanges []*cassette.Interaction) {
	for _, exchange := range exchanges {
		var body any
		if json.Unmarshal([]byte(exchange.Request.Body), &body) == nil {
			eachText(body, s.noteSent)
		}
	}
	for _, exchange := range exchanges {
		var body any
		if json.Unmarshal([]byte(exchange.Response.Body), &body) == nil {
			s.learn(body, "")
		}
	}
	for _, secret := range s.server.Secrets() {
		if name, _, isAddress := strings.Cut(secret, "@"); isAddress && len(name) > 3 && !slices.Contains(ordinary, strings.ToLower(name)) {
			s.names[name] = somebody // This is the part of an e-mail address before @.
		}
	}
	s.forms = nil
	// Begin with the longest name, because a shorter name may be a part of it.
	for _, name := range slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return len(b) - len(a) }) {
		with := s.names[name]
		if strings.EqualFold(name, with) {
			continue
		}
		for _, form := range live.Forms(name) {
			form = lower(form)
			s.forms = append(s.forms, replacement{form, with, len(form) < 6 || slices.Contains(ordinary, form)})
		}
	}
}

// eachText calls visit with each text and each name of a field in a JSON value.
func eachText(value any, visit func(string)) {
	switch value := value.(type) {
	case string:
		visit(value)
	case []any:
		for _, element := range value {
			eachText(element, visit)
		}
	case map[string]any:
		for name, inner := range value {
			visit(name)
			eachText(inner, visit)
		}
	}
}

// clean is the second pass over one exchange.
func (s *sanitizer) clean(exchange *cassette.Interaction) {
	request, response := &exchange.Request, &exchange.Response
	body := s.body(request.Body, true)
	exchange.Request = cassette.Request{
		Proto: request.Proto, ProtoMajor: request.ProtoMajor, ProtoMinor: request.ProtoMinor,
		Method: request.Method, URL: s.text(request.URL), Host: "api.bitbucket.org",
		Headers: s.headers(request.Headers), Body: body, ContentLength: int64(len(body)),
	}
	body = s.body(response.Body, false)
	exchange.Response = cassette.Response{
		Proto: response.Proto, ProtoMajor: response.ProtoMajor, ProtoMinor: response.ProtoMinor,
		Status: strings.TrimSpace(fmt.Sprintf("%d %s", response.Code, http.StatusText(response.Code))), Code: response.Code,
		Headers: s.headers(response.Headers), Body: body, ContentLength: int64(len(body)),
	}
}

// keptHeaders are the headers that are stored. All others may name an account or a machine.
var keptHeaders = []string{
	"Accept", "Content-Type", "Location", "Allow", "Retry-After", "Www-Authenticate",
	"X-Credential-Type", "X-Oauth-Scopes", "X-Accepted-Oauth-Scopes",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Resource", "X-Ratelimit-Nearlimit",
}

func (s *sanitizer) headers(header http.Header) http.Header {
	kept := http.Header{}
	for name, values := range header {
		if slices.Contains(keptHeaders, http.CanonicalHeaderKey(name)) {
			for _, value := range values {
				kept.Add(name, s.text(value))
			}
		}
	}
	return kept
}

// body cleans a body. It replaces an HTML page with an empty page.
func (s *sanitizer) body(body string, sent bool) string {
	var value any
	switch decoder := json.NewDecoder(strings.NewReader(body)); {
	case strings.TrimSpace(body) == "":
		return ""
	case json.Valid([]byte(body)):
		decoder.UseNumber()
		if decoder.Decode(&value) != nil {
			return removed
		}
	case strings.HasPrefix(strings.TrimSpace(body), "<"):
		return page
	default:
		return s.text(body)
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(s.value(value, "", sent)) != nil {
		return removed
	}
	return strings.TrimSpace(out.String())
}

// value cleans a JSON value, which is in this field. Unless keep is set, it keeps only texts
// that Bitbucket or this run has written.
func (s *sanitizer) value(value any, field string, keep bool) any {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			value[i] = s.value(element, field, keep)
		}
	case map[string]any:
		cleaned := map[string]any{}
		for name, inner := range value {
			all := keep || field == "fields" || slices.Contains(keptTexts, name)
			if name == "avatar" {
				inner = map[string]any{"href": "https://bitbucket.org/avatar"}
			}
			cleaned[s.text(name)] = s.value(inner, name, all)
		}
		return cleaned
	case string:
		text := s.text(value)
		if keep || s.isOwn(text) || s.sent[value] {
			return text
		}
		return removed
	}
	return value
}

// keptTexts are the fields whose texts are kept, because Bitbucket writes or repeats these
// texts. Names in the texts are replaced.
var keptTexts = []string{
	"type", "key", "label", "comment", "created_on", "added_on", "updated_on", "last_used",
	"message", "detail", "fields", "data", "required", "granted", "next", "previous",
}

// words are the values of Bitbucket's enumerations, for example of environments.
var words = []string{
	"git", "", "Test", "Staging", "Production", "OPEN", "LOCKED", "UNDEPLOYED", "IN_PROGRESS", "COMPLETED",
	"SUCCESSFUL", "FAILED", "STOPPED", "no_public_forks", "no_forks", "allow_forks", "test", "staging", "production",
}

// isOwn reports whether a cleaned text contains nothing about an account. Such a text is a word
// of Bitbucket, a random name, a UUID or an address of Bitbucket.
func (s *sanitizer) isOwn(text string) bool {
	name := strings.TrimPrefix(text, workspace+"/")
	return slices.Contains(words, text) || lower(text) == somebody || lower(text) == workspace || createdPattern.FindString(name) == name ||
		uuidPattern.FindString(text) == strings.Trim(text, "{}") && text != "" ||
		strings.HasPrefix(text, "https://api.bitbucket.org/") || strings.HasPrefix(text, "https://bitbucket.org/")
}

// text cleans a text. If the result still has a name or credentials, it returns only removed.
func (s *sanitizer) text(text string) string {
	if keyTypePattern.MatchString(text) && !s.leaks(text) {
		return text // The base64 of a public key is not an address or a name.
	}
	text = strings.ReplaceAll(s.server.Redact(text), live.Redacted, removed)
	text = urlPattern.ReplaceAllStringFunc(text, s.url)
	text = strings.ReplaceAll(text, s.server.Base.Host, "api.bitbucket.org")
	text = tokenPattern.ReplaceAllString(text, removed)
	text = emailPattern.ReplaceAllStringFunc(text, func(address string) string {
		if isKeyType(address) {
			return address
		}
		return removed
	})
	for _, replacement := range s.forms {
		text = replacement.apply(text)
	}
	text = uuidPattern.ReplaceAllStringFunc(text, func(uuid string) string {
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", number(s.uuids, uuid))
	})
	text = createdPattern.ReplaceAllStringFunc(text, func(name string) string {
		parts := createdPattern.FindStringSubmatch(name)
		return fmt.Sprintf("%s%012d", parts[1], number(s.created, parts[2]))
	})
	if s.leaks(text) {
		return removed
	}
	return text
}

// isKeyType reports whether a text that looks like an e-mail address is the type of an SSH key.
func isKeyType(address string) bool {
	return strings.HasPrefix(address, "sk-") && strings.HasSuffix(address, "@openssh.com")
}

// number returns the number of a text, in the order of first use. It ignores case.
func number(numbers map[string]int, text string) int {
	text = strings.ToLower(text)
	if _, known := numbers[text]; !known {
		numbers[text] = len(numbers) + 1
	}
	return numbers[text]
}

// url cleans an address. Only Bitbucket and Atlassian's documentation keep their host.
func (s *sanitizer) url(raw string) string {
	if below, ok := strings.CutPrefix(raw, s.server.Base.String()); ok {
		return apiRoot + below
	}
	u, err := url.Parse(raw)
	if err != nil {
		return removed
	}
	u.User = nil
	switch host := strings.ToLower(u.Hostname()); {
	case host == "api.bitbucket.org", host == "bitbucket.org", strings.HasSuffix(host, ".atlassian.com"):
	case u.Host == s.server.Base.Host:
		u.Scheme, u.Host = "https", "bitbucket.org"
	case strings.HasPrefix(u.Path, "/2.0/"): // A link to the next page can name another host.
		u.Scheme, u.Host = "https", "other-host.invalid"
	default:
		return "https://other-host.invalid/"
	}
	return u.String()
}

// apply replaces the form in a text. It keeps capitals.
func (r replacement) apply(text string) string {
	var out strings.Builder
	from := 0
	for at, end := range r.matches(lower(text)) {
		with := r.with
		if found := text[at:end]; found != lower(found) && found == strings.ToUpper(found) {
			with = strings.ToUpper(with)
		}
		out.WriteString(text[from:at] + with)
		from = end
	}
	return out.String() + text[from:]
}

// matches yields the start and the end of each copy of the form in a text in lower case.
func (r replacement) matches(lowered string) iter.Seq2[int, int] {
	return func(yield func(at, end int) bool) {
		for from := 0; ; {
			at := strings.Index(lowered[from:], r.form)
			if at < 0 {
				return
			}
			at += from
			from = at + len(r.form)
			if (!r.wholeWords || isWhole(lowered, at, from)) && !yield(at, from) {
				return
			}
		}
	}
}

// lower converts only ASCII letters to lower case, so that all positions stay the same.
func lower(text string) string {
	bytes := []byte(text)
	for i, b := range bytes {
		if b >= 'A' && b <= 'Z' {
			bytes[i] = b + 'a' - 'A'
		}
	}
	return string(bytes)
}

// isWhole reports whether a part of a text begins and ends at the boundary of a word.
func isWhole(text string, at, end int) bool {
	return (at == 0 || !isWordByte(text[at-1]) || !isWordByte(text[at])) &&
		(end == len(text) || !isWordByte(text[end]) || !isWordByte(text[end-1]))
}

func isWordByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}

// leaks reports whether a text has a name or credentials, in any form.
func (s *sanitizer) leaks(text string) bool {
	return slices.ContainsFunc(readings(text), func(reading string) bool {
		if s.server.Redact(reading) != reading || tokenPattern.MatchString(reading) || slices.ContainsFunc(emailPattern.FindAllString(reading, -1), func(address string) bool { return !isKeyType(address) }) {
			return true
		}
		lowered := lower(reading)
		return slices.ContainsFunc(s.forms, func(r replacement) bool {
			for range r.matches(lowered) {
				return true
			}
			return false
		})
	})
}

// readings returns a text and all texts that it may encode.
func readings(text string) []string {
	all := []string{text}
	for range 2 { // A text may be escaped twice.
		for _, reading := range slices.Clone(all) {
			if unescaped, err := url.PathUnescape(reading); err == nil {
				all = append(all, unescaped)
			}
			var inner string
			if json.Unmarshal([]byte(`"`+strings.ReplaceAll(reading, `"`, `\"`)+`"`), &inner) == nil {
				all = append(all, inner)
			}
			all = append(all, html.UnescapeString(reading))
		}
		slices.Sort(all)
		all = slices.Compact(all)
	}
	for _, reading := range slices.Clone(all) {
		for _, run := range base64Pattern.FindAllString(reading, -1) {
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				if decoded, err := encoding.DecodeString(run[:len(run)/4*4]); err == nil && utf8.Valid(decoded) {
					all = append(all, string(decoded))
				}
			}
		}
	}
	return all
}

// check returns an error if the exchanges or the content of the file still have a name or
// credentials.
func (s *sanitizer) check(exchanges []*cassette.Interaction, content string) error {
	for i, exchange := range exchanges {
		request, response := exchange.Request, exchange.Response
		texts := []string{request.URL, request.Body, request.Host, response.Status, response.Body}
		for _, header := range []http.Header{request.Headers, response.Headers} {
			for name, values := range header {
				texts = append(texts, name+": "+strings.Join(values, ", "))
			}
		}
		for _, body := range []string{request.Body, response.Body} {
			var value any
			if json.Unmarshal([]byte(body), &value) == nil {
				eachText(value, func(text string) { texts = append(texts, text) })
			}
		}
		if slices.ContainsFunc(texts, s.leaks) {
			return fmt.Errorf("nothing was stored: exchange %d (%s) still has a name or credentials", i, request.Method)
		}
	}
	if s.leaks(content) {
		return errors.New("nothing was stored: the file would have a name or credentials")
	}
	return nil
}
