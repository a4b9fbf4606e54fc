package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// overhead compares a plan without changes and without latency with the same plan of a
// provider that does nothing, which is in the folder floor.
type overhead struct {
	Repositories int `json:"repositories"`
	KeysInEach   int `json:"keys_in_each"`
	// Turns has the plans in the order in which they ran: first the plan of the provider that
	// does nothing, then the plan of this provider, and so on. The load of the machine changes
	// with time, so only the two plans of a turn can be compared.
	Turns []turn `json:"turns"`
}

// turn is a plan of each provider, one after the other.
type turn struct {
	Floor *usage `json:"floor"`
	Plan  *usage `json:"plan"`
}

// measureOverhead plans the keys of a shape with both providers in turns.
func (b *bench) measureOverhead(ctx context.Context, s shape, turns int) (*overhead, error) {
	keys := s.deployKeys("Deployment")
	m := measurement{bench: b, ctx: ctx, shape: s}
	m.addKeys(keys)
	configuration := keysAt(b.baseURL, keys)
	measured := &overhead{Repositories: s.repositories, KeysInEach: s.keys}
	for range turns {
		measured.Turns = append(measured.Turns, turn{
			Floor: m.step("plan of the provider that does nothing", b.floor, configuration, emptyPlan),
			Plan:  m.step("plan", b.provider, configuration, emptyPlan),
		})
	}
	b.states.remove(keysState)
	b.removeAll()
	return measured, m.err
}

func (o *overhead) shape() shape { return shape{o.Repositories, o.KeysInEach} }

// ratio returns the median of the ratios of all turns. An odd number of turns makes it a
// measured ratio.
func (o *overhead) ratio(of func(*usage) float64) float64 {
	var ratios []float64
	for _, t := range o.Turns {
		ratios = append(ratios, of(t.Plan)/of(t.Floor))
	}
	return median(ratios)
}

// String describes the ratios.
func (o *overhead) String() string {
	return fmt.Sprintf("Without latency, a plan of %s keys takes %.2f times as long as with a provider that does nothing, and %.2f times the processor time",
		thousands(o.shape().total()), o.ratio(func(u *usage) float64 { return u.Seconds }), o.ratio(func(u *usage) float64 { return u.CPUSeconds }))
}

func median[T cmp.Ordered](numbers []T) T {
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
