package provider

import (
	"context"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

type deployKeyImportIDFunction struct{}

func newDeployKeyImportIDFunction() function.Function { return deployKeyImportIDFunction{} }

func (deployKeyImportIDFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "deploy_key_import_id"
}

func (deployKeyImportIDFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Returns the import ID of a deploy key.",
		MarkdownDescription: "Returns the import ID of a `bitbucket_deploy_key`, `workspace/repository/key_id`, and checks its parts. Sends no request. " +
			"Requires Terraform 1.8 or OpenTofu 1.7.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "workspace", MarkdownDescription: "Slug of the workspace, or its UUID in braces."},
			function.StringParameter{Name: "repository", MarkdownDescription: "Slug of the repository, or its UUID in braces."},
			// An Int64Parameter would make the framework report 1.5 as a bug in the provider.
			function.NumberParameter{Name: "key_id", MarkdownDescription: "ID of the deploy key."},
		},
		Return: function.StringReturn{},
	}
}

func (deployKeyImportIDFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var repository bitbucket.Parent
	var number *big.Float
	if resp.Error = req.Arguments.Get(ctx, &repository.Workspace, &repository.Repository, &number); resp.Error != nil {
		return
	}
	id, accuracy := number.Int64()
	switch {
	case !bitbucket.IsSlugOrUUID(repository.Workspace):
		resp.Error = function.NewArgumentFuncError(0, expectedSlug("workspace"))
	case !bitbucket.IsSlugOrUUID(repository.Repository):
		resp.Error = function.NewArgumentFuncError(1, expectedSlug("repository"))
	case id < 1 || accuracy != big.Exact:
		resp.Error = function.NewArgumentFuncError(2, "Expected the ID of the key, for example 10958984")
	default:
		resp.Error = resp.Result.Set(ctx, deployKeyID(repository, id))
	}
}
