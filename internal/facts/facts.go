// Package facts asks a Bitbucket what its documentation leaves open, and compares the answers
// with those of the emulator. The questions and the emulator's answers are data, so that a
// mistake in the emulator shows as a difference too.
package facts

import (
	"bytes"
	_ "embed" // facts.json
	"encoding/json"
	"fmt"
)

//go:embed facts.json
var stored []byte

// Fact is a question about Bitbucket's API and what is known about it.
type Fact struct {
	ID string `json:"id"`
	// Question is for people.
	Question string `json:"question"`
	// Documented is what Atlassian documents, and what others have observed to differ.
	Documented string `json:"documented"`
	// Open reports that nobody has recorded Bitbucket's answer yet, and that it is not
	// documented, or observed to differ from the documentation.
	Open bool `json:"open,omitempty"`
	// Emulator is the emulator's answer.
	Emulator string `json:"emulator"`
	// EmulatorAlso has the emulator's other answers by the name of the switch.
	EmulatorAlso map[string]string `json:"emulator_also,omitempty"`
}

// Facts returns all facts in the order in which they are shown.
func Facts() ([]Fact, error) {
	decoder := json.NewDecoder(bytes.NewReader(stored))
	decoder.DisallowUnknownFields()
	var facts []Fact
	if err := decoder.Decode(&facts); err != nil {
		return nil, fmt.Errorf("reading facts.json: %w", err)
	}
	return facts, nil
}
