package sshkey

import (
	"slices"
	"strings"
	"testing"
)

const host = "bitbucket.org"

var hosts = []string{host, "ssh.bitbucket.org"}

// hostLine returns a line of known_hosts with the key of an OpenSSH line.
func hostLine(key string) string { return host + " " + strings.Join(strings.Fields(key)[:2], " ") }

func TestParseHostKeys(t *testing.T) {
	t.Parallel()
	ed, ec, rsa := hostLine(ed25519Line(t)), hostLine(ecdsaLine(t)), hostLine(rsaLine(t, 2048))
	all := strings.Join([]string{ec, ed, rsa}, "\n") + "\n"
	for name, text := range map[string]string{
		"sorted":               all,
		"other order":          rsa + "\n" + ed + "\n" + ec + "\n",
		"without last newline": strings.TrimSuffix(all, "\n"),
		"CRLF":                 strings.ReplaceAll(all, "\n", "\r\n"),
		"byte order mark":      "\ufeff" + all,
		"repeated":             all + ed + "\n" + all,
		"empty lines":          "\n\r\n" + strings.ReplaceAll(all, "\n", "\n \t\n\n"),
		"comments":             "# SSH host keys\n" + ed + " # added in May 2023\n" + rsa + " (RSA)\n#" + ed + "\n" + ec,
		"white space":          "  " + strings.ReplaceAll(all, " ", "\t \t"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectHostKeys(t, text, ec, ed, rsa)
		})
	}
}

// Each key has the hosts of its own lines, and no other.
func TestParseHostKeys_hosts(t *testing.T) {
	t.Parallel()
	ed, rsa := hostLine(ed25519Line(t)), hostLine(rsaLine(t, 2048))
	sshEd, sshRSA := "ssh."+ed, "ssh."+rsa
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"first alone":    {rsa + "\n" + ed, []string{ed, rsa}},
		"second alone":   {sshRSA + "\n" + sshEd, []string{sshEd, sshRSA}},
		"a line for one": {sshEd + "\n" + rsa + "\n" + ed + "\n" + sshRSA, []string{ed, rsa, sshEd, sshRSA}},
		"a line for two": {"bitbucket.org," + sshEd, []string{ed, sshEd}},
		"other order":    {"ssh.bitbucket.org," + ed, []string{ed, sshEd}},
		"host repeated":  {"bitbucket.org,bitbucket.org," + ed, []string{ed}},
		"key repeated":   {sshEd + "\nbitbucket.org," + sshEd + "\n" + ed, []string{ed, sshEd}},
		"different keys": {sshRSA + "\n" + ed, []string{ed, sshRSA}},
		"a third key":    {sshRSA + "\nbitbucket.org," + sshEd, []string{ed, sshEd, sshRSA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectHostKeys(t, tc.text, tc.want...)
		})
	}
}

// expectHostKeys fails the test unless the text has the keys of these lines.
func expectHostKeys(t *testing.T, text string, want ...string) {
	t.Helper()
	keys, err := ParseHostKeys(text, hosts...)
	var lines []string
	for _, key := range keys {
		lines = append(lines, key.String())
	}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v", lines, err)
	}
}

// Whatever else is in the text, no key of it is returned.
func TestParseHostKeys_refuses(t *testing.T) {
	t.Parallel()
	ed, rsa := hostLine(ed25519Line(t)), hostLine(rsaLine(t, 2048))
	key := strings.TrimPrefix(ed, host+" ")
	const other, unusable, control = "line 2 has a name other than bitbucket.org and ssh.bitbucket.org", "line 2 has no key that can be used: ", "line 2 has control or invisible characters"
	for name, tc := range map[string]struct{ line, want string }{
		"another host":      {"github.com " + key, other},
		"longer host":       {"bitbucket.org.example.com " + key, other},
		"longer subdomain":  {"ssh.bitbucket.org.example.com " + key, other},
		"other subdomain":   {"altssh.bitbucket.org " + key, other},
		"address alone":     {"104.192.141.1 " + key, other},
		"other case":        {"Bitbucket.org " + key, other},
		"with a port":       {"[bitbucket.org]:22 " + key, other},
		"two ports":         {"ssh.bitbucket.org,[altssh.bitbucket.org]:443 " + key, other},
		"with an address":   {"bitbucket.org,104.192.141.1 " + key, other},
		"with another host": {"github.com,bitbucket.org " + key, other},
		"both and another":  {"bitbucket.org,ssh.bitbucket.org,github.com " + key, other},
		"both and none":     {"bitbucket.org,ssh.bitbucket.org, " + key, other},
		"none and one":      {",bitbucket.org " + key, other},
		"space in names":    {"bitbucket.org, ssh.bitbucket.org " + key, other},
		"two names":         {"bitbucket.org ssh.bitbucket.org " + key, "line 2 has no key that can be used: "},
		"pattern":           {"*.bitbucket.org " + key, other},
		"every host":        {"* " + key, other},
		"negated":           {"!bitbucket.org " + key, other},
		"one negated":       {"bitbucket.org,!ssh.bitbucket.org " + key, other},
		"hashed":            {"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + key, other},
		"no host":           {key, other},
		"authorized_keys":   {key + " bitbucket.org", other},
		"HTML":              {"<html><head><title>Log in</title></head>", other},
		"JSON":              {`{"type": "error"}`, other},
		"in quotes":         {`"` + ed + `"`, other},
		"no-break space":    {"bitbucket.org\u00a0" + key, other},
		"certificate authority": {
			"@cert-authority " + ed, "line 2 has a marker",
		},
		"revoked":              {"@revoked " + ed, "line 2 has a marker"},
		"host alone":           {host, unusable},
		"type alone":           {host + " ssh-ed25519", unusable},
		"cut in the base64":    {ed[:len(ed)-9], unusable + "invalid base64"},
		"cut in the key":       {ed[:len(ed)-8], unusable + "damaged public key"},
		"long key cut":         {rsa[:len(rsa)-40], unusable},
		"longer key":           {rsa + "AAAA", unusable + "damaged public key"},
		"another type":         {strings.Replace(ed, "ssh-ed25519", "ssh-rsa", 1), unusable + "key type does not match"},
		"private key":          {host + " ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ", unusable + "private key given"},
		"future type":          {hostLine(encode("ssh-future", struct{ Name, Key string }{"ssh-future", "k"})), "line 2 has a key that is not Ed25519"},
		"DSA":                  {hostLine(dsaLine(t)), "line 2 has a key that is not Ed25519"},
		"short RSA":            {hostLine(rsaLine(t, 1024)), "line 2 has a key that is not Ed25519"},
		"two lines in one":     {ed + " " + rsa, "line 2 has a second host key"},
		"other in the comment": {ed + " github.com " + key, "line 2 has a second host key"},
		"carriage return":      {ed + "\r" + rsa, control},
		"escape sequence":      {ed + " \x1b[31mred", control},
		"invisible":            {ed + " \u200b", control},
		"not UTF-8":            {ed + " \xff", control},
		"two byte order marks": {"\ufeff" + ed, control},
		"null bytes":           {"\x00", control},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, after := range []string{"", "\n" + rsa + "\n"} {
				keys, err := ParseHostKeys(ed+"\n"+tc.line+after, hosts...)
				if keys != nil || err == nil || !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %d keys, %v", len(keys), err)
				}
			}
		})
	}
	for _, text := range []string{"", "\n\r\n", "# " + ed, "\ufeff"} {
		if keys, err := ParseHostKeys(text, hosts...); keys != nil || err == nil || err.Error() != "there is no host key" {
			t.Errorf("%q: got %d keys, %v", text, len(keys), err)
		}
	}
}
