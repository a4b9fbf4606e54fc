package provider

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"golang.org/x/text/unicode/norm"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deployments"
)

var _ datasource.DataSourceWithConfigure = (*deploymentsDataSource)(nil)

type deploymentsDataSource struct{ data *providerData }

func newDeploymentsDataSource() datasource.DataSource { return &deploymentsDataSource{} }

type deploymentsDataSourceModel struct {
	Workspace       types.String      `tfsdk:"workspace"`
	Repository      types.String      `tfsdk:"repository"`
	Environment     types.String      `tfsdk:"environment"`
	EnvironmentUUID types.String      `tfsdk:"environment_uuid"`
	State           types.String      `tfsdk:"state"`
	Limit           types.Int64       `tfsdk:"limit"`
	Deployments     []deploymentModel `tfsdk:"deployments"`
}

type deploymentModel struct {
	UUID            types.String `tfsdk:"uuid"`
	Number          types.Int64  `tfsdk:"number"`
	Key             types.String `tfsdk:"key"`
	State           types.String `tfsdk:"state"`
	Status          types.String `tfsdk:"status"`
	EnvironmentUUID types.String `tfsdk:"environment_uuid"`
	EnvironmentName types.String `tfsdk:"environment_name"`
	ReleaseName     types.String `tfsdk:"release_name"`
	ReleaseURL      types.String `tfsdk:"release_url"`
	Commit          types.String `tfsdk:"commit"`
	Deployer        types.String `tfsdk:"deployer"`
	DeployerUUID    types.String `tfsdk:"deployer_uuid"`
	StartedOn       types.String `tfsdk:"started_on"`
	CompletedOn     types.String `tfsdk:"completed_on"`
}

func (d *deploymentsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployments"
}

func (d *deploymentsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads the deployments of a repository. A deployment is a run of a pipeline that deploys to an environment.\n\n" +
			"To read the environments themselves, use `bitbucket_environments`. If a repository has never deployed, the list is empty. Fields that Bitbucket omits are null.\n\n" +
			"**API token scopes**: `read:pipeline:bitbucket`; for a repository that has never deployed also `read:repository:bitbucket` (OAuth: `pipeline`, `repository`). " +
			"Bitbucket may answer 404 for a repository that has never deployed and for a repository that does not exist. To distinguish them, the provider requests the repository itself.",
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			"repository": schema.StringAttribute{
				MarkdownDescription: "Slug of the repository, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			"environment": schema.StringAttribute{
				MarkdownDescription: "Exact name of an environment, for example `Production`. Selects the deployments to this environment, with one more request for the list of environments. " +
					"It is an error if no environment or several environments have this name. Conflicts with `environment_uuid`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("environment_uuid"))},
			},
			"environment_uuid": schema.StringAttribute{
				MarkdownDescription: "UUID of an environment, in braces. Selects the deployments to this environment.",
				Optional:            true,
				Validators:          []validator.String{uuidValidator()},
			},
			"state": schema.StringAttribute{
				MarkdownDescription: "`UNDEPLOYED`, `IN_PROGRESS` or `COMPLETED`. Selects the deployments in this state.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.OneOf("UNDEPLOYED", "IN_PROGRESS", "COMPLETED")},
			},
			"limit": schema.Int64Attribute{
				CustomType: wholeNumberType{},
				MarkdownDescription: "Largest number of deployments to return: the newest that match. Default: all, which costs one request for each 100 deployments. " +
					"With a limit, the provider asks Bitbucket to sort by start time, and reads only as many pages as it needs. Deployments that have not started may then be missing.",
				Optional:   true,
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
			"deployments": schema.ListNestedAttribute{
				MarkdownDescription: "Deployments that were found, the newest first. They are sorted by `started_on`, or by the time of creation if they have not started.",
				Computed:            true,
				NestedObject:        schema.NestedAttributeObject{Attributes: deploymentAttributes()},
			},
		},
	}
}

// deploymentAttributes returns the attributes of one deployment.
func deploymentAttributes() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"number": schema.Int64Attribute{
			MarkdownDescription: "Number of the deployment in its repository.",
			Computed:            true,
		},
	}
	for name, description := range map[string]string{
		"uuid":             "UUID of the deployment, in braces.",
		"key":              "Key of the deployment.",
		"state":            "`UNDEPLOYED`, `IN_PROGRESS` or `COMPLETED`.",
		"status":           "`SUCCESSFUL`, `FAILED` or `STOPPED`; null until the deployment is completed.",
		"environment_uuid": "UUID of the environment, in braces.",
		"environment_name": "Name of the environment. If Bitbucket sends only the UUID, the provider reads the name from the list of environments, with one more request. Null if the environment was deleted.",
		"release_name":     "Name of the release that was deployed, for example `#7` for a pipeline.",
		"release_url":      "Address of the pipeline that made the release.",
		"commit":           "Hash of the commit that was deployed.",
		"deployer":         "Name of the person who deployed it.",
		"deployer_uuid":    "UUID of the deployer's account, in braces.",
		"started_on":       "Time when the deployment was started, in ISO 8601 format.",
		"completed_on":     "Time when the deployment was completed, in ISO 8601 format.",
	} {
		attributes[name] = schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return attributes
}

func (d *deploymentsDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

func (d *deploymentsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model deploymentsDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.warnNearLimit(&resp.Diagnostics)
	repository := bitbucket.Parent{Workspace: model.Workspace.ValueString(), Repository: model.Repository.ValueString()}
	filter := deployments.Filter{
		EnvironmentUUID: model.EnvironmentUUID.ValueString(),
		State:           model.State.ValueString(),
		Limit:           int(model.Limit.ValueInt64()),
	}
	var environments []bitbucket.Environment
	if !model.Environment.IsNull() {
		environments, filter.EnvironmentUUID = d.findEnvironment(ctx, repository, model.Environment.ValueString(), &resp.Diagnostics)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	found, err := deployments.Find(ctx, d.data.client, repository, filter)
	if err != nil {
		listDeployments.addError(&resp.Diagnostics, repository, 0, err)
		return
	}
	d.setEnvironmentNames(ctx, repository, found, environments, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	model.Deployments = make([]deploymentModel, len(found)) // An empty list, not null.
	for i := range found {
		model.Deployments[i].flatten(&found[i])
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

// findEnvironment returns the environments of a repository, and the UUID of the environment
// with this name. Two reads do not share the list, because another provider can add an
// environment between them.
func (d *deploymentsDataSource) findEnvironment(ctx context.Context, repository bitbucket.Parent, name string, diags *diag.Diagnostics) (all []bitbucket.Environment, uuid string) {
	all, err := deployments.ListEnvironments(ctx, d.data.client, repository)
	if err != nil {
		listEnvironments.addError(diags, repository, 0, err)
		return nil, ""
	}
	var matches []bitbucket.Environment
	for _, environment := range all {
		// Terraform normalizes the texts in configurations, and Bitbucket does not.
		if norm.NFC.String(environment.Name) == norm.NFC.String(name) {
			matches = append(matches, environment)
		}
	}
	if len(matches) != 1 {
		diags.AddAttributeError(path.Root("environment"), "No single environment found", environmentCandidates(repository, name, matches, all))
		return nil, ""
	}
	return all, matches[0].UUID
}

// environmentCandidates lists the environments to choose from.
func environmentCandidates(repository bitbucket.Parent, name string, matches, all []bitbucket.Environment) string {
	detail, shown := fmt.Sprintf("%d environments of %s have the name %q. Set environment_uuid to the UUID of one of them:", len(matches), repository, name), matches
	if len(matches) == 0 {
		detail, shown = fmt.Sprintf("No environment of %s has the name %q. Write one of these names, in the same case:", repository, name), all
		if len(all) == 0 {
			return fmt.Sprintf("No environment of %s has the name %q. The repository has no environments.", repository, name)
		}
	}
	const most = 25
	lines := []string{detail, ""}
	for i, environment := range shown {
		if i == most {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(shown)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("  %q  %q", environment.Name, environment.UUID))
	}
	return strings.Join(lines, "\n")
}

// setEnvironmentNames fills in the missing names of the deployments' environments. It lists the
// environments if a name is missing and environments is nil.
//
// If Bitbucket refuses to list the environments, the names stay empty, because the
// deployments are useful without the names. Any other failure is an error: a name that is null
// in a single run would appear in the plan as a change.
func (d *deploymentsDataSource) setEnvironmentNames(ctx context.Context, repository bitbucket.Parent, found []bitbucket.Deployment, environments []bitbucket.Environment, diags *diag.Diagnostics) {
	if !deployments.LackNames(found) {
		return
	}
	if environments == nil {
		var err error
		environments, err = deployments.ListEnvironments(ctx, d.data.client, repository)
		switch {
		case bitbucket.HasStatus(err, http.StatusForbidden), bitbucket.IsNotFound(err):
			warnEnvironmentNames(repository, err, diags)
			return
		case err != nil:
			listEnvironments.addError(diags, repository, 0, err)
			return
		}
	}
	deployments.SetNames(found, environments)
}

// warnEnvironmentNames warns that deployments lack the names of their environments.
func warnEnvironmentNames(repository bitbucket.Parent, err error, diags *diag.Diagnostics) {
	refusal := deploykeys.Result{Outcome: deploykeys.Refused, Err: err}
	advice, _ := listEnvironments.advice(repositoryKind, refusal)
	diags.AddWarning("Environment names of "+repository.String()+" are missing", strings.Join([]string{
		"Bitbucket sent deployments with the UUID of their environment only, and refused to list the environments. The environment_name of these deployments is null.",
		describe(refusal), advice,
	}, "\n\n"))
}

// flatten sets the attributes from Bitbucket's reply. Fields that Bitbucket omits are null.
func (m *deploymentModel) flatten(deployment *bitbucket.Deployment) {
	m.UUID = types.StringValue(deployment.UUID)
	m.Number = types.Int64Null()
	if deployment.Number != 0 {
		m.Number = types.Int64Value(deployment.Number)
	}
	m.Key = nullIfEmpty(deployment.Key)
	m.State = nullIfEmpty(deployment.State)
	m.Status = nullIfEmpty(deployment.Status)
	m.EnvironmentUUID = nullIfEmpty(deployment.EnvironmentUUID)
	m.EnvironmentName = nullIfEmpty(deployment.EnvironmentName)
	m.ReleaseName = nullIfEmpty(deployment.ReleaseName)
	m.ReleaseURL = nullIfEmpty(deployment.ReleaseURL)
	m.Commit = nullIfEmpty(deployment.Commit)
	m.Deployer = nullIfEmpty(deployment.Deployer)
	m.DeployerUUID = nullIfEmpty(deployment.DeployerUUID)
	m.StartedOn = nullIfEmpty(deployment.StartedOn)
	m.CompletedOn = nullIfEmpty(deployment.CompletedOn)
}
