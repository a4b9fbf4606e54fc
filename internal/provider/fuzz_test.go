package provider

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// asked is a transport that answers nothing and keeps the target of the last
// request, as it would be sent.
type asked struct{ target string }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.target = r.URL.RequestURI()
	return nil, io.EOF
}

// An import id that is accepted leads to the endpoint of a deploy key and to no
// other one, and is the id that the state gets.
func FuzzParseDeployKeyID(f *testing.F) {
	for _, text := range []string{
		"acme/website/10958984", workspaceUUID + "/" + websiteUUID + "/1", "Acme-1/web_site.git/9223372036854775807",
		"", "x", "website/1", "acme//1", "acme/website/", "acme/website/-1", "acme/website/+1", "acme/website/01", "acme/website/1/2",
		"acme/../1", "../../user/1", "acme/{}/1", "acme/{%2f}/1", "acme/web site/1", "acme/website?x=/1", "acme/website#/1", "acme/website/1\n",
	} {
		f.Add(text)
	}
	transport := &asked{}
	client, err := bitbucket.NewClient(bitbucket.Options{Transport: transport})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		repository, id, ok := parseDeployKeyID(onRepository, text)
		if !ok {
			return
		}
		if again := deployKeyID(repository, id); again != text || id <= 0 {
			t.Errorf("%q was read as %q", text, again)
		}
		transport.target = ""
		if _, err := client.FindDeployKey(t.Context(), repository, id); !errors.Is(err, io.EOF) {
			t.Fatalf("%q: %v", text, err)
		}
		var segments []string
		for segment := range strings.SplitSeq(transport.target, "/") {
			unescaped, err := url.PathUnescape(segment)
			if err != nil {
				t.Errorf("%q: %v", transport.target, err)
			}
			segments = append(segments, unescaped)
		}
		want := []string{"", "2.0", "repositories", repository.Workspace, repository.Repository, "deploy-keys", strconv.FormatInt(id, 10)}
		if !slices.Equal(segments, want) || path.Clean(transport.target) != transport.target {
			t.Errorf("%q leads to %q", text, transport.target)
		}
	})
}

// A name is one segment of a path even where nobody escapes it, as in the
// addresses that errors show.
func FuzzIsSlugOrUUID(f *testing.F) {
	for _, text := range []string{
		"acme", "web_site.git", "-", "...", websiteUUID, strings.Repeat("a", 128),
		"", ".", "..", "{}", "{..}", "{a", "a}", "a/", "a/b", "a%2fb", "a?b", "a#b", "a b", "a\nb", "a\\b", "a;b", "émile", "\xff", strings.Repeat("a", 129),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !bitbucket.IsSlugOrUUID(text) {
			return
		}
		want := "/2.0/repositories/" + text + "/x"
		u, err := url.Parse("https://localhost" + want)
		if err != nil {
			t.Fatal(err)
		}
		if u.Path != want || path.Clean(u.Path) != want || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q leads to %+v", text, u)
		}
		if isUUID(text) != strings.HasSuffix(text, "}") {
			t.Errorf("%q has one brace", text)
		}
	})
}
