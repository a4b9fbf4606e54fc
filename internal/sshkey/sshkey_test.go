package sshkey

import (
	"crypto/dsa" //nolint:staticcheck // Old keys are of this kind.
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

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

// rsaLine has a modulus of that length which no one has factored, or needs to:
// only public text is tested.
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

// openSSHLines are keys that OpenSSH takes, of every type but DSA, which some
// versions of it do not know.
func openSSHLines(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "public_keys"))
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// encode makes a key line of a type and the wire parts of its blob.
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
				t.Errorf("comment is %q, want %q", key.Comment, tc.comment)
			}
			if !key.SameMaterial(bare) {
				t.Error("not the same material")
			}
			if key.String() != plain {
				t.Errorf("String is %q, want %q", key.String(), plain)
			}
			if got := key.WithComment("x y"); got != plain+" x y" {
				t.Errorf("WithComment gives %q", got)
			}
			if got := key.WithComment(""); got != plain {
				t.Errorf("WithComment(\"\") gives %q", got)
			}
		})
	}
	other, err := Split(ed25519Line(t))
	if err != nil {
		t.Fatal(err)
	}
	if other.SameMaterial(bare) {
		t.Error("two keys are the same material")
	}
	for _, text := range []string{"", " \n", "ssh-ed25519", "ssh-ed25519 %%%", "AAAA"} {
		if _, err := Split(text); err == nil {
			t.Errorf("Split(%q) found a key", text)
		}
	}
}

// The fingerprints are the ones that ssh-keygen prints for this key.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	key, err := Split("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := key.FingerprintSHA256(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"; got != want {
		t.Errorf("SHA256 is %s, want %s", got, want)
	}
	if got, want := key.FingerprintMD5(), "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd"; got != want {
		t.Errorf("MD5 is %s, want %s", got, want)
	}
}

func TestBits(t *testing.T) {
	t.Parallel()
	lines := openSSHLines(t)
	for name, tc := range map[string]struct {
		text string
		bits int
	}{
		"ed25519":            {lines[0], 256},
		"ecdsa 256":          {lines[1], 256},
		"ecdsa 384":          {lines[2], 384},
		"ecdsa 521":          {lines[3], 521},
		"sk ed25519":         {lines[7], 256},
		"sk ecdsa":           {lines[8], 256},
		"rsa":                {rsaLine(t, 3072), 3072},
		"rsa of an odd size": {rsaLine(t, 2047), 2047},
		"short rsa":          {rsaLine(t, 768), 768},
		"dsa":                {dsaLine(t), 1024},
		"type of the future": {encode("ssh-future", struct{ Name, Key string }{"ssh-future", "k"}), 0},
		"damaged":            {lines[0][:60], 0},
		"no key in it":       {"ssh-ed25519 AAAA", 0},
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
				t.Errorf("ssh-keygen says %q, want %s", out, want)
			}
		}
	}
}

func privatePEM(t *testing.T) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ed, ec := ed25519Line(t), ecdsaLine(t)
	private := privatePEM(t)
	privateBody := strings.Split(private, "\n")[1]
	blob, err := base64.StdEncoding.DecodeString(strings.Fields(ed)[1])
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString

	for name, tc := range map[string]struct {
		text, summary string
		secret        bool
	}{
		"ed25519":             {ed, "", false},
		"ed25519 comment":     {ed + " a b c\r\n", "", false},
		"ecdsa":               {ec, "", false},
		"rsa":                 {rsaLine(t, 2048), "", false},
		"words in comment":    {ed + " laptop, private key on a token", "", false},
		"type in comment":     {ed + " ssh-deploy prod", "", false},
		"short rsa":           {rsaLine(t, 1024), "", false},
		"dsa":                 {dsaLine(t), "", false},
		"sk":                  {encode("sk-ssh-ed25519@openssh.com", struct{ Name, Key, App string }{"sk-ssh-ed25519@openssh.com", strings.Repeat("k", 32), "ssh:"}), "", false},
		"type of the future":  {encode("ssh-future", struct{ Name, Key string }{"ssh-future", "k"}), "", false},
		"empty":               {"", "Empty public key", false},
		"white space":         {" \r\n\t", "Empty public key", false},
		"openssh private":     {private, "Private key given", true},
		"private on one line": {strings.ReplaceAll(private, "\n", " "), "Private key given", true},
		"private body":        {privateBody, "Private key given", true},
		"private as a key":    {"ssh-ed25519 " + privateBody, "Private key given", true},
		"public then private": {ed + "\n" + private, "Private key given", true},
		"rsa private":         {"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n", "Private key given", true},
		"pkcs8 body":          {"MIIEvgIBADANBgkqhkiG9w0BAQEFAASC", "Private key given", true},
		"putty":               {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", "Private key given", true},
		"last line of it":     {"AAAA -----END RSA PRIVATE KEY-----", "Private key given", true},
		"ssh2 private":        {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", "Private key given", true},
		"rfc 4716":            {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "Public key in RFC 4716 format", false},
		"pem public":          {"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "Public key in PEM format", false},
		"two keys":            {ed + "\n" + ec, "Several public keys", false},
		"two keys, CR":        {ed + "\r" + ec, "Several public keys", false},
		"two keys on a line":  {ed + " " + ec, "Several public keys", false},
		"wrapped":             {ed[:40] + "\n" + ed[40:], "Public key on several lines", false},
		"options":             {`no-pty,command="ls -l" ` + ed, "Public key with options", false},
		"certificate":         {strings.Replace(ed, "ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ", 1), "Certificate given", false},
		"escape":              {ed + " me\x1b[31m", "Control characters in public key", false},
		"zero width":          {"\u200b" + ed, "Control characters in public key", true},
		"line separator":      {ed + " me\u2028", "", false},
		"separated lines":     {ed + " me\u2029" + ed, "Control characters in public key", false},
		"type only":           {"ssh-ed25519", "Incomplete public key", false},
		"base64 only":         {strings.Fields(ed)[1], "Not a public key", true},
		"a token":             {"ATATT3xFfGF0 secret", "Not a public key", true},
		"bad base64":          {ed[:50] + "*" + ed[51:], "Invalid base64 in public key", false},
		"bad base64, secret":  {"ssh-ed25519 hunter2!", "Invalid base64 in public key", true},
		"other type":          {strings.Replace(ed, "ssh-ed25519", "ssh-rsa", 1), "Key type does not match the key", false},
		"short blob":          {"ssh-ed25519 " + b64(blob[:len(blob)-1]), "Damaged public key", false},
		"tiny blob":           {"ssh-ed25519 AAAA", "Damaged public key", false},
		"long blob":           {"ssh-ed25519 " + b64(append(blob[:len(blob):len(blob)], 0)), "Damaged public key", false},
		"curve and name":      {encode("ecdsa-sha2-nistp384", struct{ Name, Curve, Point string }{"ecdsa-sha2-nistp384", "nistp256", "x"}), "Damaged public key", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problem := Check(tc.text)
			if problem == nil {
				if tc.summary != "" {
					t.Fatalf("no problem, want %q", tc.summary)
				}
				return
			}
			if problem.Summary != tc.summary {
				t.Fatalf("problem is %q, want %q", problem.Summary, tc.summary)
			}
			if problem.MaybeSecret != tc.secret {
				t.Errorf("MaybeSecret is %v, want %v", problem.MaybeSecret, tc.secret)
			}
			for word := range strings.FieldsSeq(tc.text) {
				if len(word) > 24 && strings.Contains(problem.Error(), word) {
					t.Errorf("the message echoes the value: %s", problem.Error())
				}
			}
		})
	}
}

func TestRefusalAndDoubt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text          string
		refuse, doubt bool
	}{
		"ed25519":  {ed25519Line(t), false, false},
		"rsa 2048": {rsaLine(t, 2048), false, false},
		"rsa 2047": {rsaLine(t, 2047), true, false},
		"dsa":      {dsaLine(t), false, true},
		"future":   {encode("ssh-future", struct{ Name string }{"ssh-future"}), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := Split(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := key.Refusal() != ""; got != tc.refuse {
				t.Errorf("refused is %v: %s", got, key.Refusal())
			}
			if got := key.Doubt() != ""; got != tc.doubt {
				t.Errorf("doubted is %v: %s", got, key.Doubt())
			}
		})
	}
}
