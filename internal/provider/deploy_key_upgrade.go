package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// UpgradeState reads the state of other providers with the same type name, after "terraform
// state replace-provider". Their state always has version 0.
func (r *deployKeyResource) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return map[int64]resource.StateUpgrader{0: {
		StateUpgrader: func(ctx context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
			if model, ok := foreignStateOf(req.RawState).deployKey(r.kind, &resp.Diagnostics); ok {
				resp.Diagnostics.Append(r.kind.set(ctx, &resp.State, &model)...)
			}
		},
	}}
}

// MoveState reads the state of another provider for a moved block, whatever the name of its
// resource type. It ignores all resources except deploy keys; Terraform then reports an
// error.
func (r *deployKeyResource) MoveState(context.Context) []resource.StateMover {
	return []resource.StateMover{{
		StateMover: func(ctx context.Context, req resource.MoveStateRequest, resp *resource.MoveStateResponse) {
			source := foreignStateOf(req.SourceRawState)
			if !source.isDeployKey(r.kind, req.SourceTypeName) {
				return
			}
			model, ok := source.deployKey(r.kind, &resp.Diagnostics)
			if !ok {
				return
			}
			resp.Diagnostics.Append(r.kind.set(ctx, &resp.TargetState, &model)...)
			if resp.TargetIdentity != nil {
				resp.Diagnostics.Append(r.kind.set(ctx, resp.TargetIdentity, model.identity())...)
			}
		},
	}}
}

// foreignState has the attributes of a resource as another provider stored them. The values
// may have any type.
type foreignState map[string]any

func foreignStateOf(raw *tfprotov6.RawState) foreignState {
	var state foreignState
	if raw != nil {
		decoder := json.NewDecoder(bytes.NewReader(raw.JSON))
		decoder.UseNumber() // A float64 would round the ID of a key.
		if decoder.Decode(&state) != nil {
			return nil
		}
	}
	return state
}

// text returns the first of these attributes that is a text or a number and not empty.
// Providers store "" for a value that they do not have.
func (s foreignState) text(names ...string) string {
	for _, name := range names {
		switch value := s[name].(type) {
		case string:
			if value != "" {
				return value
			}
		case json.Number:
			return value.String()
		}
	}
	return ""
}

// isDeployKey reports whether the state is a deploy key with a parent of this kind. It
// ignores the address of the provider, because mirrors and forks have different addresses.
func (s foreignState) isDeployKey(kind *parentKind, typeName string) bool {
	found := repositoryKind
	if s.text(projectKind.foreignAttributes...) != "" {
		found = projectKind
	}
	return strings.HasPrefix(typeName, "bitbucket_") && strings.Contains(typeName, "deploy_key") && found == kind
}

// deployKey returns the key that the attributes describe. Attributes that the other
// provider did not store are null; Read completes them.
func (s foreignState) deployKey(kind *parentKind, diags *diag.Diagnostics) (deployKeyModel, bool) {
	workspace, name := s.text("workspace"), s.text(kind.foreignAttributes...)
	number := s.text("key_id", "id")
	if parts := strings.Split(s.text("id"), "/"); len(parts) == 3 {
		// The other provider has used its id in requests. If an attribute contains a
		// display name, use the name in the id instead.
		workspace, name = preferName(bitbucket.IsSlugOrUUID, workspace, parts[0]), preferName(kind.isName, name, parts[1])
		number = parts[2]
	}
	id, err := strconv.ParseInt(number, 10, 64)
	var missing []string
	if !isPathSegment(workspace) {
		missing = append(missing, "the workspace")
	}
	if !isPathSegment(name) {
		missing = append(missing, "the "+kind.attribute)
	}
	if err != nil || id <= 0 {
		missing = append(missing, "the ID of the key")
	}
	if len(missing) > 0 {
		diags.AddError("Unable to take over deploy key", "The state of the other provider lacks "+strings.Join(missing, ", ")+". Nothing was changed. "+
			"Import the key instead:\n\n  terraform state rm ADDRESS\n  terraform import ADDRESS WORKSPACE/"+kind.placeholder()+"/KEY_ID\n\n"+
			"If there is a moved block, remove it first. To find KEY_ID, open the list of access keys in the settings of the "+kind.attribute+": the address of each key ends with its ID.")
		return deployKeyModel{}, false
	}
	model := deployKeyModel{Workspace: types.StringValue(workspace), Parent: types.StringValue(name)}
	model.ID = types.StringValue(deployKeyID(model.parent(kind), id))
	model.KeyID = types.Int64Value(id)
	model.ParentUUID = nullIfEmpty(s.text(kind.uuidAttribute()))
	if label, ok := s["label"].(string); ok {
		model.Label = types.StringValue(label)
	}
	if comment, ok := s["comment"].(string); ok {
		model.Comment = types.StringValue(comment)
	}
	if key := s.text("key"); key != "" {
		model.Key = newPublicKeyValue(key)
		if model.Comment.IsNull() {
			model.Comment = types.StringValue(model.Key.comment())
		}
		model.describeKey()
	}
	return model, true
}

// preferName returns the name in the attribute, unless only the name in the id is valid.
func preferName(isName func(string) bool, attribute, inID string) string {
	if isName(attribute) || !isName(inID) {
		return attribute
	}
	return inID
}

// isPathSegment accepts more than slugs: Bitbucket has accepted this name from the other
// provider, so it may accept the name again.
func isPathSegment(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, `/\`)
}
