package acceptance

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Each fault of the matrix, once and for the whole run. The run has the host keys, or it
// fails and names the cause.
func TestSSHHostKeys_faults(t *testing.T) {
	t.Parallel()
	for _, played := range playedFaults {
		if played.refuse { // No server listens, so nothing concerns this request alone.
			continue
		}
		for _, once := range []bool{true, false} {
			name := played.name + ", for the whole run"
			if once {
				name = played.name + ", once"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				server := acctest.NewServerWith(t, f, map[string]string{"max_retries": "1", "max_rate_limit_wait": "2s", "request_timeout": "2s"})
				fault := played.fault
				if once {
					fault.Times = 1
				}
				f.Inject(fault)
				attributes, diagnostics := server.ReadAttributes(t.Context(), t, "bitbucket_ssh_host_keys", nil)
				out, ok := acctest.Reported(diagnostics), !acctest.HasError(diagnostics)
				if want := played.harmless || once && played.retried; ok != want {
					t.Fatalf("success is %t: %s", ok, out)
				}
				if ok {
					if want := tftypes.NewValue(tftypes.String, emulator.HostKeys); !attributes["known_hosts"].Equal(want) {
						t.Errorf("got %s", attributes["known_hosts"])
					}
					return
				}
				cause := strings.ReplaceAll(played.cause, "JSON", "not a list of host keys") // The reply has no JSON.
				if !regexp.MustCompile(cause).MatchString(out) {
					t.Errorf("the error does not match %q: %s", cause, out)
				}
				acctest.Contains(t, out, "Unable to read SSH host keys", "read the host keys of Bitbucket's SSH server at "+f.URL+"/site/ssh", "GET /site/ssh")
			})
		}
	}
}

// A run that fails writes no value, and the next run has the host keys.
func TestAccSSHHostKeys_nextRun(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	f.Inject(emulator.TruncatedJSON())
	terraform.Write(t, f.Config(acctest.DataHostKeys))
	expectNoHostKeys(t, terraform, terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to read SSH host keys"))
	f.ClearFaults()
	terraform.MustRun(t, "apply", "-auto-approve")
	acctest.Contains(t, terraform.Output(t, "known_hosts"), inJSON("", emulator.HostKeys))
}

// A hostile reply is an error, and none of it is printed or stored.
func TestAccSSHHostKeys_hostileReplies(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	line := "bitbucket.org " + key + "\n"
	for name, tc := range map[string]struct{ body, want string }{
		"log-in page":    {"<html><title>Log in</title>\n" + line, `an HTML page with the title "Log in"`},
		"another host":   {emulator.HostKeys + "github.com " + key, "line 4 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"two hosts":      {"bitbucket.org,github.com " + key, "line 1 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"another name":   {"ssh.bitbucket.org,altssh.bitbucket.org " + key, "line 1 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"authority":      {"@cert-authority * " + key, "line 1 has a marker"},
		"half a line":    {line[:len(line)-12], "line 1 has no key that can be used"},
		"commands":       {line + "$(touch /tmp/harm) `id`\n", "line 2 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"end of heredoc": {line + "EOF\n", "line 2 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"template":       {line + "${file(\"/etc/passwd\")}\n", "line 2 has a name other than bitbucket.org and ssh.bitbucket.org"},
		"controls":       {line[:len(line)-1] + " \x1b[2J\x1b]0;title\a\u202e\n", "line 1 has control or invisible characters"},
		"null bytes":     {strings.Repeat("\x00", 1000), "an empty reply"},
		"many keys":      {strings.Repeat(line, 1000), "over 64 kB"},
		"endless":        {strings.Repeat("# no end\n", 2<<20), "over 10 MB"},
		"private key":    {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n", "line 1 has a name other than bitbucket.org and ssh.bitbucket.org"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			f.SetHostKeys(tc.body)
			out := acctest.NewConfiguredServer(t, f).ReadData(t, "bitbucket_ssh_host_keys", nil)
			acctest.Contains(t, out, "Error: Unable to read SSH host keys", tc.want, "Open the address in a browser")
			if strings.ContainsAny(out, "\x1b\a\u202e") || strings.Contains(out, strings.Fields(key)[1][:24]) || len(out) > 5_000 {
				t.Errorf("%d bytes were printed: %.5000q", len(out), out)
			}
			if sent := f.Sent(); len(sent) != 1 {
				t.Errorf("sent %q", sent)
			}
			if name == "controls" { // The terminal and the state stay clean too.
				terraform := acctest.NewCLI(t)
				terraform.Write(t, f.Config(acctest.DataHostKeys))
				out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Unable to read SSH host keys", tc.want)
				expectNoHostKeys(t, terraform, out)
				if strings.ContainsAny(out, "\x1b\a\u202e") {
					t.Errorf("control characters were printed: %q", out)
				}
			}
		})
	}
}

// expectNoHostKeys fails the test if the run has an output.
func expectNoHostKeys(t *testing.T, terraform *acctest.CLI, out string) {
	t.Helper()
	if outputs, ok := terraform.Run(t, "output"); !ok || strings.Contains(outputs, "known_hosts") || strings.Contains(out, "panic") {
		t.Errorf("the failed run has outputs: %s\n%s", outputs, out)
	}
}
