package emulator

import (
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// acceptedTypes are the key types that Bitbucket lists.
var acceptedTypes = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256,
	ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSA,
	ssh.InsecureKeyAlgoDSA,
}

// splitKey separates the material of a public key from its comment, which is
// the rest of the line and may hold spaces.
func splitKey(line string) (material, comment string) {
	kind, rest := cutSpace(line)
	blob, comment := cutSpace(rest)
	return strings.TrimSpace(kind + " " + blob), strings.TrimSpace(comment)
}

// cutSpace splits off the first word.
func cutSpace(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// parsePublicKey splits a line and reports whether Bitbucket accepts it. Only
// the type and the size of RSA and DSA keys are looked at: the live API took a
// key whose last character was changed.
func parsePublicKey(line string) (material, comment string, ok bool) {
	if strings.ContainsAny(strings.TrimSpace(line), "\r\n") {
		return "", "", false
	}
	material, comment = splitKey(line)
	kind, encoded, _ := strings.Cut(material, " ")
	if !slices.Contains(acceptedTypes, kind) {
		return "", "", false
	}
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return material, comment, acceptedBlob(kind, blob)
}

// acceptedBlob checks the parts of blob that are not taken on trust.
func acceptedBlob(kind string, blob []byte) bool {
	var inner struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(blob, &inner); err != nil || inner.Type != kind {
		return false
	}
	switch kind {
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
