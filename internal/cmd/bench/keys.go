package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	workspace = "acme"
	username  = "bench@example.com"
	token     = "bench"
)

// shape is a number of repositories and a number of keys in each of them.
type shape struct{ repositories, keys int }

func (s shape) String() string { return fmt.Sprintf("%d×%d", s.repositories, s.keys) }

func (s shape) total() int { return s.repositories * s.keys }

// parseShapes parses a list like "10x10,100x10".
func parseShapes(text string) ([]shape, error) {
	var shapes []shape
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		s, err := parseShape(part)
		if err != nil {
			return nil, err
		}
		shapes = append(shapes, s)
	}
	return shapes, nil
}

func parseShape(text string) (shape, error) {
	repositories, keys, _ := strings.Cut(text, "x")
	r, err := strconv.Atoi(repositories)
	k, err2 := strconv.Atoi(keys)
	if err != nil || err2 != nil || r < 1 || k < 1 {
		return shape{}, fmt.Errorf("%q is not a shape like 100x10 (REPOSITORIESxKEYS)", text)
	}
	return shape{r, k}, nil
}

// deployKey is one deploy key in the configuration.
type deployKey struct{ name, repository, key, label string }

// deployKeys returns the keys of a shape. Only the label of the first key varies.
func (s shape) deployKeys(firstLabel string) []deployKey {
	var all []deployKey
	for r := range s.repositories {
		for k := range s.keys {
			name := fmt.Sprintf("%s-key-%d", repository(r), k)
			all = append(all, deployKey{name: name, repository: repository(r), key: publicKey(name), label: "Deployment"})
		}
	}
	all[0].label = firstLabel
	return all
}

func repository(n int) string { return fmt.Sprintf("repository-%d", n) }

// publicKey returns an Ed25519 public key. Its private key does not exist.
func publicKey(name string) string {
	point := sha256.Sum256([]byte(name))
	blob := ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, point[:]})
	return ssh.KeyAlgoED25519 + " " + base64.StdEncoding.EncodeToString(blob) + " " + name + "@example.com"
}

// newBitbucket returns an emulated Bitbucket with this number of empty
// repositories.
func newBitbucket(repositories int) *emulator.Emulator {
	acme := emulator.Workspace{Slug: workspace}
	for r := range repositories {
		acme.Repositories = append(acme.Repositories, emulator.Repository{Slug: repository(r)})
	}
	bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{acme}})
	bitbucket.AllowBasic(username, token)
	return bitbucket
}

// countKeys counts the deploy keys of all repositories.
func countKeys(bitbucket *emulator.Emulator) int {
	n := 0
	for _, workspace := range bitbucket.Seed().Workspaces {
		for _, repository := range workspace.Repositories {
			n += len(repository.DeployKeys)
		}
	}
	return n
}
