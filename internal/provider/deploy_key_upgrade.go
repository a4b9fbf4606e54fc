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
)

var (
	_ resource.ResourceWithUpgradeState = (*deployKeyResource)(nil)
	_ resource.ResourceWithMoveState    = (*deployKeyResource)(nil)
)

// UpgradeState reads what other providers have stored under the same type name,
// after "terraform state replace-provider". All of theirs is version 0.
func (r *deployKeyResource) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return map[int64]resource.StateUpgrader{0: {
		StateUpgrader: func(ctx context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
			if model, ok := foreignStateOf(req.RawState).deployKey(r.on, &resp.Diagnostics); ok {
				resp.Diagnostics.Append(resp.State.Set(ctx, r.on.model(&model))...)
			}
		},
	}}
}

// MoveState reads what a "moved" block takes from another provider, whatever
// that calls a deploy key. Anything else is left alone, and Terraform reports it.
func (r *deployKeyResource) MoveState(context.Context) []resource.StateMover {
	return []resource.StateMover{{
		StateMover: func(ctx context.Context, req resource.MoveStateRequest, resp *resource.MoveStateResponse) {
			source := foreignStateOf(req.SourceRawState)
			if !source.isDeployKey(r.on, req.SourceTypeName) {
				return
			}
			model, ok := source.deployKey(r.on, &resp.Diagnostics)
			if !ok {
				return
			}
			resp.Diagnostics.Append(resp.TargetState.Set(ctx, r.on.model(&model))...)
			if resp.TargetIdentity != nil {
				resp.Diagnostics.Append(resp.TargetIdentity.Set(ctx, r.on.identity(model.identity()))...)
			}
		},
	}}
}

// foreignState holds the attributes of a resource as another provider stored
// them. Nothing is certain of their types.
type foreignState map[string]any

func foreignStateOf(raw *tfprotov6.RawState) foreignState {
	var state foreignState
	if raw != nil {
		decoder := json.NewDecoder(bytes.NewReader(raw.JSON))
		decoder.UseNumber() // The number of a key may not come out rounded.
		if decoder.Decode(&state) != nil {
			return nil
		}
	}
	return state
}

// text is the first of these attributes that is text or a number and not empty.
// What providers do not know they store as "".
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

// isDeployKey tells deploy keys of repositories from those of projects and from
// everything else. The address of the provider says nothing: mirrors and forks
// have their own.
func (s foreignState) isDeployKey(on placeKind, typeName string) bool {
	ofProject := s.text("project_key", "project") != ""
	return strings.HasPrefix(typeName, "bitbucket_") && strings.Contains(typeName, "deploy_key") && ofProject == (on == onProject)
}

// deployKey is the key that the attributes tell of. Read completes it: what is
// null here, the other provider did not know.
func (s foreignState) deployKey(on placeKind, diags *diag.Diagnostics) (deployKeyModel, bool) {
	names := map[placeKind][]string{onRepository: {"repository", "repo_slug"}, onProject: {"project", "project_key"}}[on]
	workspace, place := s.text("workspace"), s.text(names...)
	number := s.text("key_id", "id")
	if parts := strings.Split(s.text("id"), "/"); len(parts) == 3 {
		// The id is what the other provider asked with, so that of it holds
		// where an attribute holds a display name.
		workspace, place = onRepository.firstName(workspace, parts[0]), on.firstName(place, parts[1])
		number = parts[2]
	}
	id, err := strconv.ParseInt(number, 10, 64)
	var missing []string
	if !isPathSegment(workspace) {
		missing = append(missing, "the workspace")
	}
	if !isPathSegment(place) {
		missing = append(missing, "the "+string(on))
	}
	if err != nil || id <= 0 {
		missing = append(missing, "the number of the key")
	}
	if len(missing) > 0 {
		diags.AddError("Unable to take over deploy key", "The state that another provider left does not tell "+strings.Join(missing, ", ")+". Nothing was changed. "+
			"Import the key instead:\n\n  terraform state rm ADDRESS\n  terraform import ADDRESS WORKSPACE/"+strings.ToUpper(string(on))+"/KEY_ID\n\n"+
			"Remove the moved block before that, if there is one. The number KEY_ID is in the list of access keys in the "+string(on)+"'s settings, as the end of each key's address.")
		return deployKeyModel{}, false
	}
	model := deployKeyModel{Workspace: types.StringValue(workspace), Place: types.StringValue(place)}
	model.ID = types.StringValue(deployKeyID(on.of(&model), id))
	model.KeyID = types.Int64Value(id)
	model.PlaceUUID = nullIfEmpty(s.text(string(on) + "_uuid"))
	if label, ok := s["label"].(string); ok {
		model.Label = types.StringValue(label)
	}
	if comment, ok := s["comment"].(string); ok {
		model.Comment = types.StringValue(comment)
	}
	if key := s.text("key"); key != "" {
		model.Key = newPublicKeyValue(key)
		if model.Comment.IsNull() {
			model.Comment = types.StringValue(commentIn(model.Key))
		}
		model.describeKey()
	}
	return model, true
}

// firstName prefers the spelling of the configuration, as long as it may be one.
func (k placeKind) firstName(attribute, inID string) string {
	if k.isName(attribute) || !k.isName(inID) {
		return attribute
	}
	return inID
}

// isPathSegment allows more than slugs: Bitbucket has answered the other provider
// under this name, so it may answer again.
func isPathSegment(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, `/\`)
}
