package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// keyPage is one page of a list of deploy keys.
type keyPage struct {
	Values []struct {
		ID int64 `json:"id"`
	} `json:"values"`
	Pagelen int     `json:"pagelen"`
	Size    int     `json:"size"`
	Page    int     `json:"page"`
	Next    *string `json:"next"`
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for n := range 250 {
		s.AddDeployKey("acme", "sandbox", publicKey(n), "")
	}
	const byUUID = "/2.0/repositories/%7B00000000-0000-4000-8000-0000000000ac%7D/sandbox/deploy-keys"
	for path, want := range map[string]struct {
		pages, pagelen int
		second         string
	}{
		keys:                    {25, 10, "?page=2"},
		byUUID + "?pagelen=100": {3, 100, "?pagelen=100&page=2"},
		keys + "/?pagelen=50":   {5, 50, "?pagelen=50&page=2"},
	} {
		var ids []int64
		for next, number := s.url+path, 1; next != ""; number++ {
			at, ok := strings.CutPrefix(next, s.url)
			page := decode[keyPage](t, s.send(t, "GET", at, "").body)
			if !ok || page.Page != number || page.Pagelen != want.pagelen || page.Size != 250 {
				t.Fatalf("%s: %+v", next, page)
			}
			for _, value := range page.Values {
				ids = append(ids, value.ID)
			}
			bare, _, _ := strings.Cut(path, "?")
			if number == 1 && (page.Next == nil || *page.Next != s.url+bare+want.second) {
				t.Errorf("%s: got next %v", path, page.Next)
			}
			next = ""
			if page.Next != nil {
				next = *page.Next
			} else if number != want.pages {
				t.Errorf("%s: got %d pages, want %d", path, number, want.pages)
			}
		}
		if len(ids) != 250 || ids[0] != 10958984 || ids[249] != 10959233 {
			t.Errorf("%s: got %d IDs: %v", path, len(ids), ids)
		}
	}
}

func TestPageParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const (
		invalidPagelen = `{"type":"error","error":{"message":"Invalid pagelen"}}`
		invalidPage    = `{"type":"error","error":{"message":"Invalid page"}}`
	)
	for query, want := range map[string]string{
		"pagelen=0": invalidPagelen, "pagelen=101": invalidPagelen, "pagelen=-1": invalidPagelen, "pagelen=x": invalidPagelen,
		"pagelen=": invalidPagelen, "page=0": invalidPage, "page=x": invalidPage, "page=99999999999999999999": invalidPage,
	} {
		s.send(t, "GET", keys+"?"+query, "").want(t, 400, want)
	}
	s.send(t, "GET", keys+"?page=2&pagelen=100", "").want(t, 200, `{"values":[],"pagelen":100,"size":0,"page":2}`)
	s.send(t, "GET", keys+"?page=9223372036854775807&x=y", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":9223372036854775807}`)
}

func TestPages_projectDeployKeys(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	for n := range 250 {
		s.AddProjectDeployKey("acme", "WEB", publicKey(n), "")
	}
	const byUUID = "/2.0/workspaces/%7B00000000-0000-4000-8000-0000000000ac%7D/projects/WEB/deploy-keys"
	var ids []int64
	for _, query := range []string{"?pagelen=100", "?pagelen=100&page=2", "?pagelen=100&page=3"} {
		page := decode[keyPage](t, s.send(t, "GET", byUUID+query, "").body)
		for _, value := range page.Values {
			ids = append(ids, value.ID)
		}
		last := strings.HasSuffix(query, "3")
		if page.Size != 250 || last != (page.Next == nil) || !last && *page.Next != fmt.Sprintf("%s%s?pagelen=100&page=%d", s.url, byUUID, page.Page+1) {
			t.Errorf("%s: got %+v", query, page)
		}
	}
	if len(ids) != 250 || ids[0] != 10958984 || ids[249] != 10959233 {
		t.Errorf("got %d IDs: %v", len(ids), ids)
	}
}

func TestPages_repositories(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	want := []string{"sandbox", "other"}
	for i := range 210 {
		want = append(want, fmt.Sprintf("r-%d", i))
		s.AddRepository("acme", emulator.Repository{Slug: want[len(want)-1]})
	}
	var got, links []string
	for next := repositories + "?pagelen=100"; next != ""; {
		list := decode[struct {
			Next   string
			Values []struct{ Slug string }
		}](t, s.send(t, "GET", next, "").body)
		for _, repository := range list.Values {
			got = append(got, repository.Slug)
		}
		next = strings.TrimPrefix(list.Next, s.url)
		links = append(links, next)
	}
	if !slices.Equal(got, want) || !slices.Equal(links, []string{repositories + "?pagelen=100&page=2", repositories + "?pagelen=100&page=3", ""}) {
		t.Errorf("got repositories %v from the links %v", got, links)
	}
}

func TestNextLinks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for n := range 25 {
		s.AddDeployKey("acme", "sandbox", publicKey(n), "")
	}
	for links, want := range map[emulator.NextLinks]string{
		emulator.NextLinksDocumented:   s.url + keys + "?page=3",
		emulator.NextLinksInternalHost: "http://deployments.internal:8080" + keys + "?page=3",
		emulator.NextLinksSamePage:     s.url + keys + "?page=2",
		emulator.NextLinksAPIHost:      "https://api.bitbucket.org" + keys + "?page=3",
	} {
		s.SetNextLinks(links)
		page := decode[keyPage](t, s.send(t, "GET", keys+"?page=2", "").body)
		if page.Next == nil || *page.Next != want || len(page.Values) != 10 {
			t.Errorf("got %+v, want the link %s", page, want)
		}
		if last := decode[keyPage](t, s.send(t, "GET", keys+"?page=3", "").body); last.Next != nil {
			t.Errorf("the last page has the link %s", *last.Next)
		}
	}
}
