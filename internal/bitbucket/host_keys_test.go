package bitbucket

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	readHostKeys       = "GET /site/ssh"
	ed25519Fingerprint = "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM"
)

// listHostKeys returns the hosts and fingerprints of the keys that the handler sends. The client
// has credentials, and does not wait after a 429.
func listHostKeys(t *testing.T, handler http.Handler) ([]string, error) {
	t.Helper()
	atOnce := func(o *transport.Options) { o.MaxRateLimitWait = 0 }
	keys, err := newTestClient(t, handler, withRetries(0), atOnce, withCredentials(transport.Bearer{Token: "ATCTT-s3cret"})).ListHostKeys(t.Context())
	var got []string
	for _, key := range keys {
		got = append(got, key.Host+" "+key.FingerprintSHA256())
	}
	return got, err
}

// The fingerprints are those that Atlassian publishes.
func TestListHostKeys(t *testing.T) {
	t.Parallel()
	site := httpfake.NewScript(t, httpfake.Reply(200, readTestdata(t, "ssh_host_keys.txt"), "Content-Type: text/html"))
	got, err := listHostKeys(t, site)
	if want := []string{
		"bitbucket.org SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0", // ECDSA
		"bitbucket.org " + ed25519Fingerprint,
		"bitbucket.org SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E", // RSA
	}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	site.Expect(readHostKeys)
	if sent := site.Authorizations(); sent != "" {
		t.Errorf("sent Authorization %q", sent)
	}
}

// The bound is for a list that is longer than any list of host keys.
func TestListHostKeys_longest(t *testing.T) {
	t.Parallel()
	list := readTestdata(t, "ssh_host_keys.txt")
	got, err := listHostKeys(t, httpfake.Reply(200, list+strings.Repeat("\n", maxHostKeysText-len(list))))
	if err != nil || len(got) != 3 {
		t.Errorf("got %q, %v", got, err)
	}
}

// A key has each name that its line has.
func TestListHostKeys_hosts(t *testing.T) {
	t.Parallel()
	line := strings.SplitAfter(readTestdata(t, "ssh_host_keys.txt"), "\n")[1]
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"new name":   {"ssh." + line, []string{"ssh.bitbucket.org " + ed25519Fingerprint}},
		"both names": {"bitbucket.org,ssh." + line, []string{"bitbucket.org " + ed25519Fingerprint, "ssh.bitbucket.org " + ed25519Fingerprint}},
	} {
		got, err := listHostKeys(t, httpfake.Reply(200, tc.body))
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestClient_HostKeysURL(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{"": "https://bitbucket.org/site/ssh", "https://proxy.example:8443/bitbucket/2.0": "https://proxy.example:8443/site/ssh"} {
		if got := newClient(t, base, transport.Options{}).HostKeysURL(); got != want {
			t.Errorf("%q: got %s, want %s", base, got, want)
		}
	}
}

// A reply that is not a list of host keys of Bitbucket is an error that describes it.
func TestListHostKeys_unusable(t *testing.T) {
	t.Parallel()
	list := readTestdata(t, "ssh_host_keys.txt")
	const wrong = "GET /site/ssh: the reply cannot be used: it is not a list of host keys: "
	for name, tc := range map[string]struct{ body, want string }{
		"empty":        {"", wrong + "an empty reply"},
		"log-in page":  {"<html><title>Log in</title>\n" + list, wrong + `an HTML page with the title "Log in"`},
		"page after":   {list + "<html></html>", wrong + "line 4 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"JSON":         {`{"type": "error"}`, wrong + "JSON without a message"},
		"half a line":  {list[:len(list)/2], wrong + "line 3 has no key that can be used: "},
		"another host": {strings.Replace(list, "bitbucket.org", "bitbucket.example.com", 1), wrong + "line 1 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"long":         {list + strings.Repeat("\n", maxHostKeysText), "GET /site/ssh: the reply cannot be used: it is not a list of host keys: over 64 kB"},
		"very long":    {strings.Repeat(list, 1+transport.MaxReplyBytes/len(list)), "GET /site/ssh: the reply cannot be used: over 10 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := httpfake.NewScript(t, httpfake.Reply(200, tc.body))
			got, err := listHostKeys(t, site)
			if got != nil || !errors.Is(err, ErrUnusable) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %q, %v", got, err)
			}
			site.Expect(readHostKeys)
		})
	}
}

// Only a 200 is a list, whatever is in the body.
func TestListHostKeys_status(t *testing.T) {
	t.Parallel()
	list := readTestdata(t, "ssh_host_keys.txt")
	for _, status := range []int{201, 203, 204, 206, 302, 304, 401, 403, 404, 429, 500, 503} {
		got, err := listHostKeys(t, httpfake.Reply(status, list))
		if got != nil || !HasStatus(err, status) {
			t.Errorf("%d: got %q, %v", status, got, err)
		}
	}
}
