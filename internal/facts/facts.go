// Package facts sends requests to a Bitbucket to answer questions that the documentation
// leaves open. It compares the answers with the emulator's answers, which are stored in
// facts.json. A mistake in the emulator therefore shows as a difference.
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
	// Question is the text of the question.
	Question string `json:"question"`
	// Documented describes what Atlassian documents, and which differences others have
	// observed.
	Documented string `json:"documented"`
	// Open reports whether the question is open. Nobody has recorded Bitbucket's answer yet,
	// and the answer is not documented or was observed to differ from the documentation.
	Open bool `json:"open,omitempty"`
	// Emulator is the emulator's answer.
	Emulator string `json:"emulator"`
	// EmulatorAlso has the emulator's answers with a switch, by the name of the switch.
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
