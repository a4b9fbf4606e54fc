package sshkey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// HostKey is a public key of an SSH server, with one of the server's names.
type HostKey struct {
	PublicKey
	Host string
}

// String returns the key as a line of known_hosts.
func (k HostKey) String() string { return k.Host + " " + k.PublicKey.String() }

// ParseHostKeys returns the host keys in the lines of a known_hosts file, sorted and without
// repetitions. It returns a line with several hosts as one key for each host. It ignores only
// empty lines and comments.
//
// Anything else is an error, because a wrong host key would let a different server pass for
// the host: a marker, a hashed name, a name that is not in hosts, a damaged key, or a text
// without keys. The errors contain no part of the text.
func ParseHostKeys(text string, hosts ...string) ([]HostKey, error) {
	var keys []HostKey
	found := map[[2]string]bool{} // The hosts and fingerprints of keys.
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line = strings.Trim(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), " \t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		names, key, err := parseHostKey(line, hosts)
		if err != nil {
			return nil, fmt.Errorf("line %d %w", number, err)
		}
		for _, name := range names {
			if id := [2]string{name, key.FingerprintSHA256()}; !found[id] {
				found[id] = true
				keys = append(keys, HostKey{key, name})
			}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no host key")
	}
	slices.SortFunc(keys, func(a, b HostKey) int { return strings.Compare(a.String(), b.String()) })
	return keys, nil
}

// parseHostKey returns the names and the key in one line.
func parseHostKey(line string, hosts []string) ([]string, PublicKey, error) {
	if strings.ContainsFunc(line, isControl) {
		return nil, PublicKey{}, errors.New("has control or invisible characters")
	}
	first, rest := cutSpace(line)
	names := strings.Split(first, ",")
	isOther := func(name string) bool { return !slices.Contains(hosts, name) }
	switch {
	case strings.HasPrefix(first, "@"):
		return nil, PublicKey{}, errors.New("has a marker, such as @revoked or @cert-authority")
	case slices.ContainsFunc(names, isOther):
		return nil, PublicKey{}, errors.New("has a name other than " + strings.Join(hosts, " and "))
	}
	keyType, rest := cutSpace(rest)
	encoded, comment := cutSpace(rest)
	key, problem := Parse(keyType + " " + encoded)
	switch {
	case problem != nil:
		return nil, PublicKey{}, fmt.Errorf("has no key that can be used: %s", strings.ToLower(problem.Summary))
	case key.Doubt() != "" || key.Refusal() != "":
		return nil, PublicKey{}, errors.New("has a key that is not Ed25519, ECDSA, or RSA of 2048 bits and more")
	case holdsHostKey(comment):
		return nil, PublicKey{}, errors.New("has a second host key after the first")
	}
	return names, key, nil
}
