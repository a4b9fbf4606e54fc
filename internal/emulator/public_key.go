package emulator

import (
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// acceptedTypes are the key types that Bitbucket accepts.
var acceptedTypes = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256,
	ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSA,
	ssh.InsecureKeyAlgoDSA,
}

// splitKey splits a key line into its material, "type base64", and its comment. The
// comment is the rest of the line and may contain spaces.
func splitKey(line string) (material, comment string) {
	keyType, rest := cutSpace(line)
	blob, comment := cutSpace(rest)
	return strings.TrimSpace(keyType + " " + blob), strings.TrimSpace(comment)
}

// cutSpace returns the first word of text and the rest of text.
func cutSpace(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// parsePublicKey splits a key line and reports whether Bitbucket accepts it. It
// checks only the type of the key, and the size of RSA and DSA keys: the live API
// accepted a key whose last character was changed.
func parsePublicKey(line string) (material, comment string, ok bool) {
	if strings.ContainsAny(strings.TrimSpace(line), "\r\n") {
		return "", "", false
	}
	material, comment = splitKey(line)
	keyType, encoded, _ := strings.Cut(material, " ")
	if !slices.Contains(acceptedTypes, keyType) {
		return "", "", false
	}
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return material, comment, acceptedBlob(keyType, blob)
}

// acceptedBlob reports whether the decoded base64 text contains keyType, and whether
// an RSA or DSA key is long enough.
func acceptedBlob(keyType string, blob []byte) bool {
	var inner struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(blob, &inner); err != nil || inner.Type != keyType {
		return false
	}
	switch keyType {
	case ssh.KeyAlgoRSA:
		var numbers struct {
			E, N *big.Int
			Rest []byte `ssh:"rest"`
		}
		err := ssh.Unmarshal(inner.Rest, &numbers)
		return err == nil && numbers.N.BitLen() >= 2048
	case ssh.InsecureKeyAlgoDSA:
		var numbers struct {
			P    *big.Int
			Rest []byte `ssh:"rest"`
		}
		err := ssh.Unmarshal(inner.Rest, &numbers)
		return err == nil && numbers.P.BitLen() >= 1024
	}
	return true
}
