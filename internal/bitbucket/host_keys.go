package bitbucket

import (
	"context"
	"fmt"
	"net/http"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// sshHosts are the hosts that the published host keys may belong to, whatever the base URL
// is. Git over SSH moves from the first to the second in November 2026.
//
// https://community.atlassian.com/forums/Bitbucket-articles/Upcoming-change-to-Bitbucket-Cloud-SSH-access-move-from/ba-p/3234032
var sshHosts = []string{"bitbucket.org", "ssh.bitbucket.org"}

// hostKeysPath is the path of the host keys on Bitbucket's web site.
const hostKeysPath = "/site/ssh"

// maxHostKeysText bounds the list of host keys, in bytes. The list has less than 1 kB.
const maxHostKeysText = 64 << 10

// HostKeysURL returns the address of the host keys of Bitbucket's SSH server.
func (c *Client) HostKeysURL() string { return transport.SiteURL(c.base, hostKeysPath).String() }

// ListHostKeys returns the host keys of Bitbucket's SSH server, sorted, with the host names
// that the page lists. The page is public, so no credentials are sent. Any reply except a
// list of host keys is an error.
//
// GET https://bitbucket.org/site/ssh
// https://bitbucket.org/blog/ssh-host-key-changes
func (c *Client) ListHostKeys(ctx context.Context) ([]sshkey.HostKey, error) {
	u := transport.SiteURL(c.base, hostKeysPath)
	response, err := c.transport.GetText(ctx, u)
	switch {
	case err != nil:
		return nil, c.errorWithoutReply(http.MethodGet, u, err)
	case response.StatusCode != http.StatusOK:
		return nil, c.errorFromReply(http.MethodGet, u, response)
	case len(response.Body) > maxHostKeysText:
		return nil, unusable(http.MethodGet, u, fmt.Sprintf("it is not a list of host keys: over %d kB", maxHostKeysText>>10))
	}
	keys, err := sshkey.ParseHostKeys(string(response.Body), sshHosts...)
	if err != nil {
		why := err.Error()
		if text, described := describeBody(response.Body); described {
			why = text
		}
		return nil, unusable(http.MethodGet, u, "it is not a list of host keys: "+why)
	}
	return keys, nil
}
