package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// The plan after apply is empty for every spelling of the same key.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key := acctest.NewKey(t)
		for name, text := range map[string]string{
			"newline":      key + "\n",
			"crlf":         key + " me@host\r\n",
			"spaces":       "  " + strings.Replace(key, " ", "   ", 1) + "  two  words here \n\n",
			"tab":          strings.Replace(key, " ", "\t", 1),
			"hash comment": key + " # not a comment",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				parsed, err := sshkey.Split(text)
				if err != nil {
					t.Fatal(err)
				}
				acctest.Test(t,
					acctest.Step{
						Config:            f.Config(parent.DeployKey(acctest.KeyLine(text))),
						ConfigStateChecks: parent.Has(map[string]string{"key": text, "comment": parsed.Comment}),
					},
					// Another spelling with the same comment is not a change.
					acctest.Step{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(strings.TrimSpace(key + " " + parsed.Comment)))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
					},
					// The attribute comment overrides the comment inside the key.
					acctest.Step{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
						PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
					},
				)
			})
		}
	})
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
