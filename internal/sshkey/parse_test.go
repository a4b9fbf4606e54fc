package sshkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// privatePEM returns a new private key in OpenSSH format.
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

func TestParse(t *testing.T) {
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
		"future type, empty":  {encode("ssh-future", struct{ Name string }{"ssh-future"}), "", false},
		"future type":         {encode("ssh-future", struct{ Name, Key string }{"ssh-future", "k"}), "", false},
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
		"private, last line":  {"AAAA -----END RSA PRIVATE KEY-----", "Private key given", true},
		"ssh2 private":        {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", "Private key given", true},
		"rfc 4716":            {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "Public key in RFC 4716 format", false},
		"pem public":          {"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "Public key in PEM format", false},
		"two keys":            {ed + "\n" + ec, "Several public keys", false},
		"two keys, CR":        {ed + "\r" + ec, "Several public keys", false},
		"two keys on a line":  {ed + " " + ec, "Several public keys", false},
		"wrapped":             {ed[:40] + "\n" + ed[40:], "Public key on several lines", false},
		"options":             {`no-pty,command="ls -l" ` + ed, "Public key with options", false},
		"certificate":         {strings.Replace(ed, "ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ", 1), "Certificate given", false},
		"escape in comment":   {ed + " me\x1b[31m", "", false},
		"escape":              {ed[:30] + "\x1b" + ed[30:], "Control characters in public key", false},
		"byte order mark":     {"\ufeff" + ed + "\r\n", "", false},
		"emoji with joiners":  {ed + " \U0001F468\u200d\U0001F4BB", "", false},
		"no-break space":      {strings.Replace(ed, " ", "\u00a0", 1) + " me", "Unusual space in public key", true},
		"em space":            {ed + "\u2003me", "Unusual space in public key", false},
		"space in comment":    {ed + " a\u00a0b", "", false},
		"known_hosts":         {"bitbucket.org " + ed, "Host key given", true},
		"known_hosts, port":   {"[ssh.example.com]:7999 " + ed, "Host key given", true},
		"known_hosts, names":  {"bitbucket.org,104.192.141.1 " + ed, "Host key given", true},
		"known_hosts, hashed": {"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + ed, "Host key given", true},
		"known_hosts, marker": {"@cert-authority *.example.com " + ed, "Host key given", true},
		"known_hosts, short":  {"host " + ed + " comment", "Host key given", true},
		"known_hosts, lines":  {"# bitbucket.org:22 SSH-2.0\nbitbucket.org " + ed + "\nbitbucket.org " + ec, "Host key given", true},
		"path":                {"~/.ssh/id_ed25519.pub", "Path of a file given", true},
		"relative path":       {"../keys/ci", "Path of a file given", true},
		"absolute path":       {"/home/me/.ssh/id_ed25519", "Path of a file given", true},
		"Windows path":        {`C:\Users\My Name\.ssh\id_rsa.pub`, "Path of a file given", true},
		"fingerprint":         {"256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU me@host (ED25519)", "Fingerprint given", true},
		"bare fingerprint":    {"SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "Fingerprint given", true},
		"MD5 fingerprint":     {"2048 MD5:65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd x (RSA)", "Fingerprint given", true},
		"zero width":          {"\u200b" + ed, "Control characters in public key", true},
		"line separator":      {ed + " me\u2028", "", false},
		"separated lines":     {ed + " me\u2029" + ed, "", false},
		"many options":        {`from="10.0.0.1",no-pty ` + ed, "Public key with options", false},
		"type only":           {"ssh-ed25519", "Incomplete public key", false},
		"base64 only":         {strings.Fields(ed)[1], "Not a public key", true},
		"word before base64":  {"deploy " + strings.Fields(ed)[1], "Not a public key", true},
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
			_, problem := Parse(tc.text)
			if problem == nil {
				if tc.summary != "" {
					t.Fatalf("Parse found no problem, want %q", tc.summary)
				}
				return
			}
			if problem.Summary != tc.summary {
				t.Fatalf("got problem %q, want %q", problem.Summary, tc.summary)
			}
			if problem.MaybeSecret != tc.secret {
				t.Errorf("got MaybeSecret %v, want %v", problem.MaybeSecret, tc.secret)
			}
			for word := range strings.FieldsSeq(tc.text) {
				if len(word) > 24 && strings.Contains(problem.Error(), word) {
					t.Errorf("the message contains a part of the text: %s", problem.Error())
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
		"rsa, cut": {rsaLine(t, 1024)[:60], false, false},
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
				t.Errorf("got Refusal %q, want a refusal: %v", key.Refusal(), tc.refuse)
			}
			if got := key.Doubt() != ""; got != tc.doubt {
				t.Errorf("got Doubt %q, want a doubt: %v", key.Doubt(), tc.doubt)
			}
		})
	}
}

func TestParse_namesCharacter(t *testing.T) {
	t.Parallel()
	ed := ed25519Line(t)
	for text, want := range map[string]string{
		strings.Replace(ed, " ", "\u00a0", 1): "a no-break space (U+00A0)",
		ed + "\u2003me":                       "an em space (U+2003)",
		ed[:30] + "\u200b" + ed[30:]:          "a zero width space (U+200B)",
		ed[:30] + "\x1b" + ed[30:]:            "the character (U+001B)",
	} {
		if _, problem := Parse(text); problem == nil || !strings.Contains(problem.Detail, want) {
			t.Errorf("Parse(%q) returns %v, want %q", text, problem, want)
		}
	}
}
