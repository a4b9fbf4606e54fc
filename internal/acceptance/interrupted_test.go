//go:build unix

package acceptance

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// started runs a command until Bitbucket has got a request of this method, and
// sends it a signal then.
func started(t *testing.T, c *acctest.CLI, f *acctest.Fake, method string, signal syscall.Signal, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.Dir, c.Env, &out, &out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	arrived := func() bool {
		for _, request := range f.Requests() {
			if request.Method == method {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(time.Minute); !arrived() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	// A terminal signals the provider too, as do systemd and a dying machine.
	if err := syscall.Kill(-command.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
	err := command.Wait()
	return out.String(), err
}

// Ctrl-C in the middle of a create waits for that one answer, also where it has
// to be found out, and begins nothing else.
func TestAccDeployKey_interruptedCreate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		signal syscall.Signal
		fault  emulator.Fault
	}{
		"answered":   {syscall.SIGINT, emulator.Fault{Method: "DELETE"}},
		"lost":       {syscall.SIGINT, emulator.Fault{Method: "POST", CarryOut: true, Times: 1, Status: 500}},
		"terminated": {syscall.SIGTERM, emulator.Fault{Method: "DELETE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.signal == syscall.SIGTERM {
				acctest.Needs(t, terraformcli.GroupSignals)
			}
			f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
			terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
			f.Inject(tc.fault)
			f.SetLatency(2 * time.Second)
			if out, err := started(t, terraform, f, "POST", tc.signal, "apply", "-auto-approve"); err == nil || !strings.Contains(out, "nterrupt") {
				t.Errorf("it was not interrupted: %v, %s", err, out)
			}
			if writes := f.Writes(); len(writes) != 1 {
				t.Errorf("sent %v", writes)
			}
			f.SetLatency(0)
			f.ClearFaults()
			terraform.MustRun(t, "plan", "-detailed-exitcode")
		})
	}
}

// Ctrl-C does not wait for the rate limit, nor does it start anything new.
func TestAccDeployKey_interruptedWait(t *testing.T) {
	t.Parallel()
	m := newMany(t, acctest.Website, 5, 1)
	m.exist(t)
	limited := emulator.RateLimited()
	limited.Header = limited.Header.Clone()
	limited.Header.Set("Retry-After", "300")
	m.Inject(limited)
	begun := time.Now()
	if out, err := started(t, m.terraform, m.Fake, "GET", syscall.SIGINT, "plan"); err == nil || time.Since(begun) > 5*time.Minute {
		t.Errorf("the plan ended with %v after %s: want an error at once: %s", err, time.Since(begun), out)
	}
	if sent := m.Sent(); len(sent) > 5 {
		t.Errorf("requests went on: %v", sent)
	}
}

// Nobody can read the answer of a run that was killed. The next one says which
// key is there, and adds no second one.
func TestAccDeployKey_killedCreate(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Hang: true, Times: 1})
	if _, err := started(t, terraform, f, "POST", syscall.SIGKILL, "apply", "-auto-approve"); err == nil {
		t.Error("it was not killed")
	}
	for deadline := time.Now().Add(time.Minute); len(f.DeployKeys("acme", "website")) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	terraform.Fails(t, []string{"apply", "-auto-approve", "-lock=false"}, "Unable to create deploy key", "terraform import bitbucket_deploy_key.NAME acme/website/10958984")
	terraform.MustRun(t, "import", "-lock=false", acctest.Address, "acme/website/10958984")
	terraform.MustRun(t, "plan", "-lock=false", "-detailed-exitcode")
	if keys := f.DeployKeys("acme", "website"); len(keys) != 1 {
		t.Errorf("there are %v", keys)
	}
}
