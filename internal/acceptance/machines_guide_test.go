//go:build unix

package acceptance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

const machinesGuide = "machines-that-use-a-key"

// newMachine returns a stage whose home directory is that of a machine with a private key in
// ~/.ssh/website. Its connections lead to an SSH server that accepts the deploy keys of
// acme/website.
func newMachine(t *testing.T) stage {
	t.Helper()
	for _, command := range []string{"ssh", "ssh-keygen", "git", "bash"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skip("needs " + command)
		}
	}
	f := exampleFake(t)
	s := staged(t, f, "")
	address := serveGit(t, f)
	s.Env = append(s.Env, "HOME="+s.Dir, "GIT_CONFIG_NOSYSTEM=1")
	for _, directory := range []string{".ssh", "bin"} {
		if err := os.Mkdir(filepath.Join(s.Dir, directory), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// A ~ in the configuration of SSH is the home directory of the user, whatever HOME is.
	s.WriteFile(t, ".ssh/config", strings.ReplaceAll(guideCode(t, machinesGuide, "Several keys on one machine", "text"), "~", s.Dir))
	s.WriteFile(t, "bin/ssh", fmt.Sprintf(`#!/bin/sh
PATH=%q exec ssh -F "$HOME/.ssh/config" -o UserKnownHostsFile="$HOME/.ssh/known_hosts" -o BatchMode=yes \
  -o ProxyCommand="bash -c 'exec 2>/dev/null 3<>/dev/tcp/%s; cat <&3 & cat >&3'" "$@"
`, os.Getenv("PATH"), strings.Replace(address, ":", "/", 1)))
	if err := os.Chmod(filepath.Join(s.Dir, "bin", "ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.runInShell(t, `ssh-keygen -t ed25519 -N "" -f ~/.ssh/website -C website`)
	key := acctest.ReadFile(t, filepath.Join(s.Dir, ".ssh", "website.pub"))
	hostKeys := acctest.ReadFile(t, examples+"/data-sources/bitbucket_ssh_host_keys/data-source_ssh_bitbucket_org.tf")
	s.Write(t, f.Config(hostKeys+acctest.DeployKey(acctest.KeyLine(key), `label = "machine"`)))
	return s
}

// serveGit starts an SSH server whose host key the emulator publishes. It serves a repository
// with one commit as acme/website, and returns its address.
func serveGit(t *testing.T, f *acctest.Fake) string {
	t.Helper()
	repository := t.TempDir()
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"-c", "user.name=CI", "-c", "user.email=ci@example.com", "commit", "--quiet", "--allow-empty", "--message", "First"},
	} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = repository
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	f.SetHostKeys("bitbucket.org " + string(ssh.MarshalAuthorizedKey(host.PublicKey())))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		for _, key := range f.DeployKeys("acme", "website") {
			if known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key.Key)); err == nil && bytes.Equal(known.Marshal(), offered.Marshal()) {
				return &ssh.Permissions{}, nil
			}
		}
		return nil, errors.New("unknown key")
	}}
	config.AddHostKey(host)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // The test is over.
			}
			context.AfterFunc(t.Context(), func() { _ = connection.Close() })
			go serveSSH(t, connection, config, repository)
		}
	}()
	return listener.Addr().String()
}

// serveSSH serves the sessions of one connection.
func serveSSH(t *testing.T, connection net.Conn, config *ssh.ServerConfig, repository string) {
	defer func() { _ = connection.Close() }()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return // The key is not accepted, or the client does not accept the host key.
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		session, requests, err := channel.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			status := uint32(1)
			switch request.Type {
			case "exec":
				_ = request.Reply(true, nil)
				var command struct{ Line string }
				if ssh.Unmarshal(request.Payload, &command) == nil && command.Line == "git-upload-pack 'acme/website.git'" {
					status = uploadPack(t, session, repository)
				}
			case "shell":
				_ = request.Reply(true, nil)
				_, _ = io.WriteString(session, "You can use git to connect to Bitbucket. Shell access is disabled.\n")
				status = 0
			default:
				_ = request.Reply(false, nil)
				continue
			}
			_, _ = session.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			_ = session.Close()
		}
	}
}

// uploadPack sends the repository to a client, and returns an exit status.
func uploadPack(t *testing.T, session ssh.Channel, repository string) uint32 {
	command := exec.CommandContext(t.Context(), "git", "upload-pack", repository)
	input, err := command.StdinPipe()
	if err != nil {
		return 1
	}
	command.Stdout, command.Stderr = session, session.Stderr()
	if command.Start() != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(input, session)
		_ = input.Close()
	}()
	if command.Wait() != nil {
		return 1
	}
	return 0
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
