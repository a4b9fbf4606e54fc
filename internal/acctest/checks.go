package acctest

import (
	"context"
	"fmt"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// Planned checks that the plan has this action, and that exactly these attributes are
// unknown until apply.
func (p Parent) Planned(action plancheck.ResourceActionType, unknown ...string) []plancheck.PlanCheck {
	return []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(p.Address(), action),
		exactlyUnknown{p.Address(), unknown},
	}
}

// Unknown returns the attributes that are unknown before a key exists, in addition to more.
func (p Parent) Unknown(more ...string) []string {
	return append(more, "created_on", "id", "key_id", p.Kind+"_uuid")
}

// PlannedChange checks the plan for a change of label or comment. Bitbucket cannot update
// the keys of projects, so their plan is a replacement.
func (p Parent) PlannedChange(unknown ...string) []plancheck.PlanCheck {
	if p.IsProject() {
		return p.Planned(plancheck.ResourceActionReplace, p.Unknown(unknown...)...)
	}
	return p.Planned(plancheck.ResourceActionUpdate, unknown...)
}

// SentChange lists the requests that change the label or the comment of the first key.
func (p Parent) SentChange() []string {
	if p.IsProject() {
		return p.SentReplacement()
	}
	return []string{"PUT " + p.FirstKey() + " 200"}
}

// SentReplacement lists the requests that replace the first key.
func (p Parent) SentReplacement() []string {
	return []string{"DELETE " + p.FirstKey() + " 204", "POST " + p.Collection() + " 200"}
}

// exactlyUnknown checks which attributes of a resource are unknown in a plan.
type exactlyUnknown struct {
	address string
	want    []string
}

// CheckPlan implements plancheck.PlanCheck.
func (e exactlyUnknown) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	i := slices.IndexFunc(req.Plan.ResourceChanges, func(c *tfjson.ResourceChange) bool { return c.Address == e.address })
	if i < 0 {
		resp.Error = fmt.Errorf("the plan has no %s", e.address)
		return
	}
	var got []string
	if attributes, ok := req.Plan.ResourceChanges[i].Change.AfterUnknown.(map[string]any); ok {
		for name, unknown := range attributes {
			if unknown == true {
				got = append(got, name)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(e.want))) {
		resp.Error = fmt.Errorf("known after apply: %v, want %v", got, e.want)
	}
}

// Has checks that attributes have these values in the state.
func (p Parent) Has(values map[string]string) []statecheck.StateCheck {
	var checks []statecheck.StateCheck
	for name, value := range values {
		checks = append(checks, statecheck.ExpectKnownValue(p.Address(), tfjsonpath.New(name), knownvalue.StringExact(value)))
	}
	return checks
}
