package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
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
					resource.TestStep{
						Config:            f.Config(parent.DeployKey(acctest.KeyLine(text))),
						ConfigStateChecks: parent.Has(map[string]string{"key": text, "comment": parsed.Comment}),
					},
					// Another spelling with the same comment is not a change.
					resource.TestStep{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(strings.TrimSpace(key + " " + parsed.Comment)))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
					},
					// The attribute comment overrides the comment inside the key.
					resource.TestStep{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
						PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
					},
				)
			})
		}
	})
}
