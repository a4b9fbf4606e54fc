package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// grow turns the state of one resource into a state of many. Terraform would
// need a quarter of an hour for 10,000 resources, because it copies the whole
// state for each resource that it creates.
//
// values has one list for each resource, beginning with the existing resource.
// grow copies the existing resource and replaces each of its values with the
// value at the same index.
func (s *stateStore) grow(path string, values [][]string) error {
	var state map[string]json.RawMessage
	var resources []json.RawMessage
	if err := json.Unmarshal(s.load(path), &state); err != nil {
		return fmt.Errorf("the state of one resource: %w", err)
	}
	if err := json.Unmarshal(state["resources"], &resources); err != nil {
		return fmt.Errorf("the resources of the state: %w", err)
	}
	if len(resources) != 1 {
		return fmt.Errorf("the state has %d resources, want 1", len(resources))
	}
	for _, other := range values[1:] {
		var pairs []string
		for i, value := range other {
			pairs = append(pairs, values[0][i], value)
		}
		resources = append(resources, json.RawMessage(strings.NewReplacer(pairs...).Replace(string(resources[0]))))
	}
	var err error
	if state["resources"], err = json.Marshal(resources); err != nil {
		return err
	}
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	s.states.Store(path, content)
	return nil
}

// values returns the values that grow must replace for each key. A value comes
// before the values that it contains, so that it is replaced first.
func (k deployKey) values() []string { return []string{k.name, k.repository, k.material()} }

// material returns the base64 part of the key.
func (k deployKey) material() string { return strings.Fields(k.key)[1] }

// addAll adds all keys but the first, which exists already, directly to
// Bitbucket. It returns the values of each key in the state, for grow.
func addAll(bitbucket *emulator.Emulator, keys []deployKey) ([][]string, error) {
	for _, key := range keys[1:] {
		bitbucket.AddDeployKey(workspace, key.repository, key.key, key.label)
	}
	added := map[string][]string{}
	for _, repository := range bitbucket.Seed().Workspaces[0].Repositories {
		for _, key := range repository.DeployKeys {
			parsed, err := sshkey.Split(key.Key)
			if err != nil {
				return nil, err
			}
			added[key.Key] = []string{
				strconv.FormatInt(key.ID, 10), key.CreatedOn, repository.UUID, parsed.FingerprintSHA256(), parsed.FingerprintMD5(),
			}
		}
	}
	var all [][]string
	for _, key := range keys {
		parsed, err := sshkey.Split(key.key)
		if err != nil {
			return nil, err
		}
		all = append(all, append(key.values(), added[parsed.String()]...))
	}
	return all, nil
}
