package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// The hourly applies use this refresh_after, and this limit of requests in an hour.
const (
	hourlyRefreshAfter = 24 * time.Hour
	hourlyLimit        = 1000
)

// hourly has one apply for each hour, of a state with refresh_after. The applies change
// nothing.
type hourly struct {
	Repositories int     `json:"repositories"`
	Applies      []usage `json:"applies"`
	// OldestHours is the highest age of a key in the state after an apply.
	OldestHours float64 `json:"oldest_hours"`
}

// measureHourly applies one key on each repository each hour. Instead of waiting for an hour,
// it makes all times in the state older and resets the rate limit. It fails if a request is
// refused, or if a key in the state is older than refresh_after.
//
// One apply reads all keys before the first hour. This is the worst case, because all keys then
// have the same age.
func (b *bench) measureHourly(ctx context.Context, repositories, hours int, latency time.Duration) (*hourly, error) {
	s := shape{repositories, 1}
	keys, line := s.deployKeys("Deployment"), fmt.Sprintf("refresh_after = %q", hourlyRefreshAfter)
	m := measurement{bench: b, ctx: ctx, shape: s}
	m.addKeys(keys, line)
	// Now all keys have the time of the first key. Make them so old that one apply reads all keys.
	b.shift(&m, hourlyRefreshAfter)
	started := time.Now()
	m.step("apply that reads all keys", b.provider, keysAt(b.baseURL, keys, line), apply)
	m.at(latency)
	h := &hourly{Repositories: repositories}
	for hour := range hours {
		b.shift(&m, time.Hour-time.Since(started))
		started = time.Now()
		b.bitbucket.SetRateLimit(emulator.RateLimit{Requests: hourlyLimit})
		used := m.step(fmt.Sprintf("apply in hour %d", hour+1), b.provider, keysAt(b.baseURL, keys, line), apply)
		if m.err != nil {
			return nil, m.err
		}
		for _, request := range b.bitbucket.Requests() {
			if request.Status != http.StatusOK {
				return nil, fmt.Errorf("hour %d: %s %s got status %d", hour+1, request.Method, request.Path, request.Status)
			}
		}
		oldest := b.shift(&m, 0)
		if m.err == nil && oldest > hourlyRefreshAfter {
			m.err = fmt.Errorf("hour %d: a key in the state is %v old", hour+1, oldest)
		}
		h.Applies = append(h.Applies, *used)
		h.OldestHours = max(h.OldestHours, round(oldest.Hours(), 2))
	}
	b.bitbucket.RestoreRateLimit()
	b.states.remove(keysState)
	b.removeAll()
	return h, m.err
}

// most returns the requests of the apply with the most requests.
func (h *hourly) most() int {
	most := 0
	for _, used := range h.Applies {
		most = max(most, used.Requests)
	}
	return most
}

// String describes the state, without the times.
func (h *hourly) String() string {
	return fmt.Sprintf("%s repositories × 1 key, refresh_after = \"%.0fh\"", thousands(h.Repositories), hourlyRefreshAfter.Hours())
}

// shift makes the times in the state older, and returns the highest age.
func (b *bench) shift(m *measurement, by time.Duration) time.Duration {
	if m.err != nil {
		return 0
	}
	var oldest time.Duration
	oldest, m.err = b.states.shift(keysState, by)
	return oldest
}

// shift makes the times at which the provider has read the keys older, and returns the
// highest age. It fails if a key has no time.
func (s *stateStore) shift(path string, by time.Duration) (oldest time.Duration, err error) {
	var state map[string]json.RawMessage
	var resources []map[string]json.RawMessage
	if err := json.Unmarshal(s.load(path), &state); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(state["resources"], &resources); err != nil {
		return 0, err
	}
	now := time.Now()
	for _, resource := range resources {
		var instances []map[string]json.RawMessage
		if err := json.Unmarshal(resource["instances"], &instances); err != nil {
			return 0, err
		}
		for _, instance := range instances {
			read, private, err := shifted(instance["private"], by)
			if err != nil {
				return 0, fmt.Errorf("the time of %s: %w", resource["name"], err)
			}
			instance["private"], oldest = private, max(oldest, now.Sub(read))
		}
		if resource["instances"], err = json.Marshal(instances); err != nil {
			return 0, err
		}
	}
	if state["resources"], err = json.Marshal(resources); err != nil {
		return 0, err
	}
	content, err := json.Marshal(state)
	if err != nil {
		return 0, err
	}
	s.states.Store(path, content)
	return oldest, nil
}

// shifted makes the time in the private data of a resource older. It returns the older time and
// the new private data.
func shifted(private json.RawMessage, by time.Duration) (time.Time, json.RawMessage, error) {
	const name = "last_read" // As internal/provider stores it.
	var content []byte
	var values map[string][]byte
	var read struct {
		At    time.Time `json:"at"`
		Share float64   `json:"share"`
	}
	if err := json.Unmarshal(private, &content); err != nil {
		return read.At, nil, err
	}
	if err := json.Unmarshal(content, &values); err != nil {
		return read.At, nil, err
	}
	if err := json.Unmarshal(values[name], &read); err != nil {
		return read.At, nil, err
	}
	read.At = read.At.Add(-by).Truncate(time.Millisecond)
	var err error
	if values[name], err = json.Marshal(read); err != nil {
		return read.At, nil, err
	}
	if content, err = json.Marshal(values); err != nil {
		return read.At, nil, err
	}
	private, err = json.Marshal(content)
	return read.At, private, err
}
