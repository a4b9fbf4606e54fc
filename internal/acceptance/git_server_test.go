//go:build unix

package acceptance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// serveGit serves the repository acme/website over SSH to whoever has a deploy key in the
// emulator, which publishes the host key of this server. It puts a command ssh into the bin
// folder of the stage, which connects to this server instead of ssh.bitbucket.org, with the
// files config and known_hosts in the .ssh folder of the stage.
func serveGit(t *testing.T, s stage) {
	t.Helper()
	repository := t.TempDir()
	for _, args := range [][]string{{"init", "--quiet"}, {"-c", "user.name=CI", "-c", "user.email=ci@example.com", "commit", "--quiet", "--allow-empty", "--message=First"}} {
		git := exec.CommandContext(t.Context(), "git", args...)
		git.Dir = repository
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: deployKeysOnly(s.Fake)}
	config.AddHostKey(hostKey)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // The test has ended.
			}
			go serveConnection(t, connection, config, repository)
		}
	}()

	hostLine := "ssh.bitbucket.org " + string(ssh.MarshalAuthorizedKey(hostKey.PublicKey()))
	s.SetHostKeys(hostLine)
	for _, folder := range []string{"bin", ".ssh"} {
		if err := os.Mkdir(filepath.Join(s.Dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.WriteFile(t, ".ssh/config", "")
	s.WriteFile(t, ".ssh/known_hosts", hostLine)
	command, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s -F '%[2]s/config' -o HostName=127.0.0.1 -o Port=%[3]s -o HostKeyAlias=ssh.bitbucket.org -o UserKnownHostsFile='%[2]s/known_hosts' -o StrictHostKeyChecking=yes \"$@\"\n",
		command, filepath.Join(s.Dir, ".ssh"), port)
	if err := os.WriteFile(filepath.Join(s.Dir, "bin", "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// deployKeysOnly accepts the deploy keys of acme/website.
func deployKeysOnly(f *acctest.Fake) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	return func(user ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, deployKey := range f.DeployKeys("acme", "website") {
			known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(deployKey.Key))
			if err == nil && user.User() == "git" && bytes.Equal(known.Marshal(), key.Marshal()) {
				return nil, nil
			}
		}
		return nil, errors.New("not a deploy key")
	}
}

// serveConnection answers the commands of one client that reads the repository, or that
// requests a shell, which Bitbucket refuses.
func serveConnection(t *testing.T, connection net.Conn, config *ssh.ServerConfig, repository string) {
	t.Helper()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return // ssh reports the refusal.
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			var command struct{ Line string }
			var status struct{ Code uint32 }
			switch {
			case request.Type == "shell":
				_ = request.Reply(true, nil)
				_, _ = io.WriteString(channel, "You can use git to connect to Bitbucket. Shell access is disabled.\n")
			case request.Type == "exec" && ssh.Unmarshal(request.Payload, &command) == nil && command.Line == "git-upload-pack 'acme/website.git'":
				_ = request.Reply(true, nil)
				upload := exec.CommandContext(t.Context(), "git", "upload-pack", repository)
				upload.Stdin, upload.Stdout, upload.Stderr = channel, channel, channel.Stderr()
				if upload.Run() != nil {
					status.Code = 1
				}
			default:
				_ = request.Reply(request.Type != "exec", nil)
				continue
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
			_ = channel.Close()
		}
	}
}
