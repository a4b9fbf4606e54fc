package bitbucket

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// field is a field of a reply, with its value as JSON.
type field struct{ name, value string }

// object writes an object as it is, duplicates included.
func object(fields ...field) string {
	var members []string
	for _, f := range fields {
		members = append(members, fmt.Sprintf("%q: %s", f.name, f.value))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// wholeKey are the fields of a deploy key, each with a value of its own.
func wholeKey(repository string) []field {
	return []field{
		{"id", "1234"},
		{"key", `"` + keyLine + `"`},
		{"comment", `"comment"`},
		{"label", `"label"`},
		{"created_on", `"2026-09-30T13:07:33.924449+00:00"`},
		{"last_used", `"2026-10-01T00:00:00+00:00"`},
		{"repository", repository},
		{"type", `"deploy_key"`},
		{"links", `{"self": {"href": "https://api.bitbucket.org/2.0/x"}}`},
	}
}

var wholeRepository = []field{{"uuid", `"{uuid}"`}, {"full_name", `"mleu/test"`}, {"type", `"repository"`}}

// with replaces the value of a field, or leaves the field out for "".
func with(fields []field, name, value string) []field {
	var changed []field
	for _, f := range fields {
		if f.name == name {
			f.value = value
		}
		if f.value != "" {
			changed = append(changed, f)
		}
	}
	return changed
}

// decoded is what a reply says where it can be used: the fields that this client
// knows, "" for null.
func decoded(t *testing.T, fields, repository []field) DeployKey {
	t.Helper()
	text := func(fields []field, name string) string {
		said := ""
		for _, f := range fields {
			if f.name == name && f.value != "null" {
				if err := json.Unmarshal([]byte(f.value), &said); err != nil {
					t.Fatal(err)
				}
			}
		}
		return said
	}
	key := DeployKey{
		ID: 1234, Key: text(fields, "key"), Comment: text(fields, "comment"), Label: text(fields, "label"),
		CreatedOn: text(fields, "created_on"), LastUsed: text(fields, "last_used"),
	}
	key.Repository.UUID, key.Repository.FullName = text(repository, "uuid"), text(repository, "full_name")
	return key
}

// expectKeyOrError asks for one key and for the list with this reply: nil means
// that it cannot be used.
func expectKeyOrError(t *testing.T, reply string, want *DeployKey) {
	t.Helper()
	page := func(values ...string) string { return `{"values": [` + strings.Join(values, ", ") + `]}` }
	for name, ask := range map[string]func() (*DeployKey, error){
		"alone": func() (*DeployKey, error) {
			return newTestClient(t, answers(t, answer(200, reply))).FindDeployKey(t.Context(), repository, 1234)
		},
		"listed": func() (*DeployKey, error) {
			keys, err := newTestClient(t, answers(t, answer(200, page(reply)))).DeployKeys(t.Context(), repository)
			if err != nil {
				return nil, err
			}
			return &keys[0], nil
		},
		"found": func() (*DeployKey, error) { // What is no key is asked for by itself.
			api := answers(t, answer(200, page(oneKey[:len(oneKey)-1]+`, "id": 1}`, reply)), answer(200, reply))
			return newTestClient(t, api).DeployKey(t.Context(), repository, 1234)
		},
	} {
		got, err := ask()
		switch {
		case want == nil && (got != nil || !errors.Is(err, ErrUnusable)):
			t.Errorf("%s: got %.300s, %v, want an error for %.300s", name, fmt.Sprint(got), err, reply)
		case want == nil && len(err.Error()) > 2*maxMessage:
			t.Errorf("%s: the error has %d characters", name, len(err.Error()))
		case want != nil && (err != nil || *got != *want):
			t.Errorf("%s: got %.300s, %v, want %.300s for %.300s", name, fmt.Sprint(got), err, fmt.Sprint(want), reply)
		}
	}
}

// Each field in turn is missing, null and of each type. Where the client knows
// the field, it takes its own type and null for nothing; a number and a key there
// must be. Nothing is made up.
func TestHostile_fields(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"missing": "", "null": "null", "a text": `"text"`, "empty": `""`, "a number": "7", "a fraction": "1.5", "negative": "-1", "exponent": "1e3",
		"too large": "1e400", "a truth": "true", "a list": `["text"]`, "an object": `{"uuid": 5}`, "text in control": `"\u0000\u001b[2J\u2028\ud800"`,
	}
	isText := func(value string) bool { return value == "" || value == "null" || strings.HasPrefix(value, `"`) }
	for what, value := range values {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, f := range wholeKey("{}") {
				fields := with(wholeKey(object(wholeRepository...)), f.name, value)
				repository := wholeRepository
				usable := isText(value)
				switch f.name {
				case "id":
					usable = false
				case "key":
					usable = usable && what != "missing" && what != "null" && what != "empty"
				case "repository":
					usable, repository = what == "missing" || what == "null", nil
				case "type", "links":
					usable = true
				}
				if f.name == "id" && what == "a number" {
					continue // That is another key.
				}
				if !usable {
					expectKeyOrError(t, object(fields...), nil)
					continue
				}
				want := decoded(t, fields, repository)
				expectKeyOrError(t, object(fields...), &want)
			}
			for _, f := range wholeRepository {
				inside := with(wholeRepository, f.name, value)
				fields := wholeKey(object(inside...))
				if f.name != "type" && !isText(value) {
					expectKeyOrError(t, object(fields...), nil)
					continue
				}
				want := decoded(t, fields, inside)
				expectKeyOrError(t, object(fields...), &want)
			}
		})
	}
}

// The last of several counts, as for every other reader of JSON, but a wrong one
// is not made good by another.
func TestHostile_duplicates(t *testing.T) {
	t.Parallel()
	whole := wholeKey(object(wholeRepository...))
	want := decoded(t, whole, wholeRepository)
	for _, f := range whole {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			expectKeyOrError(t, object(append([]field{f}, whole...)...), &want)
			if f.name != "type" && f.name != "links" {
				expectKeyOrError(t, object(append([]field{{f.name, "[5]"}}, whole...)...), nil)
				expectKeyOrError(t, object(append(whole[:len(whole):len(whole)], field{f.name, "[5]"})...), nil)
			}
		})
	}
	t.Run("another id", func(t *testing.T) {
		t.Parallel()
		expectKeyOrError(t, object(append([]field{{"id", "7"}}, whole...)...), &want)
	})
}

func TestHostile_sizes(t *testing.T) {
	t.Parallel()
	whole := wholeKey(object(wholeRepository...))
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	inObjects := strings.Repeat(`{"error":`, 20_000) + "5" + strings.Repeat("}", 20_000)
	var others []field
	for i := range 100_000 {
		others = append(others, field{fmt.Sprintf("other_%d", i), "5"})
	}
	long := strings.Repeat("x", 1<<20)
	want := decoded(t, whole, wholeRepository)
	labeled := want
	labeled.Label = long
	for name, tc := range map[string]struct {
		reply string
		want  *DeployKey
	}{
		"many other fields":     {object(append(others, whole...)...), &want},
		"a long text":           {object(with(whole, "label", `"`+long+`"`)...), &labeled},
		"nested":                {object(append(whole, field{"other", nested(5_000)})...), &want},
		"nested too deeply":     {object(append(whole, field{"other", nested(20_000)})...), nil},
		"nested in a field":     {object(with(whole, "label", nested(20_000))...), nil},
		"nested, never closed":  {strings.Repeat(`{"id":`, 1_000_000), nil},
		"objects in objects":    {inObjects, nil},
		"over 10 MB":            {object(with(whole, "label", `"`+strings.Repeat("x", maxBody)+`"`)...), nil},
		"a number of 1 MB":      {object(with(whole, "id", strings.Repeat("9", 1<<20))...), nil},
		"white space":           {strings.Repeat(" \n", 1<<20) + object(whole...), &want},
		"two in one":            {object(whole...) + object(whole...), nil},
		"byte order mark":       {"\ufeff" + object(whole...), nil},
		"invalid UTF-8":         {"{\"id\": 1234, \"key\": \"\xff\xfe\", \"lab\xffel\": 5}", &DeployKey{ID: 1234, Key: "\ufffd\ufffd"}},
		"UTF-16":                {"\xff\xfe{\x00}\x00", nil},
		"a name in other cases": {strings.Replace(object(whole...), `"id"`, `"ID"`, 1), &want},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectKeyOrError(t, tc.reply, tc.want)
		})
	}
}

// The same for a page as such.
func TestHostile_pages(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"values twice":            `{"values": [` + oneKey + `], "values": null}`,
		"values, then a text":     `{"values": [` + oneKey + `], "values": "none"}`,
		"a key twice":             `{"values": [` + oneKey + `, {"id": 1234}]}`,
		"a key in a list":         `{"values": [[` + oneKey + `]]}`,
		"keys by number":          `{"values": {"0": ` + oneKey + `}}`,
		"next is an object":       `{"values": [], "next": {"href": "ORIGIN/2.0/x"}}`,
		"next is a list":          `{"values": [], "next": ["ORIGIN/2.0/x"]}`,
		"next is true":            `{"values": [], "next": true}`,
		"next twice":              `{"values": [], "next": "ORIGIN/2.0/x", "next": 5}`,
		"next of 1 MB":            `{"values": [], "next": "` + strings.Repeat("http://", 150_000) + `"}`,
		"over 10 MB":              `{"values": [], "other": "` + strings.Repeat("x", maxBody) + `"}`,
		"over 10 MB of nothing":   strings.Repeat(" ", maxBody+1),
		"nested too deeply":       `{"values": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"nested beside the list":  `{"values": [], "other": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"an error and no list":    `{"error": {"message": "No."}, "values": null}`,
		"a list that breaks off":  `{"values": [` + oneKey + `,`,
		"a list and then garbage": `{"values": []} <html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := newTestClient(t, answers(t, answer(200, body)), withRetries(0)).DeployKeys(t.Context(), repository)
			if keys != nil || !errors.Is(err, ErrUnusable) || len(err.Error()) > 2*maxMessage {
				t.Errorf("got %.300s, %v, want an error", fmt.Sprint(keys), err)
			}
		})
	}
}
