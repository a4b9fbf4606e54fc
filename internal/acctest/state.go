package acctest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
)

// stateFile is the content of terraform.tfstate.
type stateFile struct {
	Outputs map[string]struct {
		Value json.RawMessage
	}
	Resources []struct {
		Mode, Type, Name string
		Instances        []struct {
			Status          string
			Attributes      json.RawMessage
			IdentityVersion *uint64 `json:"identity_schema_version"`
			Identity        map[string]any
		}
	}
}

// readState reads the file of the state, which takes no command.
func (c *CLI) readState(t *testing.T) stateFile {
	t.Helper()
	var state stateFile
	content, err := os.ReadFile(filepath.Join(c.Dir, "terraform.tfstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return state
	}
	if err != nil {
		t.Fatal(err)
	}
	decodeNumbers(t, content, &state)
	return state
}

// stateValues returns the state in the form in which checks expect it. It has only resources
// without count and for_each, and no modules.
func (c *CLI) stateValues(t *testing.T) *tfjson.State {
	t.Helper()
	file := c.readState(t)
	values := &tfjson.StateValues{Outputs: map[string]*tfjson.StateOutput{}, RootModule: &tfjson.StateModule{}}
	for name, output := range file.Outputs {
		var value any
		decodeNumbers(t, output.Value, &value)
		values.Outputs[name] = &tfjson.StateOutput{Value: value}
	}
	for _, resource := range file.Resources {
		address := resource.Type + "." + resource.Name
		if resource.Mode == "data" {
			address = "data." + address
		}
		for _, instance := range resource.Instances {
			var attributes map[string]any
			decodeNumbers(t, instance.Attributes, &attributes)
			values.RootModule.Resources = append(values.RootModule.Resources, &tfjson.StateResource{
				Address: address, Type: resource.Type, Name: resource.Name, AttributeValues: attributes,
				IdentitySchemaVersion: instance.IdentityVersion, IdentityValues: instance.Identity,
			})
		}
	}
	return &tfjson.State{Values: values}
}

// decodeNumbers decodes JSON and keeps all digits of numbers.
func decodeNumbers(t *testing.T, content []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}
