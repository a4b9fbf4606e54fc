package sshkey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseHostKeys returns the host keys in the lines of a known_hosts file, sorted and without
// repetitions. Each line must be a plain line for this one host: a line with a marker, with
// a hashed or a second name, or with a damaged key is an error. So is a text without a line.
// A wrong host key would let another server pass for the host, so ParseHostKeys leaves out
// nothing but empty lines and comments. Its errors contain no part of the text.
func ParseHostKeys(text, host string) ([]PublicKey, error) {
	var keys []PublicKey
	found := map[string]bool{} // The fingerprints of keys.
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line = strings.Trim(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), " \t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseHostKey(line, host)
		if err != nil {
			return nil, fmt.Errorf("line %d %w", number, err)
		}
		if fingerprint := key.FingerprintSHA256(); !found[fingerprint] {
			found[fingerprint] = true
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no host key")
	}
	slices.SortFunc(keys, func(a, b PublicKey) int { return strings.Compare(a.String(), b.String()) })
	return keys, nil
}

// parseHostKey returns the key in one line.
func parseHostKey(line, host string) (PublicKey, error) {
	if strings.ContainsFunc(line, isControl) {
		return PublicKey{}, errors.New("has control or invisible characters")
	}
	names, rest := cutSpace(line)
	switch {
	case strings.HasPrefix(names, "@"):
		return PublicKey{}, errors.New("has a marker, such as @revoked or @cert-authority")
	case names != host:
		return PublicKey{}, errors.New("is not for " + host + " alone")
	}
	keyType, rest := cutSpace(rest)
	encoded, comment := cutSpace(rest)
	key, problem := Parse(keyType + " " + encoded)
	switch {
	case problem != nil:
		return PublicKey{}, fmt.Errorf("has no key that can be used: %s", strings.ToLower(problem.Summary))
	case key.Doubt() != "" || key.Refusal() != "":
		return PublicKey{}, errors.New("has a key that is not Ed25519, ECDSA, or RSA of 2048 bits and more")
	case holdsHostKey(comment):
		return PublicKey{}, errors.New("has a second host key after the first")
	}
	return key, nil
}
