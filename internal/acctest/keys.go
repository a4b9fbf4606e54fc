package acctest

import (
	"crypto/dsa" //nolint:staticcheck // Some old keys are DSA keys.
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// NewKey returns a new public key without a comment.
func NewKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return AuthorizedKey(t, public)
}

// ShortRSA returns an RSA key of 1024 bits, which Bitbucket does not accept.
func ShortRSA(t *testing.T) string {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), 1023)
	return AuthorizedKey(t, &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
}

// DSAKey returns a DSA key, which Bitbucket may not accept.
func DSAKey(t *testing.T) string {
	t.Helper()
	return AuthorizedKey(t, &dsa.PublicKey{
		Parameters: dsa.Parameters{P: new(big.Int).Lsh(big.NewInt(1), 1023), Q: new(big.Int).Lsh(big.NewInt(1), 159), G: big.NewInt(2)},
		Y:          big.NewInt(4),
	})
}

// AuthorizedKey returns a public key in the format of an authorized_keys file.
func AuthorizedKey(t *testing.T, public any) string {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
