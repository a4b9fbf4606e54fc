package sshkey

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the shortest RSA key that Bitbucket accepts:
// https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/
const minRSABits = 2048

// Problem is why text cannot be used as a deploy key. Its message never holds
// a part of that text.
type Problem struct {
	// Summary names the problem in a few words, Detail what to do about it.
	Summary, Detail string
	// MaybeSecret is set unless the text is surely public. Whoever shows the
	// problem must not show the text, or the lines it was written on.
	MaybeSecret bool
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Summary + ": " + p.Detail }

// certificateSuffix ends the key type of every OpenSSH certificate.
const certificateSuffix = "-cert-v01@openssh.com"

// pasteOneLine is the advice that most mistakes end in.
const pasteOneLine = "Give the one line of the .pub file, for example \"ssh-ed25519 AAAA… comment\"."

// Check tells what keeps text from being one OpenSSH public key, or nil. It
// says nothing of what Bitbucket accepts: see [PublicKey.Refusal] and
// [PublicKey.Doubt].
func Check(text string) *Problem {
	line := strings.TrimSpace(text)
	switch {
	case line == "":
		return &Problem{Summary: "Empty public key", Detail: "The key is empty. " + pasteOneLine}
	case HoldsPrivateKey(line):
		return &Problem{
			Summary: "Private key given",
			Detail: "This is a private key. A deploy key is the public half: the one line of the .pub file, or what " +
				"\"ssh-keygen -y -f FILE\" prints. If this private key was committed or shared, consider it leaked: " +
				"make a new pair and remove the old key wherever it is in use.",
			MaybeSecret: true,
		}
	case strings.HasPrefix(line, "---- BEGIN SSH2 PUBLIC KEY"):
		return &Problem{
			Summary: "Public key in RFC 4716 format",
			Detail:  "The key is in the SSH2 (RFC 4716) format. Convert it with \"ssh-keygen -i -f FILE\" and give the line that it prints.",
		}
	case strings.HasPrefix(line, "-----BEGIN") && strings.Contains(line, "PUBLIC KEY-----"):
		return &Problem{
			Summary: "Public key in PEM format",
			Detail:  "The key is in a PEM format. Convert it with \"ssh-keygen -i -m PKCS8 -f FILE\" (or -m PEM) and give the line that it prints.",
		}
	}
	// Only text that starts as a public key does is shown with the problem:
	// anything else may be a secret that was pasted by mistake.
	secret := !startsAsPublicKey(line)
	if strings.ContainsAny(line, "\r\n") {
		if lines := countKeys(line); lines > 1 {
			return severalKeys(lines, secret)
		}
		return &Problem{
			Summary:     "Public key on several lines",
			Detail:      "The key is broken over several lines. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if strings.ContainsFunc(line, isControl) {
		return &Problem{
			Summary:     "Control characters in public key",
			Detail:      "The key holds control or invisible characters, often left by copying from a terminal or a document. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	return checkLine(line, secret)
}

// checkLine judges one line without control characters.
func checkLine(line string, secret bool) *Problem {
	if hasOptions(line) {
		return &Problem{
			Summary: "Public key with options",
			Detail:  "The key has authorized_keys options before its type, which Bitbucket does not take. Remove them. " + pasteOneLine,
		}
	}
	keyType, rest := cutSpace(line)
	if !looksLikeType(keyType) {
		return &Problem{
			Summary:     "Not a public key",
			Detail:      "This does not start with an OpenSSH key type. " + pasteOneLine,
			MaybeSecret: true,
		}
	}
	if rest == "" {
		return &Problem{
			Summary:     "Incomplete public key",
			Detail:      "There is nothing after the key type. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if strings.Contains(keyType, certificateSuffix) {
		return &Problem{
			Summary:     "Certificate given",
			Detail:      "This is an OpenSSH certificate. Give the public key that it certifies: the .pub file without \"-cert\" in its name.",
			MaybeSecret: secret,
		}
	}
	key, err := Split(line)
	if err != nil {
		return &Problem{
			Summary:     "Invalid base64 in public key",
			Detail:      "What follows the key type is not base64: a character is wrong or missing. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if other, err := Split(key.Comment); err == nil && other.Type == other.innerType() {
		return severalKeys(2, secret)
	}
	inner := key.innerType()
	if inner == "" {
		return truncated(secret)
	}
	if inner != key.Type {
		return &Problem{
			Summary:     "Key type does not match the key",
			Detail:      "The type in front of the base64 is not the type of the key inside it. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if !knownTypes[key.Type] {
		return nil // Only Bitbucket knows; Doubt says so.
	}
	if parsed, err := ssh.ParsePublicKey(key.blob); err != nil || parsed.Type() != key.Type {
		return truncated(secret)
	}
	return nil
}

func severalKeys(count int, secret bool) *Problem {
	return &Problem{
		Summary:     "Several public keys",
		Detail:      fmt.Sprintf("There are %d keys here. One bitbucket_deploy_key is one key: use for_each for several.", count),
		MaybeSecret: secret,
	}
}

func truncated(secret bool) *Problem {
	return &Problem{
		Summary:     "Damaged public key",
		Detail:      "The key is cut short, has bytes after its end, or is otherwise damaged. " + pasteOneLine,
		MaybeSecret: secret,
	}
}

// knownTypes are the key types whose content can be checked here.
var knownTypes = map[string]bool{
	ssh.KeyAlgoED25519:     true,
	ssh.KeyAlgoRSA:         true,
	ssh.KeyAlgoECDSA256:    true,
	ssh.KeyAlgoECDSA384:    true,
	ssh.KeyAlgoECDSA521:    true,
	ssh.InsecureKeyAlgoDSA: true,
	ssh.KeyAlgoSKED25519:   true,
	ssh.KeyAlgoSKECDSA256:  true,
}

// Refusal tells why Bitbucket refuses to add this key, "" where it is not
// known to. Such a key may exist already, since the rule is younger than some
// keys are.
func (k PublicKey) Refusal() string {
	if bits := k.Bits(); k.innerType() == ssh.KeyAlgoRSA && bits > 0 && bits < minRSABits {
		return fmt.Sprintf("Bitbucket accepts RSA keys of %d bits and more; this one has %d. Use an Ed25519 key, or a longer RSA key.", minRSABits, bits)
	}
	return ""
}

// Doubt tells why Bitbucket might refuse this key, "" where there is no doubt.
func (k PublicKey) Doubt() string {
	switch k.Type {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return ""
	case ssh.InsecureKeyAlgoDSA:
		return "This is a DSA key. OpenSSH has dropped DSA, and Bitbucket may refuse it. Use an Ed25519 key."
	}
	return "Keys of this type are not on Bitbucket's list (Ed25519, ECDSA, RSA), so Bitbucket may refuse it."
}

// privateKeyMark is on the first or last line of a private key: PEM, OpenSSH,
// SSH2 or PuTTY.
var privateKeyMark = regexp.MustCompile(`(?i)(BEGIN|END) [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-`)

// HoldsPrivateKey tells whether text has a private key in it, also without its
// first and last line.
func HoldsPrivateKey(text string) bool {
	if privateKeyMark.MatchString(text) {
		return true
	}
	for field := range strings.FieldsSeq(text) {
		// "openssh-key-v1" in base64, and the DER of a PKCS #1 or #8 private key:
		// a sequence of 0x0100 bytes or more whose first number is 0.
		if strings.HasPrefix(field, "b3BlbnNzaC1rZXktdjE") || len(field) > 6 && strings.HasPrefix(field, "MII") && strings.HasPrefix(field[6:], "IBA") {
			return true
		}
	}
	return false
}

// startsAsPublicKey tells whether line begins with a key type and the first
// base64 character of a public blob, whose length prefix encodes as "AAAA".
func startsAsPublicKey(line string) bool {
	keyType, rest := cutSpace(line)
	return looksLikeType(keyType) && (rest == "" || strings.HasPrefix(rest, "AAAA"))
}

// looksLikeType tells whether word is a key type that OpenSSH has or could have.
func looksLikeType(word string) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-", "rsa-sha2-", "webauthn-sk-"} {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return false
}

// hasOptions tells whether a key type comes later than as the first word.
func hasOptions(line string) bool {
	keyType, _ := cutSpace(line)
	if looksLikeType(keyType) {
		return false
	}
	_, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return err == nil && len(options) > 0
}

// countKeys counts the lines that start as a public key does.
func countKeys(text string) int {
	count := 0
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "\n")) {
		if keyType, _ := cutSpace(strings.TrimSpace(line)); looksLikeType(keyType) {
			count++
		}
	}
	return count
}

// isControl tells whether r does not show on a screen, but for the tab that
// OpenSSH takes for a space.
func isControl(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar)
}
