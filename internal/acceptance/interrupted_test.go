//go:build unix

package acceptance

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// interrupt runs a command and sends it a signal as soon as condition returns true. When
// ctx ends, it kills the command.
func interrupt(ctx context.Context, t *testing.T, c *acctest.CLI, f *acctest.Fake, signal syscall.Signal, condition func() bool, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	command := exec.CommandContext(ctx, os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.Dir, c.Env, &out, &out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A terminal sends the signal to the provider too, as do systemd and a machine that
	// shuts down.
	signalAll := func(signal syscall.Signal) error { return syscall.Kill(-command.Process.Pid, signal) }
	command.Cancel = func() error { return signalAll(syscall.SIGKILL) }
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// A command that fails early never fulfills the condition.
	running, ended := context.WithCancel(ctx)
	exited := make(chan error, 1)
	go func() {
		defer ended()
		exited <- command.Wait()
	}()
	if err := f.Await(running, condition); err != nil {
		t.Fatalf("%v ended before the signal: %v, %s", args, <-exited, out.String())
	}
	if err := signalAll(signal); err != nil {
		t.Fatal(err)
	}
	err := <-exited
	return out.String(), err
}

// arrived returns the condition that a request with this method has arrived.
func arrived(f *acctest.Fake, method string) func() bool {
	return func() bool {
		for _, request := range f.Requests() {
			if request.Method == method {
				return true
			}
		}
		return false
	}
}

// Ctrl-C during a create waits for the answer to that one request. If the answer is lost,
// the provider still checks whether the key was added. It sends no other request.
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
			f, terraform := acctest.NewFake(t), acctest.NewBuiltCLI(t)
			terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
			f.Inject(tc.fault)
			// The answer must arrive after the signal has reached the other processes. The
			// test cannot observe when that happens, so it delays the answer.
			f.SetLatency(2 * time.Second)
			out, err := interrupt(t.Context(), t, terraform, f, tc.signal, arrived(f, "POST"), "apply", "-auto-approve")
			if err == nil || !strings.Contains(out, "nterrupt") {
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

// After Ctrl-C, the run does not wait for the rate limit and sends no more requests.
func TestAccDeployKey_interruptedWait(t *testing.T) {
	t.Parallel()
	m := newMany(t, acctest.Website, 5, 1)
	m.terraform.Env = acctest.NewBuiltCLI(t).Env // Terraform must also stop the provider.
	m.exist(t, 0)
	limited := emulator.RateLimited()
	limited.Header = limited.Header.Clone()
	limited.Header.Set("Retry-After", "300")
	m.Inject(limited)
	// A run that waits for the rate limit takes five minutes.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	out, err := interrupt(ctx, t, m.terraform, m.Fake, syscall.SIGINT, arrived(m.Fake, "GET"), "plan")
	if ctx.Err() != nil {
		t.Errorf("the plan waited for the rate limit: %s", out)
	}
	if err == nil || !strings.Contains(out, "nterrupt") {
		t.Errorf("the plan was not interrupted: %v, %s", err, out)
	}
	if sent := m.Sent(); len(sent) > 5 {
		t.Errorf("more requests were sent: %v", sent)
	}
}

// A run that was killed cannot read the answer to its POST. The next run names the
// key that exists, and adds no second one.
func TestAccDeployKey_killedCreate(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewBuiltCLI(t)
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	f.Inject(emulator.Fault{Method: "POST", CarryOut: true, Hang: true, Times: 1})
	added := func() bool { return len(f.DeployKeys("acme", "website")) == 1 }
	if _, err := interrupt(t.Context(), t, terraform, f, syscall.SIGKILL, added, "apply", "-auto-approve"); err == nil {
		t.Error("it was not killed")
	}
	terraform.Fails(t, []string{"apply", "-auto-approve", "-lock=false"}, "Unable to create deploy key", "terraform import bitbucket_deploy_key.NAME acme/website/10958984")
	terraform.MustRun(t, "import", "-lock=false", acctest.Address, "acme/website/10958984")
	terraform.MustRun(t, "plan", "-lock=false", "-detailed-exitcode")
	if keys := f.DeployKeys("acme", "website"); len(keys) != 1 {
		t.Errorf("Bitbucket has %v", keys)
	}
}

// If only Terraform is killed, the provider finishes the create and then exits.
func TestAccDeployKey_killedTerraform(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.GroupSignals)
	lost := emulator.Fault{Method: "POST", CarryOut: true, Times: 1, Status: 500}
	for name, tc := range map[string]struct {
		environment string
		fault       emulator.Fault
		then        syscall.Signal
		want        string
	}{
		"lost reply": {"TF_LOG=", lost, 0, "POST GET"},
		"logging":    {"TF_LOG=DEBUG", lost, 0, "POST GET"}, // Nobody reads the log any more.
		"terminated": {"TF_LOG=", lost, syscall.SIGTERM, "POST GET"},
		"no reply":   {"TF_LOG=", emulator.Fault{Method: "POST", Hang: true}, 0, "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, terraform := acctest.NewFake(t), acctest.NewBuiltCLI(t, tc.environment)
			terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `request_timeout = "1h"`))
			f.Inject(tc.fault)
			f.SetLatency(2 * time.Second) // The answer must arrive after Terraform has ended.

			// Terraform and the provider inherit one end of a pipe. The other end is closed when
			// both have ended.
			allEnded, inherited, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = allEnded.Close() }()
			command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), "apply", "-auto-approve", "-no-color")
			command.Dir, command.Env, command.ExtraFiles = terraform.Dir, terraform.Env, []*os.File{inherited}
			command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := errors.Join(command.Start(), inherited.Close()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }()
			if err := f.Await(t.Context(), arrived(f, "POST")); err != nil {
				t.Fatal(err)
			}
			if err := command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait()
			if tc.then != 0 {
				if err := syscall.Kill(-command.Process.Pid, tc.then); err != nil {
					t.Fatal(err)
				}
			}
			if err := allEnded.SetReadDeadline(time.Now().Add(transport.MaxGracePeriod + 15*time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := allEnded.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the provider is still running: %v", err)
			}
			var sent []string
			for _, request := range f.Requests() {
				sent = append(sent, request.Method)
			}
			if got := strings.Join(sent, " "); !strings.HasPrefix(got, tc.want) || len(f.Writes()) != 1 {
				t.Errorf("sent %s, want %s", got, tc.want)
			}
		})
	}
}
