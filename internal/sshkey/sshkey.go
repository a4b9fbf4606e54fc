// Package sshkey reads OpenSSH public keys the way Bitbucket does. A key is one
// line "type base64 comment". The type and the base64 text are the key; the
// comment is only a note. The package does not depend on Terraform or on
// Bitbucket's API.
package sshkey

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // Bits measures old DSA keys.
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // Older tools print MD5 fingerprints. The provider does not rely on MD5 for security.
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// PublicKey holds the parts of one line of OpenSSH public key text.
type PublicKey struct {
	// Type is the algorithm name at the start of the line, for example
	// "ssh-ed25519".
	Type string
	// Comment is the text after the base64 text, without white space around it.
	Comment string

	blob   []byte        // blob is the decoded base64 text.
	parsed ssh.PublicKey // parsed is the key in blob, or nil if blob is damaged or of an unsupported type.
}

// ErrNotAKey reports that a text is not a key type followed by base64.
var ErrNotAKey = errors.New("not an OpenSSH public key: expected a key type and base64 on one line, for example \"ssh-ed25519 AAAA… comment\"")

// Split splits a key line into its parts. It accepts any key inside the base64
// text, because Bitbucket may still have an old key that [Parse] rejects. It
// ignores white space around the line and between the parts, and a byte order mark.
func Split(line string) (PublicKey, error) {
	line = trim(line)
	keyType, rest := cutSpace(line)
	encoded, comment := cutSpace(rest)
	if keyType == "" || encoded == "" {
		return PublicKey{}, ErrNotAKey
	}
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return PublicKey{}, ErrNotAKey
	}
	parsed, err := ssh.ParsePublicKey(blob)
	if err != nil {
		parsed = nil // The methods that need it have a fallback.
	}
	return PublicKey{Type: keyType, Comment: comment, blob: blob, parsed: parsed}, nil
}

// trim removes the white space around a text, and the byte order mark that Windows programs
// write at the start of a file.
func trim(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "\ufeff"))
}

// cutSpace splits s at its first run of white space.
func cutSpace(s string) (before, after string) {
	i := strings.IndexAny(s, " \t\r\n")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// String returns the key without its comment, as Bitbucket returns it.
func (k PublicKey) String() string { return k.Type + " " + k.Base64() }

// Base64 returns the key without its type and its comment.
func (k PublicKey) Base64() string { return base64.StdEncoding.EncodeToString(k.blob) }

// WithComment returns the key line to send to Bitbucket. Bitbucket accepts a
// comment only at the end of the key line.
func (k PublicKey) WithComment(comment string) string {
	return strings.TrimSpace(k.String() + " " + comment)
}

// SameMaterial reports whether k and other are the same key. It ignores their
// comments.
func (k PublicKey) SameMaterial(other PublicKey) bool {
	return k.Type == other.Type && (bytes.Equal(k.blob, other.blob) || bytes.Equal(k.canonical(), other.canonical()))
}

// SameKey reports whether two key lines contain the same key. It ignores their
// comments. It reports false if either line is not a key.
func SameKey(a, b string) bool {
	keyA, errA := Split(a)
	keyB, errB := Split(b)
	return errA == nil && errB == nil && keyA.SameMaterial(keyB)
}

// FingerprintSHA256 returns the fingerprint that ssh-keygen -l prints.
func (k PublicKey) FingerprintSHA256() string {
	sum := sha256.Sum256(k.canonical())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// FingerprintMD5 returns the fingerprint that ssh-keygen -l -E md5 prints,
// without the prefix "MD5:".
func (k PublicKey) FingerprintMD5() string {
	sum := md5.Sum(k.canonical()) //nolint:gosec // See the import.
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
}

// canonical returns the bytes of the key as OpenSSH writes them. OpenSSH computes
// fingerprints from these bytes. They differ from blob if the program that wrote
// blob put unnecessary zeros before the numbers of the key.
func (k PublicKey) canonical() []byte {
	if k.parsed == nil {
		return k.blob
	}
	return k.parsed.Marshal()
}

// Bits returns the length of the key that ssh-keygen -l prints. It returns 0 if
// the key is damaged or its type is not supported here.
func (k PublicKey) Bits() int {
	crypto, ok := k.parsed.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	switch key := crypto.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		return key.N.BitLen()
	case ed25519.PublicKey:
		return 8 * len(key)
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize
	case *dsa.PublicKey:
		return key.P.BitLen()
	}
	return 0
}

// innerType returns the algorithm name inside the blob, or "" if the blob is too
// short. OpenSSH requires it to be the same as Type.
func (k PublicKey) innerType() string {
	var inner struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(k.blob, &inner); err != nil {
		return ""
	}
	return inner.Type
}
