//go:build unix

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// newMachine returns a stage whose home folder is that of the machine in the guide. It has a
// private key and a configuration of SSH, and no host keys.
func newMachine(t *testing.T) stage {
	t.Helper()
	for _, command := range []string{"git", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("needs %s", command)
		}
	}
	f := exampleFake(t)
	s := staged(t, f, "")
	serveGit(t, s)
	s.Env = append(s.Env, "HOME="+s.Dir, "GIT_CONFIG_NOSYSTEM=1")
	if err := os.Remove(filepath.Join(s.Dir, ".ssh", "known_hosts")); err != nil {
		t.Fatal(err)
	}
	// A ~ in the configuration of SSH is the home folder of the user, whatever HOME is.
	config := guideCode(t, "machines-that-use-a-key", "Several keys on one machine", "text")
	s.WriteFile(t, ".ssh/config", strings.ReplaceAll(config, "~", s.Dir))
	s.runInShell(t, `ssh-keygen -t ed25519 -N "" -f ~/.ssh/website -C website`)
	key := acctest.ReadFile(t, filepath.Join(s.Dir, ".ssh", "website.pub"))
	hostKeys := acctest.ReadFile(t, examples+"/data-sources/bitbucket_ssh_host_keys/data-source_ssh_bitbucket_org.tf")
	s.Write(t, f.Config(hostKeys+acctest.DeployKey(acctest.KeyLine(key), `label = "machine"`)))
	return s
}

// The machine of the guide cannot clone without the host keys, nor with a key that is not a
// deploy key of the repository.
func TestAccGuide_machineWithout(t *testing.T) {
	t.Parallel()
	const clone = `GIT_SSH_COMMAND="ssh -i ~/.ssh/website -o IdentitiesOnly=yes" git clone git@ssh.bitbucket.org:acme/website.git`
	s := newMachine(t)
	s.MustRun(t, "apply", "-auto-approve")
	acctest.Contains(t, s.runInShell(t, clone+" || true"), "Host key verification failed")
	s.runInShell(t, "terraform output -raw known_hosts > ~/.ssh/known_hosts")
	s.Write(t, s.Config(""))
	s.MustRun(t, "apply", "-auto-approve")
	acctest.Contains(t, s.runInShell(t, clone+" || true"), "Permission denied (publickey)")
}
