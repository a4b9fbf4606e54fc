package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// grow makes the state of one resource one of many. Terraform copies the whole
// state for each resource that it creates, so that 10,000 take it a quarter of
// an hour. names has what a resource is known by, the one that exists first:
// wherever its state has one of those texts, the others have their own.
func (s *stateStore) grow(path string, names [][]string) error {
	var state map[string]json.RawMessage
	var resources []json.RawMessage
	if err := json.Unmarshal(s.load(path), &state); err != nil {
		return fmt.Errorf("the state of one resource: %w", err)
	}
	if err := json.Unmarshal(state["resources"], &resources); err != nil || len(resources) != 1 {
		return fmt.Errorf("the state has %d resources, expected was one (%w)", len(resources), err)
	}
	for _, other := range names[1:] {
		var pairs []string
		for i, name := range other {
			pairs = append(pairs, names[0][i], name)
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

// names are what a key of the configuration is known by. A longer text comes
// before those that it holds.
func (k deployKey) names() []string { return []string{k.name, k.repository, k.material()} }

// material is the key without its type and comment.
func (k deployKey) material() string { return strings.Fields(k.key)[1] }

// addAll adds keys behind Terraform's back, all but the first, which exists, and
// returns what each is known by in Terraform's state.
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
		all = append(all, append(key.names(), added[parsed.String()]...))
	}
	return all, nil
}
