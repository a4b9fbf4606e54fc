package provider

import (
	"context"
	"fmt"
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

// stringCheck is a validator that calls a function for each known value.
type stringCheck struct {
	// description completes "the value …", for logs.
	description string
	check       func(at path.Path, value string, diags *diag.Diagnostics)
}

// Description describes the accepted values.
func (c stringCheck) Description(context.Context) string { return c.description }

// MarkdownDescription describes the accepted values.
func (c stringCheck) MarkdownDescription(context.Context) string { return c.description }

// ValidateString checks the value.
func (c stringCheck) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() {
		c.check(req.Path, req.ConfigValue.ValueString(), &resp.Diagnostics)
	}
}

// addInvalid reports a value on its attribute.
func addInvalid(diags *diag.Diagnostics, at path.Path, detail string) {
	diags.AddAttributeError(at, "Invalid "+at.String(), detail)
}

// expectedSlug describes the slug of a workspace or of a repository. It has no full stop:
// Terraform ends the error of a function with one.
func expectedSlug(attribute string) string {
	return "Expected a slug, for example \"my-" + attribute + "\" in bitbucket.org/my-workspace/my-repository, or a UUID in braces"
}

// slugValidator accepts the name of a workspace or of a repository.
var slugValidator = stringCheck{"must be a slug or a {uuid}", func(at path.Path, value string, diags *diag.Diagnostics) {
	switch {
	case bitbucket.IsBareUUID(value):
		addInvalid(diags, at, fmt.Sprintf("A UUID needs braces. Write %q.", "{"+value+"}"))
	case !bitbucket.IsSlugOrUUID(value):
		addInvalid(diags, at, expectedSlug(at.String())+".")
	}
}}

// isUUID reports whether text is the {uuid} of a workspace or of a repository.
func isUUID(text string) bool { return strings.HasPrefix(text, "{") }

// projectKeyValidator accepts the key of a project.
var projectKeyValidator = stringCheck{"must be the key of a project as Bitbucket shows it, in capitals", func(at path.Path, value string, diags *diag.Diagnostics) {
	if !bitbucket.IsProjectKey(value) {
		addInvalid(diags, at, "Expected the key of a project as Bitbucket shows it, in capitals, for example \"WEB\" in "+
			"bitbucket.org/my-workspace/workspace/projects/WEB.")
	}
}}

// textValidator rejects a private key. [deployKeyModel.checkTexts] checks the rest in the
// plan, where the state is known.
var textValidator = stringCheck{"must not hold a private key", func(at path.Path, value string, diags *diag.Diagnostics) {
	if sshkey.HoldsPrivateKey(value) {
		// Do not report this on the attribute: Terraform would print the source line with
		// the key.
		diags.AddError("Private key given", "The "+at.String()+" of the deploy key contains a private key. Remove it. "+
			"If the private key was committed or shared, consider it leaked: make a new pair.")
	}
}}

// checkText rejects a label or comment that Bitbucket does not store unchanged, because
// Terraform does not accept a planned value that comes back changed. The attribute at this
// path may contain more than the value: the attribute key contains the comment.
func checkText(at path.Path, name, value string, diags *diag.Diagnostics) {
	place := name
	if at.String() != name {
		place += " inside " + at.String()
	}
	switch text := strings.TrimSpace(value); {
	case strings.ContainsFunc(text, breaksLine):
		diags.AddAttributeError(at, "Invalid "+name, "The "+place+" contains a line break, a tab or another control character. Write one line of text without these characters.")
	case text != value:
		diags.AddAttributeError(at, "Invalid "+name, "The "+place+" begins or ends with white space or a line break. Bitbucket would remove it. Use trimspace(), or remove it. "+
			"file() also returns the line break at the end of a file: write trimspace(file(\"PATH\")).")
	}
}

// breaksLine reports whether r is a control character or ends a line. A key and its comment
// are one line.
func breaksLine(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }

// publicKeyValidator rejects text that cannot be a public key, before any request.
var publicKeyValidator = stringCheck{"must be one OpenSSH public key", func(at path.Path, value string, diags *diag.Diagnostics) {
	key, problem := sshkey.Parse(value)
	switch {
	case problem != nil && problem.MaybeSecret:
		// Do not report this on the attribute: Terraform would print the source line with
		// the value.
		diags.AddError(problem.Summary, "The attribute "+at.String()+" cannot be used. "+problem.Detail)
	case problem != nil:
		diags.AddAttributeError(at, problem.Summary, problem.Detail)
	case key.Doubt() != "":
		diags.AddAttributeWarning(at, "Bitbucket may refuse this key", key.Doubt())
	}
}}

// keyIDPattern matches the id of a deploy key of this provider or of another provider.
var keyIDPattern = regexp.MustCompile(`^(?:[^/]+/[^/]+/)?[1-9][0-9]{0,17}$`)

// keyIDValidator accepts an id that ends with the ID of a key, and warns that key_id is better.
// A deprecation in the schema would warn everybody who only reads the id.
var keyIDValidator = stringCheck{"must be workspace/repository/key_id, or the ID of a key", func(at path.Path, value string, diags *diag.Diagnostics) {
	if !keyIDPattern.MatchString(value) {
		addInvalid(diags, at, "Expected workspace/repository/key_id, or the ID of a key.")
		return
	}
	diags.AddAttributeWarning(at, "Setting id is deprecated", "The attribute id exists only for configurations of another provider. Set key_id to the ID of the key instead.")
}}

// positiveDurationValidator accepts a duration above zero. durationValidator also accepts
// zero.
var (
	positiveDurationValidator = newDurationValidator(1)
	durationValidator         = newDurationValidator(0)
)

// expectedDuration describes a duration.
const expectedDuration = "Expected a duration with its unit, for example \"30s\" or \"1m30s\"."

func newDurationValidator(least time.Duration) stringCheck {
	return stringCheck{"must be a duration like 30s", func(at path.Path, value string, diags *diag.Diagnostics) {
		if duration, err := time.ParseDuration(value); err != nil || duration < least {
			diags.AddAttributeError(at, "Invalid duration", expectedDuration)
		}
	}}
}

// patternValidator accepts a regular expression.
var patternValidator = stringCheck{"must be a regular expression", func(at path.Path, value string, diags *diag.Diagnostics) {
	if _, err := regexp.Compile(value); err != nil {
		addInvalid(diags, at, "Expected a regular expression in the syntax of RE2, as in Terraform's regex(): "+err.Error()+".")
	}
}}

// fingerprintPattern matches a fingerprint as ssh-keygen -l prints it.
var fingerprintPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// fingerprintValidator accepts a fingerprint as ssh-keygen -l prints it.
func fingerprintValidator() validator.String {
	return stringvalidator.RegexMatches(fingerprintPattern, "must be a fingerprint as ssh-keygen -l prints it: SHA256:…")
}

// uuidPattern matches a UUID as Bitbucket writes it.
var uuidPattern = regexp.MustCompile(`^\{[0-9A-Za-z-]+\}$`)

// uuidValidator accepts the UUID of an environment.
func uuidValidator() validator.String {
	return stringvalidator.RegexMatches(uuidPattern, "must be a UUID in braces")
}

// oauthTokenValidator rejects oauth_token, the name that other providers use for token, and
// names the attribute to use. A deprecation in the schema would make Terraform print the
// source line with the token.
type oauthTokenValidator struct{}

// Description describes the accepted values.
func (oauthTokenValidator) Description(context.Context) string { return "must not be set" }

// MarkdownDescription describes the accepted values.
func (v oauthTokenValidator) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

// ValidateString rejects any value, also an unknown value. The error is not on the
// attribute, because Terraform would print the source line with the token.
func (oauthTokenValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() {
		resp.Diagnostics.AddError("Write token, not oauth_token", "The provider block sets oauth_token, which is the name that other Bitbucket providers use. "+
			"Set token instead, without username. The environment variable BITBUCKET_OAUTH_TOKEN works unchanged.")
	}
}
