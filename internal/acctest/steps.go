package acctest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// Step is one step of [Test]. Its fields have the names that terraform-plugin-testing
// gives them.
type Step struct {
	PreConfig         func()                  // PreConfig runs before the commands.
	Config            string                  // Config is the whole configuration.
	PlanOnly          bool                    // PlanOnly expects an empty plan and applies nothing.
	Destroy           bool                    // Destroy destroys everything.
	ConfigPlanChecks  []plancheck.PlanCheck   // ConfigPlanChecks check the plan that is applied.
	ConfigStateChecks []statecheck.StateCheck // ConfigStateChecks check the state after the apply.
	PostApplyFunc     func()                  // PostApplyFunc runs at the end of the step.
	ExpectError       *regexp.Regexp          // ExpectError is what a command must print when it fails.
}

// Test runs steps with the provider in this process. After each apply, the plan must be
// empty.
//
// It runs two commands for a step, or four if the step has plan checks. The runner of
// terraform-plugin-testing runs nine: it plans twice after each apply, and also starts the
// CLI to read each plan and each state. Starting the CLI takes nearly all the time of these
// tests.
func Test(t *testing.T, steps ...Step) {
	t.Helper()
	for _, step := range steps {
		skipIfUnsupported(t, step.Config)
	}
	terraform := NewCLI(t)
	for i, step := range steps {
		if step.PreConfig != nil {
			step.PreConfig()
		}
		terraform.Write(t, step.Config)
		switch out, err := terraform.step(t, step); {
		case err != nil && step.ExpectError == nil:
			t.Fatalf("step %d: %s: %s", i+1, err, out)
		case err == nil && step.ExpectError != nil:
			t.Fatalf("step %d succeeded, want the error %s", i+1, step.ExpectError)
		case err != nil && !step.ExpectError.MatchString(out):
			t.Fatalf("step %d: want the error %s, got %s: %s", i+1, step.ExpectError, err, out)
		}
		if step.PostApplyFunc != nil && step.ExpectError == nil {
			step.PostApplyFunc()
		}
	}
}

// step runs the commands of a step. If one fails, it returns what the command printed.
func (c *CLI) step(t *testing.T, step Step) (string, error) {
	t.Helper()
	if step.Destroy {
		return c.result(t, "destroy", "-auto-approve")
	}
	if !step.PlanOnly {
		if out, err := c.apply(t, step.ConfigPlanChecks); err != nil {
			return out, err
		}
		if err := c.checkState(t, step.ConfigStateChecks); err != nil {
			return "", err
		}
	}
	return c.result(t, "plan", "-detailed-exitcode")
}

// result is Run with an error.
func (c *CLI) result(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, ok := c.Run(t, args...)
	if !ok {
		return out, fmt.Errorf("%v failed", args)
	}
	return out, nil
}

// apply applies the configuration. It saves the plan before only if there are checks.
func (c *CLI) apply(t *testing.T, checks []plancheck.PlanCheck) (string, error) {
	t.Helper()
	if len(checks) == 0 {
		return c.result(t, "apply", "-auto-approve")
	}
	if out, err := c.result(t, "plan", "-out=plan"); err != nil {
		return out, err
	}
	var plan tfjson.Plan
	if err := json.Unmarshal(c.show(t, "plan"), &plan); err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		var resp plancheck.CheckPlanResponse
		if check.CheckPlan(t.Context(), plancheck.CheckPlanRequest{Plan: &plan}, &resp); resp.Error != nil {
			return "", resp.Error
		}
	}
	return c.result(t, "apply", "plan")
}

// show returns a plan as JSON.
func (c *CLI) show(t *testing.T, plan string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), Engine.Path, "show", "-json", plan)
	command.Dir, command.Env = c.Dir, c.Env
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkState runs checks on the file of the state.
func (c *CLI) checkState(t *testing.T, checks []statecheck.StateCheck) error {
	t.Helper()
	if len(checks) == 0 {
		return nil
	}
	state := c.stateValues(t)
	var failed []error
	for _, check := range checks {
		var resp statecheck.CheckStateResponse
		check.CheckState(t.Context(), statecheck.CheckStateRequest{State: state}, &resp)
		failed = append(failed, resp.Error)
	}
	return errors.Join(failed...)
}
