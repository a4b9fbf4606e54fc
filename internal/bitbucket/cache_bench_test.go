package bitbucket

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// answering is a Bitbucket that has one answer, and no network before it.
type answering []byte

func (a answering) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode:    http.StatusOK,
		Header:        http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:          io.NopCloser(bytes.NewReader(a)),
		ContentLength: int64(len(a)),
		Request:       request,
	}, nil
}

// fullPage is a page of 100 keys with all that the live API sends.
func fullPage(b *testing.B) answering {
	b.Helper()
	type object map[string]any
	link := func(path string) object {
		return object{"href": "https://api.bitbucket.org/2.0/repositories/mleu/test" + path}
	}
	var values []object
	for id := range 100 {
		values = append(values, object{
			"id": 10958984 + id, "key": keyLine, "comment": "ci@example.com", "label": "Deployment " + strconv.Itoa(id), "type": "deploy_key",
			"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": nil,
			"repository": object{
				"type": "repository", "full_name": "mleu/test", "name": "test", "uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}",
				"links": object{"self": link(""), "html": link(""), "avatar": link("/avatar")},
			},
			"links": object{"self": link("/deploy-keys/" + strconv.Itoa(10958984+id))},
		})
	}
	page, err := json.Marshal(object{"values": values, "pagelen": 100, "size": 100, "page": 1})
	if err != nil {
		b.Fatal(err)
	}
	return page
}

// Listing 100 keys: the request, decoding and checking. Each round has a client
// of its own, since a client that has listed a repository need not ask again.
func BenchmarkListPage(b *testing.B) {
	page := fullPage(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		c, err := NewClient(Options{Transport: page})
		if err != nil {
			b.Fatal(err)
		}
		keys, err := c.DeployKeys(b.Context(), repository)
		if err != nil || len(keys) != 100 {
			b.Fatalf("%d keys, %v", len(keys), err)
		}
	}
}
