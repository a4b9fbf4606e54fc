package provider

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// expectedSlug is said of anything else. It has no full stop, since Terraform
// ends the error of a function with one.
const expectedSlug = "Expected a slug as it stands in the address of the page, " +
	"for example \"my-repository\" in bitbucket.org/my-workspace/my-repository, or a UUID in braces"

// isUUID tells whether text is the {uuid} form of a workspace or repository.
func isUUID(text string) bool { return strings.HasPrefix(text, "{") }

// slugValidator allows what names a workspace or a repository in a path.
type slugValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (slugValidator) Description(context.Context) string { return "must be a slug or a {uuid}" }

// MarkdownDescription is the same.
func (v slugValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString reports anything else.
func (slugValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || bitbucket.IsSlugOrUUID(req.ConfigValue.ValueString()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+req.Path.String(), expectedSlug+".")
}

// textValidator allows text that Bitbucket stores as it is. It would trim white
// space, and Terraform does not allow a planned value to come back changed.
type textValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (textValidator) Description(context.Context) string {
	return "must not have white space around it or hold control characters"
}

// MarkdownDescription is the same.
func (v textValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString reports anything else.
func (textValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	var detail string
	switch {
	case sshkey.HoldsPrivateKey(text):
		// Without a path: Terraform would print the line that the key is on.
		resp.Diagnostics.AddError("Private key given", "The "+req.Path.String()+" of the deploy key holds a private key. "+
			"If it was committed or shared, consider it leaked.")
		return
	case strings.ContainsFunc(text, breaksLine):
		detail = "It holds a line break, a tab or another control character."
	case strings.TrimSpace(text) != text:
		detail = "It begins or ends with white space, which Bitbucket removes. Use trimspace(), or remove it."
	default:
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+req.Path.String(), detail)
}

// breaksLine tells whether r may end a line, of which a key is one with its
// comment, or is another control character.
func breaksLine(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }

// publicKeyValidator reports a key that cannot be one, before anything is sent.
type publicKeyValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (publicKeyValidator) Description(context.Context) string {
	return "must be one OpenSSH public key"
}

// MarkdownDescription is the same.
func (v publicKeyValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

// ValidateString reports anything else.
func (publicKeyValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if problem := sshkey.Check(text); problem != nil {
		addKeyProblem(&resp.Diagnostics, req.Path, problem)
		return
	}
	if key, err := sshkey.Split(text); err == nil && key.Doubt() != "" {
		resp.Diagnostics.AddAttributeWarning(req.Path, "Bitbucket may refuse this key", key.Doubt())
	}
}

// addKeyProblem reports a problem on its attribute, or without one where the
// value may be secret: Terraform prints the lines that an attribute is on.
func addKeyProblem(diags *diag.Diagnostics, at path.Path, problem *sshkey.Problem) {
	if problem.MaybeSecret {
		diags.AddError(problem.Summary, "The attribute "+at.String()+" cannot be used. "+problem.Detail)
		return
	}
	diags.AddAttributeError(at, problem.Summary, problem.Detail)
}

// oauthTokenValidator refuses an attribute that other providers have, so that who
// comes from them learns its name here. A deprecation in the schema would make
// Terraform print the line that the token is on.
type oauthTokenValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (oauthTokenValidator) Description(context.Context) string { return "must not be set" }

// MarkdownDescription is the same.
func (v oauthTokenValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

// ValidateString reports any value, without a path: Terraform would print the
// line that the token is on.
func (oauthTokenValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() {
		resp.Diagnostics.AddError("Write token, not oauth_token", "The provider block sets oauth_token, as other Bitbucket providers call it. "+
			"Here it is token, without a username. The environment variable BITBUCKET_OAUTH_TOKEN works as it is.")
	}
}

// keyNumberPattern is the id of a deploy key at this or another provider.
var keyNumberPattern = regexp.MustCompile(`^(?:[^/]+/[^/]+/)?[1-9][0-9]{0,17}$`)

// keyNumberValidator allows an id that ends with the number of a key, and says
// that key_id is better. A deprecation in the schema would also meet those who
// only read the id.
type keyNumberValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (keyNumberValidator) Description(context.Context) string {
	return "must be workspace/repository/key_id, or the number of a key"
}

// MarkdownDescription is the same.
func (v keyNumberValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

// ValidateString reports anything else, and the better attribute.
func (v keyNumberValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	switch {
	case req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown():
	case !keyNumberPattern.MatchString(req.ConfigValue.ValueString()):
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+req.Path.String(), "It "+v.Description(ctx)+".")
	default:
		resp.Diagnostics.AddAttributeWarning(req.Path, "Setting id is deprecated", "It is understood for those who come from another provider. Write key_id with the number of the key.")
	}
}

// durationValidator allows a positive duration, and zero where that has a meaning.
type durationValidator struct{ zero bool }

// Description says what is allowed, in words for logs and documentation.
func (durationValidator) Description(context.Context) string { return "must be a duration like 30s" }

// MarkdownDescription is the same.
func (v durationValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString reports anything else.
func (v durationValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	duration, err := time.ParseDuration(req.ConfigValue.ValueString())
	if err != nil || duration < 0 || duration == 0 && !v.zero {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration", "Expected a positive duration with its unit, for example \"30s\" or \"1m30s\".")
	}
}

// patternValidator allows a regular expression.
type patternValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (patternValidator) Description(context.Context) string { return "must be a regular expression" }

// MarkdownDescription is the same.
func (v patternValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString reports anything else.
func (patternValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := regexp.Compile(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+req.Path.String(), "Expected a regular expression in the syntax of RE2, as in Terraform's regex(): "+err.Error()+".")
	}
}

// fingerprintPattern is what ssh-keygen -l prints.
var fingerprintPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// fingerprintValidator allows a fingerprint in that form.
func fingerprintValidator() validator.String {
	return stringvalidator.RegexMatches(fingerprintPattern, "must be a fingerprint as ssh-keygen -l prints it: SHA256:…")
}

// uuidPattern is a UUID in braces, as Bitbucket writes it.
var uuidPattern = regexp.MustCompile(`^\{[0-9A-Za-z-]+\}$`)

// uuidValidator allows what names an environment.
func uuidValidator() validator.String {
	return stringvalidator.RegexMatches(uuidPattern, "must be a UUID in braces")
}

// projectKeyValidator allows the key of a project.
type projectKeyValidator struct{}

// Description says what is allowed, in words for logs and documentation.
func (projectKeyValidator) Description(context.Context) string {
	return "must be the key of a project as Bitbucket shows it, in capitals"
}

// MarkdownDescription is the same.
func (v projectKeyValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

// ValidateString reports anything else.
func (projectKeyValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || bitbucket.IsProjectKey(req.ConfigValue.ValueString()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+req.Path.String(), "Expected the key of a project as Bitbucket shows it, in capitals, for example \"WEB\" in "+
		"bitbucket.org/my-workspace/workspace/projects/WEB.")
}

// holdsUserInfo tells whether a URL may hold a user name or password.
func holdsUserInfo(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || strings.Contains(raw, "@")
}
