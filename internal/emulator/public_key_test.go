package emulator_test

import (
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestPublicKeys(t *testing.T) {
	t.Parallel()
	type rsa struct {
		Type string
		E, N *big.Int
	}
	type dsa struct {
		Type       string
		P, Q, G, Y *big.Int
	}
	type ec struct {
		Type, Curve string
		Point       []byte
	}
	bits := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n-1) }
	one := big.NewInt(1)
	ed := publicKey(1)
	for name, test := range map[string]struct {
		key string
		ok  bool // ok reports whether Bitbucket accepts the key.
	}{
		"ed25519":                {ed, true},
		"rsa 2048":               {line("ssh-rsa", rsa{"ssh-rsa", big.NewInt(65537), bits(2048)}), true},
		"rsa 2047":               {line("ssh-rsa", rsa{"ssh-rsa", big.NewInt(65537), bits(2047)}), false},
		"dsa 1024":               {line("ssh-dss", dsa{"ssh-dss", bits(1024), one, one, one}), true},
		"dsa 512":                {line("ssh-dss", dsa{"ssh-dss", bits(512), one, one, one}), false},
		"ecdsa":                  {line("ecdsa-sha2-nistp256", ec{"ecdsa-sha2-nistp256", "nistp256", []byte{4}}), true},
		"different curve":        {line("ecdsa-sha2-nistp256", ec{"ecdsa-sha2-nistp521", "nistp521", []byte{4}}), false},
		"security key":           {line("sk-ssh-ed25519@openssh.com", ec{"sk-ssh-ed25519@openssh.com", "", nil}), false},
		"certificate":            {line("ssh-ed25519-cert-v01@openssh.com", ec{"ssh-ed25519-cert-v01@openssh.com", "", nil}), false},
		"different type inside":  {strings.Replace(ed, "ssh-ed25519", "ssh-rsa", 1), false},
		"changed last character": {ed[:len(ed)-1] + "A", true},
		"bad base64":             {ed[:40] + "!" + ed[41:], false},
		"type only":              {"ssh-ed25519", false},
		"blob too short":         {"ssh-ed25519 AAAA", false},
		"empty":                  {"", false},
		"two keys":               {ed + "\n" + publicKey(2), false},
		"options":                {"no-pty " + ed, false},
		"private key":            {"-----BEGIN OPENSSH PRIVATE KEY-----", false},
		"rsa without numbers":    {line("ssh-rsa", struct{ Type string }{ssh.KeyAlgoRSA}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			got := s.send(t, "POST", keys, input(t, test.key, ""))
			if test.ok {
				got.want(t, 200, object(t, s, 10958984, test.key, "", ""))
			} else {
				got.want(t, 400, keyInvalid)
			}
		})
	}
}
