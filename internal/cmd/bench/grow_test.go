package main

import (
	"encoding/json"
	"testing"
)

func TestGrow(t *testing.T) {
	t.Parallel()
	keys := shape{2, 2}.deployKeys("First")
	bitbucket := newBitbucket(2)
	first := bitbucket.AddDeployKey(workspace, keys[0].repository, keys[0].key, keys[0].label)
	values, err := addAll(bitbucket, keys)
	if err != nil {
		t.Fatal(err)
	}
	if got := countKeys(bitbucket); got != 4 {
		t.Errorf("Bitbucket has %d keys, want 4", got)
	}

	states := &stateStore{}
	states.states.Store("/x", []byte(`{"serial": 1, "resources": [{"name": "`+keys[0].name+`", "id": "acme/repository-0/10958984", `+
		`"key_id": 10958984, "key": "`+keys[0].key+`", "created_on": "`+first.CreatedOn+`"}]}`))
	if err := states.grow("/x", values); err != nil {
		t.Fatal(err)
	}
	var state struct {
		Serial    int
		Resources []struct {
			Name, ID, Key string
			KeyID         int64 `json:"key_id"`
		}
	}
	if err := json.Unmarshal(states.load("/x"), &state); err != nil {
		t.Fatal(err)
	}
	if state.Serial != 1 || len(state.Resources) != 4 {
		t.Fatalf("got %+v", state)
	}
	last := state.Resources[3]
	if last.Name != "repository-1-key-1" || last.ID != "acme/repository-1/10958987" || last.KeyID != 10958987 || last.Key != keys[3].key {
		t.Errorf("got %+v", last)
	}
	if err := states.grow("/absent", values); err == nil {
		t.Error("got no error for a missing state")
	}
	if err := states.grow("/x", values); err == nil || err.Error() != "the state has 4 resources, want 1" {
		t.Errorf("got error %v for a state of many resources", err)
	}
}
