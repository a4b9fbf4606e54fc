package bitbucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const recordedKey = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDAK/b1cHHDr/TEV1JGQl+WjCwStKG6Bhrv0rFpEsYlyTBm1fzN0VOJJYn4ZOPCPJwqse6fGbXntEs+BbXiptR+++HycVgl65TMR0b5ul5AgwrVdZdT7qjCOCgaSV74/9xlHDK8oqgGnfA7ZoBBU+qpVyaloSjBdJfLtPY/xqj4yHnXKYzrtn/uFc4Kp9Tb7PUg9Io3qohSTGJGVHnsVblq/rToJG7L5xIo0OxK0SJSQ5vuId93ZuFZrCNMXj8JDHZeSEtjJzpRCBEXHxpOPhAcbm4MzULgkFHhAVgp4JbkrT99/wpvZ7r9AdkTg7HGqL3rlaDrEcWfL7Lu6TnhBdq5"

// newKey returns a key of the repository in the recorded bodies.
func newKey(id int64, key, comment, label, createdOn, lastUsed string) DeployKey {
	k := DeployKey{ID: id, Key: key, Comment: comment, Label: label, CreatedOn: createdOn, LastUsed: lastUsed}
	k.Repository.UUID, k.Repository.FullName = "{85d08b4e-571d-44e9-a507-fa476535aa98}", "mleu/test"
	return k
}

func TestDeployKey_decodes(t *testing.T) {
	t.Parallel()
	get := func(id int64) func(context.Context, *Client) (*DeployKey, error) {
		return func(ctx context.Context, c *Client) (*DeployKey, error) { return c.GetDeployKey(ctx, repository, id) }
	}
	documented := "2018-08-15T23:50:59.993890+00:00"
	embed := `"repository": {"type": "repository", "name": "Test", "full_name": "mleu/test", "uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`
	for name, tc := range map[string]struct {
		body string
		call func(context.Context, *Client) (*DeployKey, error)
		want DeployKey
	}{
		"GET": {
			readTestdata(t, "deploy_key.json"), get(1234),
			newKey(1234, recordedKey, "mleu@C02W454JHTD8", "mykey", documented, ""),
		},
		"POST": {
			readTestdata(t, "deploy_key_created.json"),
			func(ctx context.Context, c *Client) (*DeployKey, error) {
				return c.CreateDeployKey(ctx, repository, DeployKeyInput{Key: recordedKey + " mleu@C02W454JHTD8", Label: "mydeploykey"})
			},
			newKey(123, recordedKey, "mleu@C02W454JHTD8", "mydeploykey", documented, ""),
		},
		"PUT": {
			readTestdata(t, "deploy_key_updated.json"),
			func(ctx context.Context, c *Client) (*DeployKey, error) {
				return c.UpdateDeployKey(ctx, repository, 1234, DeployKeyInput{Key: recordedKey + " newcomment", Label: "newlabel"})
			},
			newKey(1234, recordedKey, "newcomment", "newlabel", documented, ""),
		},
		"live, with links of the repository": {
			readTestdata(t, "deploy_key_live.json"), get(123),
			newKey(123, "ssh-rsa AAAAB3NzaC1yc2EAAAADA...AdkTg7HGqL3rlaDrEcWfL7Lu6TnhBdq5", "", "mykey", "2019-03-23T10:15:21.517377+00:00", ""),
		},
		"used": {
			`{"id": 10958984, "key": "ssh-ed25519 AAAA", "last_used": "2026-11-01T10:00:00.123456+00:00", ` + embed + `}`, get(10958984),
			newKey(10958984, "ssh-ed25519 AAAA", "", "", "", "2026-11-01T10:00:00.123456+00:00"),
		},
		"with nulls as in the schema": {
			`{"id": 123, "key": "ssh-ed25519 AAAA", "label": "ci", "comment": null, "added_on": null, "owner": null, "created_on": null, "last_used": null, ` + embed + `}`, get(123),
			newKey(123, "ssh-ed25519 AAAA", "", "ci", "", ""),
		},
		"created in a whole second": {
			`{"id": 123, "key": "ssh-ed25519 AAAA", "created_on": "2013-12-10T14:44:13+00:00", ` + embed + `}`, get(123),
			newKey(123, "ssh-ed25519 AAAA", "", "", "2013-12-10T14:44:13+00:00", ""),
		},
		"id over 32 bits": {
			`{"id": 9007199254740993, "key": "ssh-ed25519 AAAA", ` + embed + `}`, get(9007199254740993),
			newKey(9007199254740993, "ssh-ed25519 AAAA", "", "", "", ""),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.call(t.Context(), newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, tc.body))))
			if err != nil {
				t.Fatal(err)
			}
			if *got != tc.want {
				t.Errorf("got  %+v\nwant %+v", *got, tc.want)
			}
		})
	}
}

func TestDeployKeys_decodes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want []DeployKey
	}{
		"documented": {
			readTestdata(t, "deploy_keys.json"),
			[]DeployKey{newKey(123, recordedKey, "mleu@C02W454JHTD8", "mykey", "2018-08-15T23:50:59.993890+00:00", "")},
		},
		"empty": {`{"values": [], "pagelen": 10, "size": 0, "page": 1}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := collect(t.Context(), newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, tc.body))).ListDeployKeys(repository))
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestDeployKey_requests(t *testing.T) {
	t.Parallel()
	byUUID := Parent{Workspace: "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}", Repository: "{85d08b4e-571d-44e9-a507-fa476535aa98}"}
	uuidPath := "/2.0/repositories/%7B3b3e510b-7f2b-414d-a2b7-76c4e405c1c0%7D/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"
	list := httpfake.Page("")
	one := httpfake.Reply(200, oneKey)
	for name, tc := range map[string]struct {
		reply      http.HandlerFunc
		call       func(context.Context, *Client) error
		line, body string
	}{
		"list": {list, func(ctx context.Context, c *Client) error {
			_, err := collect(ctx, c.ListDeployKeys(repository))
			return err
		}, "GET " + keysPath + "?pagelen=100", ""},
		"list by UUID": {list, func(ctx context.Context, c *Client) error {
			_, err := collect(ctx, c.ListDeployKeys(byUUID))
			return err
		}, "GET " + uuidPath + "?pagelen=100", ""},
		"get": {one, func(ctx context.Context, c *Client) error {
			_, err := c.GetDeployKey(ctx, repository, 1234)
			return err
		}, "GET " + keyPath, ""},
		"get by UUID": {one, func(ctx context.Context, c *Client) error {
			_, err := c.GetDeployKey(ctx, byUUID, 1234)
			return err
		}, "GET " + uuidPath + "/1234", ""},
		"create": {one, func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, repository, DeployKeyInput{Key: keyLine + " ada@host", Label: "ci"})
			return err
		}, "POST " + keysPath, `{"key":"` + keyLine + ` ada@host","label":"ci"}`},
		"create without a label": {one, func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, byUUID, DeployKeyInput{Key: keyLine})
			return err
		}, "POST " + uuidPath, `{"key":"` + keyLine + `","label":""}`},
		"update": {one, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDeployKey(ctx, repository, 1234, DeployKeyInput{Key: keyLine, Label: "a \"b\"\\ é"})
			return err
		}, "PUT " + keyPath, `{"key":"` + keyLine + `","label":"a \"b\"\\ é"}`},
		"update of the label alone": {one, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDeployKey(ctx, repository, 1234, DeployKeyInput{Label: "new"})
			return err
		}, "PUT " + keyPath, `{"label":"new"}`},
		"delete": {httpfake.Reply(204, ""), func(ctx context.Context, c *Client) error {
			return c.DeleteDeployKey(ctx, byUUID, 1234)
		}, "DELETE " + uuidPath + "/1234", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.reply)
			c := newTestClient(t, api, func(o *transport.Options) { o.UserAgent = "Terraform/1.15 test" })
			if err := tc.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			api.Expect(tc.line)
			sent := api.Requests()[0]
			contentType := ""
			if tc.body != "" {
				contentType = "application/json"
			}
			for name, want := range map[string]string{
				"Accept":            "application/json",
				"Content-Type":      contentType,
				"User-Agent":        "Terraform/1.15 test",
				"Authorization":     "",
				"Transfer-Encoding": "",
			} {
				if got := strings.Join(sent.Header.Values(name), ", "); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if sent.Body != tc.body || sent.Length != int64(len(tc.body)) {
				t.Errorf("got body %s of length %d, want %s", sent.Body, sent.Length, tc.body)
			}
		})
	}
}

// GetDeployKey sends one request. The caller decides what a 404 means.
func TestGetDeployKey_sendsOneRequest(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Reply(404, ""))
	key, err := newTestClient(t, api).GetDeployKey(t.Context(), repository, 1234)
	if key != nil || !IsNotFound(err) {
		t.Errorf("got %+v, %v, want a 404", key, err)
	}
	api.Expect("GET " + keyPath)
}

// A write that may have been carried out is not sent again, except DELETE: to carry out a
// DELETE twice does no harm.
func TestDeployKey_lostReplies(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]http.HandlerFunc{"cut": httpfake.Cut, "breaks off": httpfake.Truncated(200), "server error": httpfake.Reply(502, "")} {
		for method, lines := range map[string][]string{
			"POST":   {"POST " + keysPath},
			"PUT":    {"PUT " + keyPath},
			"DELETE": {"DELETE " + keyPath, "DELETE " + keyPath},
		} {
			api := httpfake.NewScript(t, reply, reply)
			err := calls[method].send(t.Context(), newTestClient(t, api, withRetries(1)))
			if e := asError(t, err); !e.MaybeDone {
				t.Errorf("%s, %s: got %v", name, method, err)
			}
			if _, partial := errors.AsType[*PartialReplyError](err); partial {
				t.Errorf("%s, %s: got a key with %v", name, method, err)
			}
			api.Expect(lines...)
		}
	}
}

// A reply that is not a complete deploy key is an error.
func TestDeployKey_unusableReplies(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another id":        `{"id": 1235, "key": "ssh-ed25519 AAAA"}`,
		"no id":             `{"key": "ssh-ed25519 AAAA", "label": "ci"}`,
		"id null":           `{"id": null, "key": "ssh-ed25519 AAAA"}`,
		"id zero":           `{"id": 0, "key": "ssh-ed25519 AAAA"}`,
		"id negative":       `{"id": -1234, "key": "ssh-ed25519 AAAA"}`,
		"id a string":       `{"id": "1234", "key": "ssh-ed25519 AAAA"}`,
		"id a fraction":     `{"id": 1234.5, "key": "ssh-ed25519 AAAA"}`,
		"id over 64 bits":   `{"id": 18446744073709552850, "key": "ssh-ed25519 AAAA"}`,
		"no key":            `{"id": 1234, "label": "ci"}`,
		"key empty":         `{"id": 1234, "key": ""}`,
		"key null":          `{"id": 1234, "key": null}`,
		"key an object":     `{"id": 1234, "key": {"key": "ssh-ed25519 AAAA"}}`,
		"label a number":    `{"id": 1234, "key": "ssh-ed25519 AAAA", "label": 5}`,
		"repository a text": `{"id": 1234, "key": "ssh-ed25519 AAAA", "repository": "mleu/test"}`,
		"truncated":         `{"id": 1234, "key": "ssh-ed25519 AAAA"`,
		"twice":             oneKey + oneKey,
		"a list":            `[` + oneKey + `]`,
		"a page":            `{"values": [` + oneKey + `]}`,
		"an error":          `{"type": "error", "error": {"message": "No."}}`,
		"null":              `null`,
		"a number":          `1234`,
		"empty":             ``,
		"HTML":              `<html><title>Sign in</title></html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(200, body), httpfake.Reply(200, body), httpfake.Reply(200, body), httpfake.Reply(200, `{"values": [`+body+`]}`))
			c := newTestClient(t, api)
			for _, method := range []string{"GET", "PUT", "POST"} {
				if name == "another id" && method == "POST" {
					continue // A new key may have any ID.
				}
				e := asError(t, calls[method].send(t.Context(), c))
				if e.Method != method || e.Status != 0 || !errors.Is(e, ErrUnusable) || !e.MaybeDone {
					t.Errorf("got error %v with MaybeDone %t, want an error about an unusable reply to %s", e, e.MaybeDone, method)
				}
			}
			if name == "another id" || body == "" { // An empty value would make an empty list.
				return
			}
			if keys, err := collect(t.Context(), c.ListDeployKeys(repository)); !errors.Is(err, ErrUnusable) || keys != nil {
				t.Errorf("got %v, %v, want an error about an unusable list", keys, err)
			}
		})
	}
}

// The error names what is missing.
func TestDeployKey_unusableTexts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"key": "ssh-ed25519 AAAA"}`: "it has no deploy key with an id",
		`{"id": 1234}`:                "its deploy key has no public key",
	} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, body), httpfake.Page("", body)))
		if err := calls["GET"].send(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", body, err, want)
		}
		if _, err := collect(t.Context(), c.ListDeployKeys(repository)); err == nil || !strings.Contains(err.Error(), "one of its values is not a complete deploy key") {
			t.Errorf("%s in a list: got error %v", body, err)
		}
	}
}

// A successful status that is not documented for the method is an error.
func TestDeployKey_unexpectedStatus(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		for _, status := range []int{200, 201, 202, 203, 204, 205, 206} {
			if call.want == status || method == http.MethodPost && status == http.StatusCreated {
				continue
			}
			t.Run(method+" "+strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				body := oneKey
				if status == 204 || status == 205 {
					body = ""
				}
				api := httpfake.NewScript(t, httpfake.Reply(status, body))
				if err := call.send(t.Context(), newTestClient(t, api)); !HasStatus(err, status) {
					t.Errorf("got error %v, want one with status %d", err, status)
				}
				api.Expect(call.line)
			})
		}
	}
}

// Bitbucket answers 200 to a POST. The client also accepts 201, so that a created key is
// not lost if Bitbucket changes its answer.
func TestCreateDeployKey_created(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Reply(http.StatusCreated, oneKey))
	key, err := newTestClient(t, api).CreateDeployKey(t.Context(), repository, DeployKeyInput{Key: keyLine})
	if err != nil || key.ID == 0 {
		t.Errorf("got %v, %v", key, err)
	}
}

// If only the ID in the reply can be used, the error contains the key with this ID.
func TestDeployKey_partialReplies(t *testing.T) {
	t.Parallel()
	another := keyLine[:len(keyLine)-1] + "A"
	for name, tc := range map[string]struct {
		body string
		// post and put are the keys in the errors of a POST and a PUT, nil if the error has
		// no key.
		post, put *DeployKey
	}{
		"ID alone":       {`{"id": 1234}`, &DeployKey{ID: 1234}, &DeployKey{ID: 1234}},
		"key null":       {`{"id": 1234, "key": null}`, &DeployKey{ID: 1234}, &DeployKey{ID: 1234}},
		"key an object":  {`{"id": 1234, "key": {}}`, &DeployKey{ID: 1234}, &DeployKey{ID: 1234}},
		"label a number": {`{"id": 1234, "key": "` + keyLine + `", "label": 5}`, &DeployKey{ID: 1234, Key: keyLine}, &DeployKey{ID: 1234, Key: keyLine}},
		"another key":    {`{"id": 1234, "key": "` + another + `"}`, &DeployKey{ID: 1234, Key: another}, &DeployKey{ID: 1234, Key: another}},
		"another ID":     {`{"id": 7, "key": "` + keyLine + `"}`, nil, &DeployKey{ID: 7, Key: keyLine}},
		"no ID":          {`{"key": 5}`, nil, nil},
		"ID negative":    {`{"id": -1}`, nil, nil},
		"ID a text":      {`{"id": "1234"}`, nil, nil},
		"empty":          {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, want := range map[string]*DeployKey{"POST": tc.post, "PUT": tc.put} {
				err := calls[method].send(t.Context(), newTestClient(t, httpfake.Reply(200, tc.body)))
				if err == nil {
					if name != "another ID" || method != "POST" { // A new key may have any ID.
						t.Errorf("%s succeeded", method)
					}
					continue
				}
				e := asError(t, err)
				if !errors.Is(err, ErrUnusable) || !e.MaybeDone || err.Error() != e.Error() {
					t.Errorf("%s: got error %v", method, err)
				}
				partial, ok := errors.AsType[*PartialReplyError](err)
				if ok != (want != nil) || ok && partial.Key != *want {
					t.Errorf("%s: got %+v, want %+v", method, partial, want)
				}
			}
		})
	}
}

const (
	projectUUID     = "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}"
	projectKeysPath = "/2.0/workspaces/standard/projects/TEST_PROJECT/deploy-keys"
)

// project is the project of the documented bodies.
var project = Parent{Workspace: "standard", Project: "TEST_PROJECT"}

func TestProjectDeployKey_decodes(t *testing.T) {
	t.Parallel()
	projectKey := func(id int64, comment, label, createdOn string) DeployKey {
		k := DeployKey{ID: id, Comment: comment, Label: label, CreatedOn: createdOn}
		k.Project.UUID = projectUUID
		return k
	}
	c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, readTestdata(t, "project_deploy_keys.json")), httpfake.Reply(200, readTestdata(t, "project_deploy_key_created.json"))))
	keys, err := collect(t.Context(), c.ListDeployKeys(project))
	if err != nil || len(keys) != 1 {
		t.Fatalf("got %v, %v", keys, err)
	}
	created, err := c.CreateDeployKey(t.Context(), project, DeployKeyInput{Key: recordedKey, Label: "myprojectkey"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ got, want DeployKey }{
		{keys[0], projectKey(1234, "thakseth@C02W454JHTD8", "test", "2021-07-28T21:20:19.491721+00:00")},
		{*created, projectKey(5, "mleu@C02W454JHTD8", "myprojectkey", "2021-08-10T05:28:00.570859+00:00")},
	} {
		if !strings.HasPrefix(tc.got.Key, "ssh-rsa AAAA") || tc.got.ParentUUID() != projectUUID {
			t.Errorf("got the key %q of %q", tc.got.Key, tc.got.ParentUUID())
		}
		if tc.got.Key = ""; tc.got != tc.want {
			t.Errorf("got  %+v\nwant %+v", tc.got, tc.want)
		}
	}
}

// Bitbucket does not accept the UUID of a project instead of its key, so the path must
// contain the key.
func TestProjectDeployKey_requests(t *testing.T) {
	t.Parallel()
	withUUID := Parent{Workspace: "standard", Project: "TEST_PROJECT", UUID: projectUUID}
	byUUID := Parent{Workspace: "{85d08b4e-571d-44e9-a507-fa476535aa98}", Project: "TEST_PROJECT"}
	for name, tc := range map[string]struct {
		reply http.HandlerFunc
		call  func(context.Context, *Client) error
		line  string
	}{
		"list": {httpfake.Page(""), func(ctx context.Context, c *Client) error {
			_, err := collect(ctx, c.ListDeployKeys(withUUID))
			return err
		}, "GET " + projectKeysPath + "?pagelen=100"},
		"get": {httpfake.Reply(200, oneKey), func(ctx context.Context, c *Client) error {
			_, err := c.GetDeployKey(ctx, byUUID, 1234)
			return err
		}, "GET " + strings.Replace(projectKeysPath, "standard", url.PathEscape(byUUID.Workspace), 1) + "/1234"},
		"create": {httpfake.Reply(200, oneKey), func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, withUUID, input)
			return err
		}, "POST " + projectKeysPath},
		"delete": {httpfake.Reply(204, ""), func(ctx context.Context, c *Client) error {
			return c.DeleteDeployKey(ctx, withUUID, 1234)
		}, "DELETE " + projectKeysPath + "/1234"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.reply)
			if err := tc.call(t.Context(), newTestClient(t, api)); err != nil {
				t.Fatal(err)
			}
			api.Expect(tc.line)
		})
	}
}

// field is a field of a reply, with its value as JSON.
type field struct{ name, value string }

// object returns a JSON object with exactly these fields, including duplicates.
func object(fields ...field) string {
	var members []string
	for _, f := range fields {
		members = append(members, fmt.Sprintf("%q: %s", f.name, f.value))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// wholeKey returns all fields of a deploy key, each with a different value.
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

// with replaces the value of a field. For the value "" it removes the field.
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

// decoded returns the key that the client must read from a usable reply. A field that is
// null becomes "".
func decoded(t *testing.T, fields, repository []field) DeployKey {
	t.Helper()
	text := func(fields []field, name string) string {
		value := ""
		for _, f := range fields {
			if f.name == name && f.value != "null" {
				if err := json.Unmarshal([]byte(f.value), &value); err != nil {
					t.Fatal(err)
				}
			}
		}
		return value
	}
	key := DeployKey{
		ID: 1234, Key: text(fields, "key"), Comment: text(fields, "comment"), Label: text(fields, "label"),
		CreatedOn: text(fields, "created_on"), LastUsed: text(fields, "last_used"),
	}
	key.Repository.UUID, key.Repository.FullName = text(repository, "uuid"), text(repository, "full_name")
	return key
}

// expectKeyOrError checks how the client reads this reply, as a single key and as a value
// of a list. If want is nil, the client must return an error about an unusable reply.
func expectKeyOrError(t *testing.T, reply string, want *DeployKey) {
	t.Helper()
	for name, read := range map[string]func() (*DeployKey, error){
		"alone": func() (*DeployKey, error) {
			return newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, reply))).GetDeployKey(t.Context(), repository, 1234)
		},
		"listed": func() (*DeployKey, error) {
			keys, err := collect(t.Context(), newTestClient(t, httpfake.NewScript(t, httpfake.Page("", reply))).ListDeployKeys(repository))
			if err != nil {
				return nil, err
			}
			return &keys[0], nil
		},
	} {
		got, err := read()
		switch {
		case want == nil && (got != nil || !errors.Is(err, ErrUnusable)):
			t.Errorf("%s: got %.300s, %v, want an error for %.300s", name, fmt.Sprint(got), err, reply)
		case want == nil && len(err.Error()) > 2*transport.MaxText:
			t.Errorf("%s: the error has %d characters", name, len(err.Error()))
		case want != nil && (err != nil || *got != *want):
			t.Errorf("%s: got %.300s, %v, want %.300s for %.300s", name, fmt.Sprint(got), err, fmt.Sprint(want), reply)
		}
	}
}

// Each field is tested as missing, as null and with a value of each type. The client must
// accept the right type, and null as an empty text. The ID and the key are required.
func TestDeployKey_hostileFields(t *testing.T) {
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
					continue // It is the ID of another key.
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

// If a name occurs twice, the last value counts, as in other JSON decoders. If one of the
// values has the wrong type, the reply cannot be used.
func TestDeployKey_hostileDuplicates(t *testing.T) {
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

func TestDeployKey_hostileSizes(t *testing.T) {
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
		"over 10 MB":            {object(with(whole, "label", `"`+strings.Repeat("x", transport.MaxReplyBytes)+`"`)...), nil},
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
