package sshkey

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// benchmarkLines returns a short and a long key line.
func benchmarkLines(b *testing.B) map[string]string {
	b.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	return map[string]string{
		"ed25519": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDikcEnmpPo+/PNuXzAHc94cmZQU5An7OdteAr9i4iKD ci@example.com",
		"rsa4096": strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " ci@example.com",
	}
}

func BenchmarkSplit(b *testing.B) {
	for name, line := range benchmarkLines(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Split(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, line := range benchmarkLines(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problem := Parse(line); problem != nil {
					b.Fatal(problem)
				}
			}
		})
	}
}

// BenchmarkDescribe measures the work for each key that the provider reads. Split
// is included, because Split parses the key for all other methods.
func BenchmarkDescribe(b *testing.B) {
	for name, line := range benchmarkLines(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				key, err := Split(line)
				if err != nil {
					b.Fatal(err)
				}
				if key.FingerprintSHA256() == "" || key.FingerprintMD5() == "" || key.Bits() == 0 || key.Refusal() != "" {
					b.Fatal("a fingerprint or the length is missing, or the key is refused")
				}
			}
		})
	}
}
