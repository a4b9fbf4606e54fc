package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// The plan after apply is empty for every spelling of the same key.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	var applied, respelled, overridden string
	var has []statecheck.StateCheck
	for i, spelling := range []string{
		"%s %s\n",
		"%s %s me@host\r\n",
		"  %s   %s  two  words here \n\n",
		"%s\t%s",
		"%s %s # not a comment",
	} {
		key := acctest.NewKey(t)
		algorithm, blob, _ := strings.Cut(key, " ")
		text := fmt.Sprintf(spelling, algorithm, blob)
		parsed, err := sshkey.Split(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
			name := fmt.Sprintf("spelling_%d", i)
			applied += withName(parent.DeployKey(acctest.KeyLine(text)), name)
			respelled += withName(parent.DeployKey(acctest.KeyLine(strings.TrimSpace(key+" "+parsed.Comment))), name)
			overridden += withName(parent.DeployKey(acctest.KeyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment)), name)
			has = append(has,
				statecheck.ExpectKnownValue(parent.TypeName+"."+name, tfjsonpath.New("key"), knownvalue.StringExact(text)),
				statecheck.ExpectKnownValue(parent.TypeName+"."+name, tfjsonpath.New("comment"), knownvalue.StringExact(parsed.Comment)))
		}
	}
	acctest.Test(t,
		acctest.Step{Config: f.Config(applied), ConfigStateChecks: has},
		// Another spelling with the same comment is not a change.
		acctest.Step{PreConfig: f.ForgetRequests, Config: f.Config(respelled), PlanOnly: true},
		// The attribute comment overrides the comment inside the key.
		acctest.Step{Config: f.Config(overridden), PlanOnly: true, PostApplyFunc: f.ExpectWrites(t)},
	)
}

// withName gives another name to a resource or data source whose name is "test".
func withName(block, name string) string {
	return strings.Replace(block, `"test"`, fmt.Sprintf("%q", name), 1)
}

// Only known texts can be the same key, and a text that is not a key only equals itself.
func TestPublicKeyValue_sameMaterial(t *testing.T) {
	t.Parallel()
	key, other := acctest.NewKey(t), acctest.NewKey(t)
	null, unknown := publicKeyValue{StringValue: types.StringNull()}, publicKeyValue{StringValue: types.StringUnknown()}
	for name, tc := range map[string]struct {
		a, b publicKeyValue
		want bool
	}{
		"same text":       {newPublicKeyValue(key), newPublicKeyValue(key), true},
		"comment":         {newPublicKeyValue(key), newPublicKeyValue(key + " me\n"), true},
		"other key":       {newPublicKeyValue(key), newPublicKeyValue(other), false},
		"not a key":       {newPublicKeyValue("key"), newPublicKeyValue("key"), true},
		"other text":      {newPublicKeyValue("key"), newPublicKeyValue("key2"), false},
		"key and text":    {newPublicKeyValue(key), newPublicKeyValue("key"), false},
		"null":            {null, null, false},
		"unknown":         {unknown, unknown, false},
		"null and key":    {null, newPublicKeyValue(key), false},
		"unknown and key": {unknown, newPublicKeyValue(key), false},
	} {
		for _, pair := range [][2]publicKeyValue{{tc.a, tc.b}, {tc.b, tc.a}} {
			equal, diags := pair[0].StringSemanticEquals(t.Context(), pair[1])
			if equal != tc.want || pair[0].sameMaterial(pair[1]) != tc.want || len(diags) > 0 {
				t.Errorf("%s: got %t, %v, want %t", name, equal, diags, tc.want)
			}
		}
	}
	if equal, _ := newPublicKeyValue(key).StringSemanticEquals(t.Context(), types.StringValue(key)); equal {
		t.Error("a plain string is the same key")
	}
}
