// Package sshkey reads OpenSSH public keys the way Bitbucket does: a line
// "type base64 comment", of which type and base64 are the key and the rest is
// a note. It knows nothing of Terraform or of Bitbucket's API.
package sshkey

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // Old keys are of this kind.
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // The MD5 fingerprint is what older tools print; nothing is protected by it.
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// PublicKey is one line of OpenSSH public key text, taken apart.
type PublicKey struct {
	// Type is the algorithm name as written, for example "ssh-ed25519".
	Type string
	// Comment is the rest of the line, without white space around it.
	Comment string

	blob []byte
}

// ErrNotAKey says that text has no key type followed by base64.
var ErrNotAKey = errors.New("not an OpenSSH public key: expected a key type and base64 on one line, for example \"ssh-ed25519 AAAA… comment\"")

// Split takes a key line apart without judging the key inside it, since an
// existing key at Bitbucket may be one that [Check] would refuse. White space
// around the line and between its parts means nothing.
func Split(line string) (PublicKey, error) {
	line = strings.TrimSpace(line)
	keyType, rest := cutSpace(line)
	encoded, comment := cutSpace(rest)
	if keyType == "" || encoded == "" {
		return PublicKey{}, ErrNotAKey
	}
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return PublicKey{}, ErrNotAKey
	}
	return PublicKey{Type: keyType, Comment: comment, blob: blob}, nil
}

// cutSpace cuts s at its first run of white space.
func cutSpace(s string) (before, after string) {
	i := strings.IndexAny(s, " \t\r\n")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// String is the key without its comment, as Bitbucket returns it.
func (k PublicKey) String() string {
	return k.Type + " " + base64.StdEncoding.EncodeToString(k.blob)
}

// WithComment is the key line to send to Bitbucket, which takes a comment only
// as the tail of that line.
func (k PublicKey) WithComment(comment string) string {
	return strings.TrimSpace(k.String() + " " + comment)
}

// SameMaterial tells whether both are the same key, whatever their comments.
func (k PublicKey) SameMaterial(other PublicKey) bool {
	return k.Type == other.Type && (bytes.Equal(k.blob, other.blob) || bytes.Equal(k.canonical(), other.canonical()))
}

// SameKey tells whether two key lines are the same key, whatever their comments.
// What is no key is not the same as anything.
func SameKey(a, b string) bool {
	this, err := Split(a)
	that, otherErr := Split(b)
	return err == nil && otherErr == nil && this.SameMaterial(that)
}

// FingerprintSHA256 is the fingerprint as ssh-keygen -l prints it.
func (k PublicKey) FingerprintSHA256() string {
	sum := sha256.Sum256(k.canonical())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// FingerprintMD5 is the fingerprint as ssh-keygen -l -E md5 prints it, without
// the prefix "MD5:".
func (k PublicKey) FingerprintMD5() string {
	sum := md5.Sum(k.canonical()) //nolint:gosec // See the import.
	octets := make([]string, len(sum))
	for i, octet := range sum {
		octets[i] = hex.EncodeToString([]byte{octet})
	}
	return strings.Join(octets, ":")
}

// canonical is the key as OpenSSH writes it, which is what it takes fingerprints
// of: other programs have put needless zeros in front of the numbers.
func (k PublicKey) canonical() []byte {
	parsed, err := ssh.ParsePublicKey(k.blob)
	if err != nil {
		return k.blob
	}
	return parsed.Marshal()
}

// Bits is the length of the key as ssh-keygen -l prints it, 0 where it cannot be
// known: of a damaged key, and of a type that is not known here.
func (k PublicKey) Bits() int {
	parsed, err := ssh.ParsePublicKey(k.blob)
	if err != nil {
		return 0
	}
	crypto, ok := parsed.(ssh.CryptoPublicKey)
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

// innerType is the algorithm name inside the blob, which OpenSSH requires to
// be the one in front of it.
func (k PublicKey) innerType() string {
	if len(k.blob) < 4 {
		return ""
	}
	size, rest := binary.BigEndian.Uint32(k.blob), k.blob[4:]
	if int64(size) > int64(len(rest)) {
		return ""
	}
	return string(rest[:size])
}
