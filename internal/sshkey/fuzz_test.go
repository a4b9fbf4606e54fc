package sshkey

import (
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A key that Split returns must stay the same key if it is written and split
// again, with any comment.
func FuzzSplit(f *testing.F) {
	for _, line := range openSSHLines(f) {
		f.Add(line, "me@host")
	}
	f.Add("ssh-ed25519 AAAA", "")
	f.Add(" ssh-ed25519\t \tAAAA \n", "  build agent  of acme\r\n")
	f.Add("\u00a0ssh-\u00a0 AAB= \u2003x\u2003", "\u00a0\v")
	f.Add("ssh-ed25519 AAAA\xff", "a\nb")
	f.Fuzz(func(t *testing.T, line, comment string) {
		key, err := Split(line)
		if err != nil {
			return
		}
		bare, err := Split(key.String())
		if err != nil || !bare.SameMaterial(key) || bare.Comment != "" || bare.String() != key.String() {
			t.Errorf("Split(%q) returns %q, %v", key.String(), bare.WithComment(bare.Comment), err)
		}
		sent := key.WithComment(comment)
		again, err := Split(sent)
		if err != nil || !again.SameMaterial(key) || again.Comment != strings.TrimSpace(comment) {
			t.Errorf("Split(%q) returns %q, %v, want comment %q", sent, again.WithComment(again.Comment), err, comment)
		}
	})
}

// Parse must set MaybeSecret for every private key. If Parse and Doubt accept a text,
// OpenSSH must read the same key from it.
func FuzzParse(f *testing.F) {
	lines := openSSHLines(f)
	for _, line := range lines {
		f.Add(line)
	}
	f.Add("")
	f.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
	f.Add(lines[0] + "\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA")
	f.Add(strings.TrimSuffix(lines[0], " ed25519") + "AAAA")
	f.Add("ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAA")
	f.Add("MIIEvgIBADANBgkqhkiG9w0BAQEFAASC")
	f.Add("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none")
	f.Add("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----")
	f.Add("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----")
	f.Add(lines[0] + "\n" + lines[1])
	f.Add(lines[0] + " " + lines[1])
	f.Add(lines[0][:40] + "\r\n" + lines[0][40:])
	f.Add(`no-pty,command="ls -l" ` + lines[0])
	f.Add("ssh-ed25519-cert-v01@openssh.com AAAA")
	f.Add("\u200b" + lines[0])
	f.Add("ssh-ed25519 AAAA\x1b[31m")
	f.Add("\ufeff" + lines[0] + "\x1b")
	f.Add("bitbucket.org " + lines[0])
	f.Add("@cert-authority *.example.com " + lines[0])
	f.Add("ssh-ed25519\u00a0AAAA")
	f.Add("~/.ssh/id_ed25519.pub")
	f.Add("256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU me (ED25519)")
	f.Add("ssh-ed25519 hunter2!hunter2!hunter2!")
	f.Add("ATATT3xFfGF0 secret")
	f.Fuzz(func(t *testing.T, text string) {
		_, problem := Parse(text)
		if _, around := Parse("\t " + text + "\r\n"); !reflect.DeepEqual(around, problem) {
			t.Errorf("got %v with white space around the text, %v without", around, problem)
		}
		if HoldsPrivateKey(text) && (problem == nil || !problem.MaybeSecret) {
			t.Errorf("MaybeSecret is not set for a private key: %v", problem)
		}
		if problem != nil {
			for word := range strings.FieldsSeq(text) {
				if len(word) > 24 && strings.Contains(problem.Error(), word) {
					t.Errorf("the message contains %q, a part of the text", word)
				}
			}
			return
		}
		key, err := Split(text)
		if err != nil {
			t.Fatalf("Parse found no problem, but Split failed: %v", err)
		}
		refused := key.Refusal() != ""
		if key.Doubt() == "" {
			expectOpenSSH(t, key)
		} else if refused {
			t.Error("Refusal and Doubt both returned a reason: only RSA keys have a Refusal, and they have no Doubt")
		}
	})
}

// If ParseHostKeys accepts a text, OpenSSH reads the same keys from it, for the same hosts.
func FuzzHostKeys(f *testing.F) {
	var all []string
	for _, line := range openSSHLines(f) {
		all = append(all, host+" "+line)
		f.Add(host + " " + line)
	}
	f.Add(strings.Join(all[:3], "\n"))
	f.Add("\ufeff# keys\r\n\r\n" + strings.Join(all[:3], "\r\n") + "\r\n")
	f.Add(all[0] + "\n" + all[0][:60])
	f.Add(all[0] + "\r" + all[1])
	f.Add(all[0] + " " + all[1])
	f.Add("@revoked " + all[0])
	f.Add("github.com,bitbucket.org" + strings.TrimPrefix(all[0], host))
	f.Add("bitbucket.org,ssh." + all[0] + "\nssh." + all[1] + "\n" + all[0])
	f.Add("ssh.bitbucket.org,bitbucket.org," + all[0])
	f.Add("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + all[0])
	f.Add("<html><title>Log in</title>")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseHostKeys(text, hosts...)
		if err != nil {
			for word := range strings.FieldsSeq(text) {
				if len(word) > 24 && strings.Contains(err.Error(), word) {
					t.Errorf("the message contains %q, a part of the text", word)
				}
			}
			return
		}
		want := map[string]bool{}
		for rest := []byte(strings.TrimPrefix(text, "\ufeff")); ; {
			marker, names, key, _, next, err := ssh.ParseKnownHosts(rest)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || marker != "" {
				t.Fatalf("OpenSSH reads marker %q, hosts %q, %v", marker, names, err)
			}
			for _, name := range names {
				if !slices.Contains(hosts, name) {
					t.Fatalf("OpenSSH reads hosts %q", names)
				}
				want[name+" "+ssh.FingerprintSHA256(key)] = true
			}
			rest = next
		}
		got := map[string]bool{}
		for _, key := range keys {
			got[key.Host+" "+key.FingerprintSHA256()] = true
			expectOpenSSH(t, key.PublicKey)
		}
		if len(got) == 0 || len(got) != len(keys) || !maps.Equal(got, want) {
			t.Errorf("got %v, OpenSSH reads %v", got, want)
		}
	})
}

// FuzzFingerprint changes the bytes of a key. FuzzParse changes the base64 text
// instead, and that rarely gives a valid key.
func FuzzFingerprint(f *testing.F) {
	for _, line := range append(openSSHLines(f), dsaLine(f), "ssh-ed25519 AAAA", "ssh-future AAAACnNzaC1mdXR1cmU=") {
		key, err := Split(line)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(key.blob)
	}
	allowed := []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}
	f.Fuzz(func(t *testing.T, blob []byte) {
		parsed, err := ssh.ParsePublicKey(blob)
		if err != nil || !slices.Contains(allowed, parsed.Type()) {
			return
		}
		line := parsed.Type() + " " + base64.StdEncoding.EncodeToString(blob)
		if _, problem := Parse(line); problem != nil {
			t.Fatalf("OpenSSH accepts %q, but Parse does not: %v", line, problem)
		}
		key, err := Split(line)
		if err != nil {
			t.Fatal(err)
		}
		if key.Doubt() != "" {
			t.Errorf("got Doubt %q, want none", key.Doubt())
		}
		expectOpenSSH(t, key)
	})
}

// expectOpenSSH fails the test unless OpenSSH reads the same key from the line
// that the provider sends to Bitbucket.
func expectOpenSSH(t *testing.T, key PublicKey) {
	t.Helper()
	line := key.WithComment(key.Comment)
	parsed, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatalf("OpenSSH does not accept %q: %v", line, err)
	}
	if parsed.Type() != key.Type || comment != key.Comment {
		t.Errorf("got type %q and comment %q, want %q and %q", key.Type, key.Comment, parsed.Type(), comment)
	}
	if got, want := key.FingerprintSHA256(), ssh.FingerprintSHA256(parsed); got != want {
		t.Errorf("got SHA256 fingerprint %s, want %s", got, want)
	}
	if got, want := key.FingerprintMD5(), ssh.FingerprintLegacyMD5(parsed); got != want {
		t.Errorf("got MD5 fingerprint %s, want %s", got, want)
	}
}
