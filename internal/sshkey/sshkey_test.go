package sshkey

import (
	"crypto/dsa" //nolint:staticcheck // Bitbucket may still have old DSA keys.
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// line returns the key line of a public key.
func line(tb testing.TB, public any) string {
	tb.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func ed25519Line(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, public)
}

func ecdsaLine(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, &key.PublicKey)
}

// rsaLine returns an RSA key line. Its modulus has the given length, but it is not
// the product of two primes: the tests need only the public key.
func rsaLine(t *testing.T, bits int) string {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return line(t, &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
}

func dsaLine(tb testing.TB) string {
	tb.Helper()
	p := new(big.Int).Lsh(big.NewInt(1), 1023)
	return line(tb, &dsa.PublicKey{
		Parameters: dsa.Parameters{P: p, Q: new(big.Int).Lsh(big.NewInt(1), 159), G: big.NewInt(2)},
		Y:          big.NewInt(4),
	})
}

// openSSHLines returns keys that OpenSSH accepts. DSA keys are missing, because
// recent versions of OpenSSH do not support DSA.
func openSSHLines(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "public_keys"))
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// encode returns a key line with the given type. The fields of blob become the
// fields inside the base64 text.
func encode(keyType string, blob any) string {
	return keyType + " " + base64.StdEncoding.EncodeToString(ssh.Marshal(blob))
}

func TestSplit(t *testing.T) {
	t.Parallel()
	plain := ed25519Line(t)
	bare, err := Split(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ text, comment string }{
		"bare":              {plain, ""},
		"newline":           {plain + "\n", ""},
		"crlf":              {plain + "\r\n", ""},
		"spaces":            {"  " + strings.Replace(plain, " ", " \t  ", 1) + "  ", ""},
		"comment":           {plain + " me@host", "me@host"},
		"words in comment":  {plain + "  build agent  of acme \n", "build agent  of acme"},
		"comment with hash": {plain + " # 1", "# 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := Split(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if key.Comment != tc.comment {
				t.Errorf("got comment %q, want %q", key.Comment, tc.comment)
			}
			if !key.SameMaterial(bare) {
				t.Error("SameMaterial is false for the same key")
			}
			if key.String() != plain {
				t.Errorf("String returns %q, want %q", key.String(), plain)
			}
			if got := key.WithComment("x y"); got != plain+" x y" {
				t.Errorf("WithComment returns %q", got)
			}
			if got := key.WithComment(""); got != plain {
				t.Errorf("WithComment(\"\") returns %q", got)
			}
		})
	}
	other, err := Split(ed25519Line(t))
	if err != nil {
		t.Fatal(err)
	}
	if other.SameMaterial(bare) {
		t.Error("SameMaterial is true for two different keys")
	}
	for _, text := range []string{"", " \n", "ssh-ed25519", "ssh-ed25519 %%%", "AAAA"} {
		if _, err := Split(text); err == nil {
			t.Errorf("Split(%q) did not fail", text)
		}
	}
}

// Both halves of a split are without white space at the split, wherever it is.
func TestCutSpace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"":             {"", ""},
		"type":         {"type", ""},
		"type blob":    {"type", "blob"},
		"type \t a b ": {"type", "a b"},
		" blob":        {"", "blob"},
	} {
		if before, after := cutSpace(text); before != want[0] || after != want[1] {
			t.Errorf("cutSpace(%q) returns %q and %q", text, before, after)
		}
	}
}

func TestSameKey(t *testing.T) {
	t.Parallel()
	key := ed25519Line(t)
	for name, tc := range map[string]struct {
		other string
		want  bool
	}{
		"same":          {key, true},
		"other comment": {key + " me", true},
		"other key":     {ed25519Line(t), false},
		"not a key":     {"key", false},
	} {
		if SameKey(key, tc.other) != tc.want || SameKey(tc.other, key) != tc.want {
			t.Errorf("%s: want %v in both orders", name, tc.want)
		}
	}
	if SameKey("key", "key") {
		t.Error("texts that are not keys are the same key")
	}
}

// ssh-keygen prints these fingerprints for this key.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	key, err := Split("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := key.FingerprintSHA256(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"; got != want {
		t.Errorf("got SHA256 fingerprint %s, want %s", got, want)
	}
	if got, want := key.FingerprintMD5(), "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd"; got != want {
		t.Errorf("got MD5 fingerprint %s, want %s", got, want)
	}
}

func TestBits(t *testing.T) {
	t.Parallel()
	lines := openSSHLines(t)
	for name, tc := range map[string]struct {
		text string
		bits int
	}{
		"ed25519":           {lines[0], 256},
		"ecdsa 256":         {lines[1], 256},
		"ecdsa 384":         {lines[2], 384},
		"ecdsa 521":         {lines[3], 521},
		"sk ed25519":        {lines[7], 256},
		"sk ecdsa":          {lines[8], 256},
		"rsa":               {rsaLine(t, 3072), 3072},
		"rsa of odd length": {rsaLine(t, 2047), 2047},
		"short rsa":         {rsaLine(t, 768), 768},
		"dsa":               {dsaLine(t), 1024},
		"future type":       {encode("ssh-future", struct{ Name, Key string }{"ssh-future", "k"}), 0},
		"damaged":           {lines[0][:60], 0},
		"no key inside":     {"ssh-ed25519 AAAA", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := Split(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := key.Bits(); got != tc.bits {
				t.Errorf("got %d bits, want %d", got, tc.bits)
			}
		})
	}
}

// Split parses the key once, and Bits must not parse it again. With a parse,
// Bits makes at least eight allocations. Without a parse, it makes at most one.
//
//nolint:paralleltest // AllocsPerRun panics if other tests run in parallel.
func TestBits_doesNotParseAgain(t *testing.T) {
	for _, line := range openSSHLines(t) {
		key, err := Split(line)
		if err != nil {
			t.Fatal(err)
		}
		if allocs := testing.AllocsPerRun(10, func() { key.Bits() }); allocs > 1 {
			t.Errorf("%s: Bits made %v allocations, want at most 1", key.Type, allocs)
		}
	}
}

func TestDescription_sshKeygen(t *testing.T) {
	t.Parallel()
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	for _, line := range append(openSSHLines(t), ed25519Line(t), ecdsaLine(t), rsaLine(t, 2048)) {
		key, err := Split(line)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "key.pub")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for hash, want := range map[string]string{"sha256": key.FingerprintSHA256(), "md5": "MD5:" + key.FingerprintMD5()} {
			out, err := exec.CommandContext(t.Context(), keygen, "-l", "-E", hash, "-f", file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if want = fmt.Sprintf("%d %s ", key.Bits(), want); !strings.HasPrefix(string(out), want) {
				t.Errorf("ssh-keygen printed %q, want %s", out, want)
			}
		}
	}
}
