package sshkey

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the shortest RSA key that Bitbucket accepts:
// https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/
const minRSABits = 2048

// Problem describes why a text cannot be used as a deploy key. Its message never
// contains a part of that text, because the text may be a secret.
type Problem struct {
	// Summary names the problem in a few words. Detail explains how to solve it.
	Summary, Detail string
	// MaybeSecret reports that the text may be a secret. A caller that shows the
	// problem must then not show the text or the configuration lines around it.
	MaybeSecret bool
}

// Error returns the summary and the detail on one line.
func (p *Problem) Error() string { return p.Summary + ": " + p.Detail }

// certificateSuffix ends the key type of every OpenSSH certificate.
const certificateSuffix = "-cert-v01@openssh.com"

// pasteOneLine is the advice at the end of most details.
const pasteOneLine = "Give the one line of the .pub file, for example \"ssh-ed25519 AAAA… comment\"."

// Parse returns the one OpenSSH public key in text, or the problem that prevents its
// use. It does not check which keys Bitbucket accepts: see [PublicKey.Refusal] and
// [PublicKey.Doubt]. It accepts any comment of one line, because Bitbucket may have a key
// with that comment.
func Parse(text string) (PublicKey, *Problem) {
	line := trim(text)
	switch {
	case line == "":
		return PublicKey{}, &Problem{Summary: "Empty public key", Detail: "The key is empty. " + pasteOneLine}
	case HoldsPrivateKey(line):
		return PublicKey{}, &Problem{
			Summary: "Private key given",
			Detail: "This is a private key. A deploy key is the public half: the one line of the .pub file, or what " +
				"\"ssh-keygen -y -f FILE\" prints. If this private key was committed or shared, consider it leaked: " +
				"make a new pair, and remove the old key everywhere.",
			MaybeSecret: true,
		}
	case strings.HasPrefix(line, "---- BEGIN SSH2 PUBLIC KEY"):
		return PublicKey{}, &Problem{
			Summary: "Public key in RFC 4716 format",
			Detail:  "The key is in the SSH2 (RFC 4716) format. Convert it with \"ssh-keygen -i -f FILE\" and give the line that it prints.",
		}
	case strings.HasPrefix(line, "-----BEGIN") && strings.Contains(line, "PUBLIC KEY-----"):
		return PublicKey{}, &Problem{
			Summary: "Public key in PEM format",
			Detail:  "The key is in a PEM format. Convert it with \"ssh-keygen -i -m PKCS8 -f FILE\" (or -m PEM) and give the line that it prints.",
		}
	}
	// The user may have pasted a secret by mistake. Only a line that starts like a
	// public key is certainly not a secret.
	secret := !startsLikePublicKey(line)
	if holdsHostKey(line) {
		return PublicKey{}, &Problem{
			Summary: "Host key given",
			Detail: "This is a line of a known_hosts file: a host name and the host key of that server, for example Bitbucket's own. " +
				"A host key cannot be a deploy key: its private half is on that server. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if strings.ContainsAny(line, "\r\n") {
		if lines := countKeys(line); lines > 1 {
			return PublicKey{}, severalKeys(lines, secret)
		}
		return PublicKey{}, &Problem{
			Summary:     "Public key on several lines",
			Detail:      "The key is broken over several lines. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	keyType, rest := cutSpace(line)
	encoded, _ := cutSpace(rest)
	material := keyType + " " + encoded
	if i := strings.IndexFunc(material, isControl); i >= 0 {
		return PublicKey{}, &Problem{
			Summary:     "Control characters in public key",
			Detail:      "The key contains control characters or invisible characters. The first is " + nameCharacter(material[i:]) + ". The cause is often a copy from a terminal or a document. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if i := strings.IndexFunc(material, isOtherSpace); i >= 0 && looksLikeType(keyType) {
		return PublicKey{}, &Problem{
			Summary:     "Unusual space in public key",
			Detail:      "The key contains " + nameCharacter(material[i:]) + ". The cause is often a copy from a document or a web page. Type a plain space in its place. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	return parseLine(line, secret)
}

// parseLine is [Parse] for a single line without control characters.
func parseLine(line string, secret bool) (PublicKey, *Problem) {
	keyType, rest := cutSpace(line)
	if !looksLikeType(keyType) {
		if hasOptions(line) {
			return PublicKey{}, &Problem{
				Summary: "Public key with options",
				Detail:  "The key has authorized_keys options before its type, which Bitbucket does not accept. Remove them. " + pasteOneLine,
			}
		}
		if fingerprint.MatchString(line) {
			return PublicKey{}, &Problem{
				Summary:     "Fingerprint given",
				Detail:      "This is the fingerprint of a key, as \"ssh-keygen -l\" prints it. Bitbucket needs the key itself. " + pasteOneLine,
				MaybeSecret: true,
			}
		}
		if looksLikePath(line) {
			return PublicKey{}, &Problem{
				Summary:     "Path of a file given",
				Detail:      "This is the path of a file, not the key in that file. Write file(\"PATH\") with the path of the .pub file. Write / between the folders, also on Windows.",
				MaybeSecret: true,
			}
		}
		return PublicKey{}, &Problem{
			Summary:     "Not a public key",
			Detail:      "This does not start with an OpenSSH key type. " + pasteOneLine,
			MaybeSecret: true,
		}
	}
	if rest == "" {
		return PublicKey{}, &Problem{
			Summary:     "Incomplete public key",
			Detail:      "There is nothing after the key type. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if strings.Contains(keyType, certificateSuffix) {
		return PublicKey{}, &Problem{
			Summary:     "Certificate given",
			Detail:      "This is an OpenSSH certificate. Give the public key that it certifies: the .pub file without \"-cert\" in its name.",
			MaybeSecret: secret,
		}
	}
	key, err := Split(line)
	if err != nil {
		return PublicKey{}, &Problem{
			Summary:     "Invalid base64 in public key",
			Detail:      "The text after the key type is not base64: a character is wrong or missing. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	// The comment may be a second key, if two lines were joined by mistake.
	if other, err := Split(key.Comment); err == nil && other.Type == other.innerType() {
		return PublicKey{}, severalKeys(2, secret)
	}
	inner := key.innerType()
	if inner == "" {
		return PublicKey{}, damaged(secret)
	}
	if inner != key.Type {
		return PublicKey{}, &Problem{
			Summary:     "Key type does not match the key",
			Detail:      "The key type in front of the base64 text differs from the type inside it. " + pasteOneLine,
			MaybeSecret: secret,
		}
	}
	if !supportedTypes[key.Type] {
		return key, nil // Bitbucket may accept the type. Doubt returns a warning about it.
	}
	if key.parsed == nil || key.parsed.Type() != key.Type {
		return PublicKey{}, damaged(secret)
	}
	return key, nil
}

// severalKeys is the problem of a text that contains count keys.
func severalKeys(count int, secret bool) *Problem {
	return &Problem{
		Summary:     "Several public keys",
		Detail:      fmt.Sprintf("There are %d keys here, but a resource has one key. Use for_each for several.", count),
		MaybeSecret: secret,
	}
}

// damaged is the problem of a key whose bytes are not a complete key.
func damaged(secret bool) *Problem {
	return &Problem{
		Summary:     "Damaged public key",
		Detail:      "The key is cut short, has bytes after its end, or is otherwise damaged. " + pasteOneLine,
		MaybeSecret: secret,
	}
}

// supportedTypes are the key types that [ssh.ParsePublicKey] can check.
var supportedTypes = map[string]bool{
	ssh.KeyAlgoED25519:     true,
	ssh.KeyAlgoRSA:         true,
	ssh.KeyAlgoECDSA256:    true,
	ssh.KeyAlgoECDSA384:    true,
	ssh.KeyAlgoECDSA521:    true,
	ssh.InsecureKeyAlgoDSA: true,
	ssh.KeyAlgoSKED25519:   true,
	ssh.KeyAlgoSKECDSA256:  true,
}

// Refusal returns the reason why Bitbucket does not accept this key as a new key,
// or "" if no reason is documented. Bitbucket may still have such a key that was
// added before the rule existed.
func (k PublicKey) Refusal() string {
	if bits := k.Bits(); k.innerType() == ssh.KeyAlgoRSA && bits > 0 && bits < minRSABits {
		return fmt.Sprintf("Bitbucket accepts RSA keys of %d bits and more, but this key has %d. Use an Ed25519 key, or a longer RSA key.", minRSABits, bits)
	}
	return ""
}

// Doubt returns the reason why Bitbucket might not accept this key, or "" if its
// type is on Bitbucket's list.
func (k PublicKey) Doubt() string {
	switch k.Type {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return ""
	case ssh.InsecureKeyAlgoDSA:
		return "This is a DSA key. OpenSSH no longer supports DSA, and Bitbucket may refuse it. If it does, use an Ed25519 key."
	}
	return "Keys of this type are not on Bitbucket's list (Ed25519, ECDSA, RSA), so Bitbucket may refuse it. If it does, use an Ed25519 key."
}

// privateKeyMark matches the first or the last line of a private key in PEM,
// OpenSSH, SSH2 or PuTTY format.
var privateKeyMark = regexp.MustCompile(`(?i)(BEGIN|END) [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-`)

// HoldsPrivateKey reports whether text contains a private key. It also finds
// most private keys whose first and last line are missing.
func HoldsPrivateKey(text string) bool {
	if privateKeyMark.MatchString(text) {
		return true
	}
	for field := range strings.FieldsSeq(text) {
		// "b3Blb…" is "openssh-key-v1" in base64. "MII…IBA" is the start of a PKCS #1
		// or PKCS #8 private key in DER: a sequence of at least 256 bytes that
		// begins with the number 0.
		if strings.HasPrefix(field, "b3BlbnNzaC1rZXktdjE") || len(field) > 6 && strings.HasPrefix(field, "MII") && strings.HasPrefix(field[6:], "IBA") {
			return true
		}
	}
	return false
}

// startsLikePublicKey reports whether line begins with a key type, and after it
// either ends or continues with "AAAA". Every public blob starts with "AAAA",
// because it starts with the length of the type name, and that is a small number
// in four bytes.
func startsLikePublicKey(line string) bool {
	keyType, rest := cutSpace(line)
	return looksLikeType(keyType) && (rest == "" || strings.HasPrefix(rest, "AAAA"))
}

// looksLikeType reports whether word starts like a key type of OpenSSH. This
// includes types that OpenSSH may add in the future.
func looksLikeType(word string) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-", "rsa-sha2-", "webauthn-sk-"} {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return false
}

// hasOptions reports whether line, which does not begin with a key type, is a key
// with authorized_keys options before its type.
func hasOptions(line string) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return err == nil
}

// knownOptions are the names of authorized_keys options, in lower case and without "no-".
var knownOptions = map[string]bool{
	"agent-forwarding": true, "cert-authority": true, "command": true, "environment": true, "expiry-time": true, "from": true,
	"permitlisten": true, "permitopen": true, "port-forwarding": true, "principals": true, "pty": true, "restrict": true,
	"touch-required": true, "tunnel": true, "user-rc": true, "verify-required": true, "x11-forwarding": true, "zos-key-ring-label": true,
}

// holdsHostKey reports whether text has a line of a known_hosts file: the names of a host,
// and the key of that host. The names may be hashed, and a marker like @cert-authority may
// be in front of them.
func holdsHostKey(text string) bool {
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "\n")) {
		hosts, rest := cutSpace(strings.TrimSpace(line))
		if strings.HasPrefix(hosts, "@") {
			hosts, rest = cutSpace(rest)
		}
		first, _, _ := strings.Cut(hosts, ",")
		first, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(first), "no-"), "=")
		keyType, blob := cutSpace(rest)
		if looksLikeType(keyType) && strings.HasPrefix(blob, "AAAA") && !looksLikeType(hosts) && !knownOptions[first] {
			return true
		}
	}
	return false
}

// fingerprint matches the output of "ssh-keygen -l": the length of the key, its fingerprint
// and its comment. It also matches a fingerprint alone.
var fingerprint = regexp.MustCompile(`^([0-9]+ +)?(SHA256:[A-Za-z0-9+/]{43}=?|(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2})( |$)`)

// pathStart matches the start of a path in a home directory, of a relative path and of a
// path on Windows.
var pathStart = regexp.MustCompile(`^(~|\.\.?|[A-Za-z]:)[/\\]`)

// looksLikePath reports whether line is probably the path of a file with a key.
func looksLikePath(line string) bool {
	slashes := strings.ReplaceAll(strings.ToLower(line), `\`, "/")
	return pathStart.MatchString(line) || strings.HasSuffix(slashes, ".pub") || strings.Contains(slashes, "/.ssh/")
}

// countKeys counts the lines that start with a key type.
func countKeys(text string) int {
	count := 0
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "\n")) {
		if keyType, _ := cutSpace(strings.TrimSpace(line)); looksLikeType(keyType) {
			count++
		}
	}
	return count
}

// isControl reports whether r is a control character or is invisible. It reports false
// for a tab, because OpenSSH accepts a tab as a space.
func isControl(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar)
}

// isOtherSpace reports whether r is a space that documents contain, but that OpenSSH does not
// accept as a space.
func isOtherSpace(r rune) bool { return r != ' ' && unicode.Is(unicode.Zs, r) }

// characterNames are the names of characters that documents and web pages often contain.
var characterNames = map[rune]string{
	0x00a0: "a no-break space", 0x00ad: "a soft hyphen", 0x2002: "an en space", 0x2003: "an em space", 0x2009: "a thin space", 0x200b: "a zero width space",
	0x200d: "a zero width joiner", 0x202f: "a narrow no-break space", 0x3000: "an ideographic space", 0xfeff: "a byte order mark",
}

// nameCharacter describes the first character of text.
func nameCharacter(text string) string {
	r, _ := utf8.DecodeRuneInString(text)
	return fmt.Sprintf("%s (U+%04X)", cmp.Or(characterNames[r], "the character"), r)
}
