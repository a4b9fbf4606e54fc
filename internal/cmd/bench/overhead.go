package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// overhead compares a plan of this provider with the same plan of the provider in the folder
// floor, which does nothing. The plan has no changes, and Bitbucket has no latency.
type overhead struct {
	Date         time.Time `json:"date"`
	Repositories int       `json:"repositories"`
	KeysInEach   int       `json:"keys_in_each"`
	Turns        []turn    `json:"turns"`
}

// turn is one plan of each provider. The plans of one turn run directly one after the other,
// because the load of the machine changes with time.
type turn struct {
	// Floor is the plan of the provider that does nothing. By default, terraform-plugin-go
	// writes several log lines for each call. Silent is the same plan without logs.
	Floor  *usage `json:"floor"`
	Silent *usage `json:"silent_floor"`
	Plan   *usage `json:"plan"`
}

// measureOverhead plans the keys of a shape with each provider in turns.
func (b *bench) measureOverhead(ctx context.Context, s shape, turns int) (*overhead, error) {
	keys := s.deployKeys("Deployment")
	m := measurement{bench: b, ctx: ctx, shape: s}
	m.addKeys(keys)
	silent := b.floor
	silent.environment = append(slices.Clone(silent.environment), "TF_LOG_SDK=OFF", "TF_LOG_SDK_PROTO=OFF")
	configuration := keysAt(b.baseURL, keys)
	measured := &overhead{Date: time.Now().UTC().Truncate(time.Second), Repositories: s.repositories, KeysInEach: s.keys}
	for range turns {
		measured.Turns = append(measured.Turns, turn{
			Floor:  m.step("plan of the provider that does nothing", b.floor, configuration, emptyPlan),
			Silent: m.step("the same without logs", silent, configuration, emptyPlan),
			Plan:   m.step("plan", b.provider, configuration, emptyPlan),
		})
	}
	b.states.remove(keysState)
	b.removeAll()
	return measured, m.err
}

func (o *overhead) shape() shape { return shape{o.Repositories, o.KeysInEach} }

// ratios returns two medians of all turns: the ratio of this provider to the provider that does
// nothing, and the ratio to that provider without logs.
func (o *overhead) ratios(of func(*usage) float64) (toFloor, toSilent float64) {
	var floors, silents []float64
	for _, t := range o.Turns {
		floors, silents = append(floors, of(t.Plan)/of(t.Floor)), append(silents, of(t.Plan)/of(t.Silent))
	}
	return median(floors), median(silents)
}

// String describes the ratios of the processor time, which depends less than the wall time on
// the load of the machine.
func (o *overhead) String() string {
	toFloor, toSilent := o.ratios(func(u *usage) float64 { return u.CPUSeconds })
	return fmt.Sprintf("A plan of %s keys takes %.2f times the processor time of a provider that does nothing, or %.2f times if that provider writes no logs.",
		thousands(o.shape().total()), toFloor, toSilent)
}

// table describes all ratios.
func (o *overhead) table() string {
	toFloor, toSilent := o.ratios(func(u *usage) float64 { return u.Seconds })
	return fmt.Sprintf(`%v
In wall time, the ratios are %.2f and %.2f. They depend on what else the machine does. All ratios are medians of %d turns
without latency, on %s. The provider that does nothing uses only Terraform's protocol. It has the same schema
for a key, and returns each state as it receives it.
`, o, toFloor, toSilent, len(o.Turns), o.Date.Format("2 January 2006"))
}

// median sorts numbers and returns the number in the middle. If two numbers are in the middle,
// it returns the higher number.
func median[T cmp.Ordered](numbers []T) T {
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
