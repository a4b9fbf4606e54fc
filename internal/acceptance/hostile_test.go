package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// A hostile answer can make a command fail, but it does no other harm: no panic, no
// invented values in the state, and no control characters on the terminal.
func TestAccDeployKeys_hostileReplies(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	list := func(fields string) string { return `{"values": [{"id": 7, "key": "` + key + `"` + fields + `}]}` }
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	refused := map[string]struct{ body, want string }{
		"deep":      {list(`, "label": ` + deep), "it is not the JSON that the API documents"},
		"huge":      {list(`, "label": "` + strings.Repeat("x", 10<<20) + `"`), "over 10 MB"},
		"no-list":   {`{"values": null}`, "no usable list of values"},
		"controls":  {"\x1b[2J\x1b]0;title\a\u202e", "it is not the JSON that the API documents: [2J ]0;title"},
		"next-page": {`{"values": [], "next": 5}`, "it is not the JSON that the API documents"},
	}
	unreadable := map[string]struct{ body, want string }{
		"id-text": {`{"values": [{"id": "7", "key": "` + key + `"}]}`, "an entry without an ID"},
		"no-id":   {`{"values": [{"key": "` + key + `"}]}`, "an entry without an ID"},
		"label":   {list(`, "label": 5`), "deploy key 7"},
	}
	accepted := map[string]string{
		"nulls": list(`, "label": null, "comment": null, "created_on": null, "last_used": null, "repository": null, "links": null`),
		"extra": list(`, "label": "said", "other": ` + deep[15_000:25_000] + `, "owner": {"token": 5}`),
		"ansi":  list(`, "label": "\u001b[2J\u001b]0;title\u0007\u202e"`),
	}
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	data := func(repository string) string {
		return fmt.Sprintf("\ndata \"bitbucket_deploy_keys\" %q {\n  workspace = \"acme\"\n  repository = %q\n}\n\noutput %[1]q {\n  value = data.bitbucket_deploy_keys.%[1]s.keys\n}\n", repository, repository)
	}
	config := ""
	for name, tc := range refused {
		f.Inject(emulator.Fault{Path: "/acme/" + name + "/", Status: 200, Body: tc.body})
		config += data(name)
	}
	terraform.Write(t, f.Config(config))
	out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: ")
	for name, tc := range refused {
		acctest.Contains(t, out, "Could not list the deploy keys of acme/"+name+".", "GET /2.0/repositories/acme/"+name+"/deploy-keys: the reply cannot be used", tc.want)
	}
	if strings.ContainsAny(out, "\x1b\a\u202e") || len(out) > 20_000 {
		t.Errorf("%d bytes were printed: %.5000q", len(out), out)
	}

	for name, tc := range unreadable {
		f.Inject(emulator.Fault{Path: "/acme/" + name + "/", Status: 200, Body: tc.body})
		terraform.Write(t, f.Config(data(name)))
		acctest.Contains(t, terraform.MustRun(t, "plan"), "+ "+name+" = []", "Warning: Deploy keys of some repositories cannot be read", "acme/"+name+" ("+tc.want+")")
	}

	config = ""
	for name, body := range accepted {
		f.Inject(emulator.Fault{Path: "/acme/" + name + "/", Status: 200, Body: body})
		config += data(name)
	}
	terraform.Write(t, f.Config(config))
	if out := terraform.MustRun(t, "apply", "-auto-approve"); strings.ContainsAny(out, "\x1b\a") {
		t.Errorf("control characters were printed: %q", out)
	}
	state, err := os.ReadFile(filepath.Join(terraform.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Outputs map[string]struct {
			Value []map[string]any
		}
	}
	if err := json.Unmarshal(state, &stored); err != nil {
		t.Fatal(err)
	}
	for name, label := range map[string]string{"nulls": "", "extra": "said", "ansi": "\x1b[2J\x1b]0;title\a\u202e"} {
		values := stored.Outputs[name].Value
		if len(values) != 1 || values[0]["label"] != label || values[0]["key"] != key || values[0]["created_on"] != nil || values[0]["repository_uuid"] != nil {
			t.Errorf("%s: the state has %v", name, values)
		}
	}
}
