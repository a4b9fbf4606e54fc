package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const recordedKey = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDAK/b1cHHDr/TEV1JGQl+WjCwStKG6Bhrv0rFpEsYlyTBm1fzN0VOJJYn4ZOPCPJwqse6fGbXntEs+BbXiptR+++HycVgl65TMR0b5ul5AgwrVdZdT7qjCOCgaSV74/9xlHDK8oqgGnfA7ZoBBU+qpVyaloSjBdJfLtPY/xqj4yHnXKYzrtn/uFc4Kp9Tb7PUg9Io3qohSTGJGVHnsVblq/rToJG7L5xIo0OxK0SJSQ5vuId93ZuFZrCNMXj8JDHZeSEtjJzpRCBEXHxpOPhAcbm4MzULgkFHhAVgp4JbkrT99/wpvZ7r9AdkTg7HGqL3rlaDrEcWfL7Lu6TnhBdq5"

// newKey returns what the recorded bodies, which are all of one repository,
// have to be read as.
func newKey(id int64, key, comment, label, createdOn, lastUsed string) DeployKey {
	k := DeployKey{ID: id, Key: key, Comment: comment, Label: label, CreatedOn: createdOn, LastUsed: lastUsed}
	k.Repository.UUID, k.Repository.FullName = "{85d08b4e-571d-44e9-a507-fa476535aa98}", "mleu/test"
	return k
}

func TestDeployKey_decodes(t *testing.T) {
	t.Parallel()
	find := func(id int64) func(context.Context, *Client) (*DeployKey, error) {
		return func(ctx context.Context, c *Client) (*DeployKey, error) { return c.FindDeployKey(ctx, repository, id) }
	}
	documented := "2018-08-15T23:50:59.993890+00:00"
	embed := `"repository": {"type": "repository", "name": "Test", "full_name": "mleu/test", "uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`
	for name, tc := range map[string]struct {
		body string
		call func(context.Context, *Client) (*DeployKey, error)
		want DeployKey
	}{
		"GET": {
			readTestdata(t, "deploy_key.json"), find(1234),
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
			readTestdata(t, "deploy_key_live.json"), find(123),
			newKey(123, "ssh-rsa AAAAB3NzaC1yc2EAAAADA...AdkTg7HGqL3rlaDrEcWfL7Lu6TnhBdq5", "", "mykey", "2019-03-23T10:15:21.517377+00:00", ""),
		},
		"used": {
			`{"id": 10958984, "key": "ssh-ed25519 AAAA", "last_used": "2026-11-01T10:00:00.123456+00:00", ` + embed + `}`, find(10958984),
			newKey(10958984, "ssh-ed25519 AAAA", "", "", "", "2026-11-01T10:00:00.123456+00:00"),
		},
		"with nulls as in the schema": {
			`{"id": 123, "key": "ssh-ed25519 AAAA", "label": "ci", "comment": null, "added_on": null, "owner": null, "created_on": null, "last_used": null, ` + embed + `}`, find(123),
			newKey(123, "ssh-ed25519 AAAA", "", "ci", "", ""),
		},
		"created in a whole second": {
			`{"id": 123, "key": "ssh-ed25519 AAAA", "created_on": "2013-12-10T14:44:13+00:00", ` + embed + `}`, find(123),
			newKey(123, "ssh-ed25519 AAAA", "", "", "2013-12-10T14:44:13+00:00", ""),
		},
		"id over 32 bits": {
			`{"id": 9007199254740993, "key": "ssh-ed25519 AAAA", ` + embed + `}`, find(9007199254740993),
			newKey(9007199254740993, "ssh-ed25519 AAAA", "", "", "", ""),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.call(t.Context(), newTestClient(t, answers(t, answer(200, tc.body))))
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
			got, err := newTestClient(t, answers(t, answer(200, tc.body))).DeployKeys(t.Context(), repository)
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
	byUUID := Place{Workspace: "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}", Repository: "{85d08b4e-571d-44e9-a507-fa476535aa98}"}
	uuidPath := "/2.0/repositories/%7B3b3e510b-7f2b-414d-a2b7-76c4e405c1c0%7D/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys"
	list := answer(200, `{"values": []}`)
	one := answer(200, oneKey)
	for name, tc := range map[string]struct {
		answer     http.HandlerFunc
		call       func(context.Context, *Client) error
		line, body string
	}{
		"list": {list, func(ctx context.Context, c *Client) error {
			_, err := c.DeployKeys(ctx, repository)
			return err
		}, "GET " + keysPath + "?pagelen=100", ""},
		"list by UUID": {list, func(ctx context.Context, c *Client) error {
			_, err := c.DeployKeys(ctx, byUUID)
			return err
		}, "GET " + uuidPath + "?pagelen=100", ""},
		"get": {answer(200, `{"values": [`+oneKey+`]}`), func(ctx context.Context, c *Client) error {
			_, err := c.DeployKey(ctx, repository, 1234)
			return err
		}, "GET " + keysPath + "?pagelen=100", ""},
		"find by UUID": {one, func(ctx context.Context, c *Client) error {
			_, err := c.FindDeployKey(ctx, byUUID, 1234)
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
		"delete": {answer(204, ""), func(ctx context.Context, c *Client) error {
			return c.DeleteDeployKey(ctx, byUUID, 1234)
		}, "DELETE " + uuidPath + "/1234", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, tc.answer)
			c := newTestClient(t, api, func(o *Options) { o.UserAgent = "Terraform/1.15 test" })
			if err := tc.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			api.expect(tc.line)
			sent := api.asked()[0]
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
				if got := strings.Join(sent.header.Values(name), ", "); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if sent.body != tc.body || sent.length != int64(len(tc.body)) {
				t.Errorf("got body %s of length %d, want %s", sent.body, sent.length, tc.body)
			}
		})
	}
}

// A 404 on a key is one of three things, and the list tells which.
func TestDeployKey_notFound(t *testing.T) {
	t.Parallel()
	keyGone := answer(404, `{"type": "error", "error": {"message": "Not found"}}`)
	hasMore := answer(200, `{"values": [], "next": "ORIGIN/2.0/more"}`)
	find, list := "GET "+keyPath, "GET "+keysPath+"?pagelen=100"
	for name, tc := range map[string]struct {
		answers []http.HandlerFunc
		lines   []string
		// status is that of the error, 0 for ErrDeployKeyGone.
		status  int
		message string
	}{
		"gone":           {[]http.HandlerFunc{answer(200, `{"values": []}`), keyGone}, []string{list, find}, 0, ""},
		"gone, has more": {[]http.HandlerFunc{hasMore, keyGone, hasMore}, []string{list, find, list}, 0, ""},
		"list refused":   {[]http.HandlerFunc{answer(403, `{"error": {"message": "Forbidden"}}`)}, []string{list}, 403, "Forbidden"},
		"repository gone": {
			[]http.HandlerFunc{answer(404, `{"error": {"message": "You may not have access to this repository"}}`)},
			[]string{list},
			404, "You may not have access to this repository",
		},
		// The permission is lost between one request and the next.
		"out of sight": {
			[]http.HandlerFunc{hasMore, keyGone, answer(404, `{"error": {"message": "You may not have access to this repository"}}`)},
			[]string{list, find, list},
			404, "You may not have access to this repository",
		},
		"key refused": {[]http.HandlerFunc{answer(200, `{"values": []}`), answer(403, `{"error": {"message": "Forbidden"}}`)}, []string{list, find}, 403, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, tc.answers...)
			key, err := newTestClient(t, api).DeployKey(t.Context(), repository, 1234)
			if key != nil {
				t.Errorf("got key %+v", key)
			}
			api.expect(tc.lines...)
			if tc.status == 0 {
				if !errors.Is(err, ErrDeployKeyGone) {
					t.Errorf("got error %v, want ErrDeployKeyGone", err)
				}
				return
			}
			if e := asError(t, err); e.Status != tc.status || e.Message != tc.message || errors.Is(err, ErrDeployKeyGone) {
				t.Errorf("got error %v, want %d %s", err, tc.status, tc.message)
			}
		})
	}
}

// A list that cannot be read does not prove that the key is gone.
func TestDeployKey_notFoundAndListUnusable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html></html>", "{}", `{"values": null}`, `{"values": {}}`} {
		c := newTestClient(t, answers(t, answer(200, body), answer(404, ""), answer(200, body)))
		if _, err := c.DeployKey(t.Context(), repository, 1234); !errors.Is(err, ErrUnusable) {
			t.Errorf("%q: got error %v when reading", body, err)
		}
		if err := c.DeleteDeployKey(t.Context(), repository, 1234); !errors.Is(err, ErrUnusable) {
			t.Errorf("%q: got error %v when deleting", body, err)
		}
	}
}

func TestFindDeployKey_asksOnce(t *testing.T) {
	t.Parallel()
	api := answers(t, answer(404, ""))
	key, err := newTestClient(t, api).FindDeployKey(t.Context(), repository, 1234)
	if key != nil || !IsNotFound(err) || errors.Is(err, ErrDeployKeyGone) {
		t.Errorf("got %+v, %v, want a 404", key, err)
	}
	api.expect("GET " + keyPath)
}

func TestDeleteDeployKey(t *testing.T) {
	t.Parallel()
	remove, list := "DELETE "+keyPath, "GET "+keysPath+"?pagelen=100"
	gone, empty, there := answer(404, ""), answer(200, `{"values": []}`), answer(200, `{"values": [`+oneKey+`]}`)
	for name, tc := range map[string]struct {
		answers []http.HandlerFunc
		lines   []string
		// status is that of the error, 0 for none.
		status int
	}{
		"deleted":                 {[]http.HandlerFunc{answer(204, "")}, []string{remove}, 0},
		"gone":                    {[]http.HandlerFunc{gone, empty}, []string{remove, list}, 0},
		"gone with repository":    {[]http.HandlerFunc{gone, gone}, []string{remove, list}, 404},
		"gone, list refused":      {[]http.HandlerFunc{gone, answer(403, "")}, []string{remove, list}, 403},
		"answer lost":             {[]http.HandlerFunc{cut, gone, empty}, []string{remove, remove, list}, 0},
		"answer broken off":       {[]http.HandlerFunc{broken(200), gone, empty}, []string{remove, remove, list}, 0},
		"answer a server error":   {[]http.HandlerFunc{answer(502, ""), gone, empty}, []string{remove, remove, list}, 0},
		"answers lost, but gone":  {[]http.HandlerFunc{cut, cut, cut, cut, empty}, []string{remove, remove, remove, remove, list}, 0},
		"limited, then gone":      {[]http.HandlerFunc{answer(429, ""), gone, empty}, []string{remove, remove, list}, 0},
		"limited, then not there": {[]http.HandlerFunc{answer(429, ""), gone, gone}, []string{remove, remove, list}, 404},
		"refused":                 {[]http.HandlerFunc{answer(403, "")}, []string{remove}, 403},
		"answered by a proxy":     {[]http.HandlerFunc{answer(200, "<html><title>Sign in</title></html>"), there}, []string{remove, list}, 200},
		"answered with the key":   {[]http.HandlerFunc{answer(200, oneKey), there}, []string{remove, list}, 200},
		"accepted":                {[]http.HandlerFunc{answer(202, ""), empty}, []string{remove, list}, 0},
		"accepted, list refused":  {[]http.HandlerFunc{answer(202, ""), answer(403, "")}, []string{remove, list}, 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, tc.answers...)
			err := newTestClient(t, api).DeleteDeployKey(t.Context(), repository, 1234)
			if tc.status == 0 && err != nil || tc.status != 0 && !HasStatus(err, tc.status) {
				t.Errorf("got error %v, want status %d", err, tc.status)
			}
			api.expect(tc.lines...)
		})
	}
}

// What is no deploy key, or another one, is an error and never half a key.
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
			api := answers(t, answer(200, body), answer(200, body), answer(200, body), answer(200, `{"values": [`+body+`]}`))
			c := newTestClient(t, api)
			for _, method := range []string{"GET", "PUT", "POST"} {
				if name == "another id" && method == "POST" {
					continue // A new key has any.
				}
				e := asError(t, calls[method].send(t.Context(), c))
				if e.Method != method || e.Status != 0 || !errors.Is(e, ErrUnusable) || !e.Lost {
					t.Errorf("got error %v with Lost %t, want that the reply to %s cannot be used", e, e.Lost, method)
				}
			}
			if name == "another id" || body == "" { // The latter would be an empty list.
				return
			}
			if keys, err := c.DeployKeys(t.Context(), repository); !errors.Is(err, ErrUnusable) || keys != nil {
				t.Errorf("got %v, %v, want that the list cannot be used", keys, err)
			}
		})
	}
}

// A status of success that the method does not have is none.
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
				api := answers(t, answer(status, body))
				if err := call.send(t.Context(), newTestClient(t, api)); !HasStatus(err, status) {
					t.Errorf("got error %v, want one with status %d", err, status)
				}
				api.expect(call.line)
			})
		}
	}
}

// Bitbucket answers 200 to a POST, but 201 would not mean that it failed.
func TestCreateDeployKey_created(t *testing.T) {
	t.Parallel()
	api := answers(t, answer(http.StatusCreated, oneKey))
	key, err := newTestClient(t, api).CreateDeployKey(t.Context(), repository, DeployKeyInput{Key: keyLine})
	if err != nil || key.ID == 0 {
		t.Errorf("got %v, %v", key, err)
	}
}

func TestRepository_String(t *testing.T) {
	t.Parallel()
	if got := repository.String(); got != "mleu/test" {
		t.Errorf("got %s", got)
	}
}
