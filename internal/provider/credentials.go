package provider

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// waysToAuthenticate lists environment variables, because a configuration that is committed
// should contain no secrets. The lines are short enough for a terminal, which does not wrap
// indented lines.
const waysToAuthenticate = "Choose one:\n\n" +
	"  - API token of an Atlassian account: BITBUCKET_USERNAME (its e-mail address)\n" +
	"    and BITBUCKET_TOKEN\n" +
	"  - access token, or API token sent as Bearer: BITBUCKET_TOKEN alone\n" +
	"  - OAuth access token: BITBUCKET_OAUTH_TOKEN\n" +
	"  - OAuth consumer: BITBUCKET_OAUTH_CLIENT_ID and BITBUCKET_OAUTH_CLIENT_SECRET\n\n" +
	"In the provider block, set username and token, or token alone, or oauth_client_id and oauth_client_secret."

// credentials returns the credentials, or reports why there are none. The provider block
// selects the method; the environment fills the gaps. If the block sets nothing, the
// environment selects the method too.
//
// No diagnostic is on an attribute that contains a secret, because Terraform would print
// the source lines of the attribute.
func (m *providerModel) credentials(environment func(string) string, diags *diag.Diagnostics) transport.Credentials {
	if m.refuseEmpty(diags) {
		return nil
	}
	// Files and CI variables often end in a newline, which is not part of the credential.
	getenv := func(name string) string { return strings.TrimSpace(environment(name)) }
	text := func(value types.String) string { return strings.TrimSpace(value.ValueString()) }
	username, token, password := text(m.Username), text(m.Token), text(m.Password)
	id, secret := text(m.OAuthClientID), text(m.OAuthClientSecret)
	basic, oauth := username+token+password != "", id+secret != ""
	switch {
	case basic && oauth:
		m.conflict(diags, "The provider block sets an OAuth consumer and also a username, token or password. Keep one of them.")
		return nil
	case token != "" && password != "":
		m.conflict(diags, "The provider block sets both token and password, which are two names for the same value. Keep one of them.")
		return nil
	case oauth:
		return oauthConsumer(id, secret, getenv, diags)
	case username == "" && token != "":
		return transport.Bearer{Token: token}
	case basic:
		return apiToken(username, token+password, getenv, diags)
	}
	return fromEnvironment(getenv, diags)
}

// refuseEmpty reports attributes that are set to "". The environment must not replace them,
// because it may belong to a different account.
func (m *providerModel) refuseEmpty(diags *diag.Diagnostics) bool {
	var empty []string
	for _, attribute := range []struct {
		name  string
		value types.String
	}{
		{"username", m.Username},
		{"token", m.Token},
		{"password", m.Password},
		{"oauth_client_id", m.OAuthClientID},
		{"oauth_client_secret", m.OAuthClientSecret},
	} {
		if !attribute.value.IsNull() && strings.TrimSpace(attribute.value.ValueString()) == "" {
			empty = append(empty, attribute.name)
		}
	}
	if len(empty) > 0 {
		diags.AddError("Empty Bitbucket credentials", "The provider block sets "+strings.Join(empty, " and ")+
			" to an empty string. Set a value, or null to use the environment.")
	}
	return len(empty) > 0
}

// conflict reports that two methods are set. The error is on an attribute without a secret.
func (m *providerModel) conflict(diags *diag.Diagnostics, detail string) {
	const summary = "Conflicting Bitbucket credentials"
	switch {
	case !m.OAuthClientID.IsNull():
		diags.AddAttributeError(path.Root("oauth_client_id"), summary, detail)
	case !m.Username.IsNull():
		diags.AddAttributeError(path.Root("username"), summary, detail)
	default:
		diags.AddError(summary, detail)
	}
}

// incomplete reports that one half of the credentials is missing. attribute is the half that
// is set, or "" if that half is a secret: Terraform would print its source line.
func incomplete(diags *diag.Diagnostics, attribute, detail string) {
	const summary = "Incomplete Bitbucket credentials"
	if attribute == "" {
		diags.AddError(summary, detail)
		return
	}
	diags.AddAttributeError(path.Root(attribute), summary, detail)
}

// apiToken completes a username or a password of the provider block from the environment.
func apiToken(username, token string, getenv func(string) string, diags *diag.Diagnostics) transport.Credentials {
	if token == "" {
		if token = firstSet(getenv, "BITBUCKET_TOKEN", "BITBUCKET_PASSWORD"); token == "" {
			incomplete(diags, "username", "There is a username but no token. Set token, or the BITBUCKET_TOKEN environment variable.")
			return nil
		}
	}
	if username == "" {
		if username = getenv("BITBUCKET_USERNAME"); username == "" {
			incomplete(diags, "", "There is a password but no username. Set username to the e-mail address of the Atlassian "+
				"account, or the BITBUCKET_USERNAME environment variable.")
			return nil
		}
	}
	return transport.Basic{Username: username, Token: token}
}

// oauthConsumer completes an OAuth consumer of the provider block from the environment.
func oauthConsumer(id, secret string, getenv func(string) string, diags *diag.Diagnostics) transport.Credentials {
	if secret == "" {
		if secret = getenv("BITBUCKET_OAUTH_CLIENT_SECRET"); secret == "" {
			incomplete(diags, "oauth_client_id", "There is an oauth_client_id but no oauth_client_secret. Set oauth_client_secret, or the "+
				"BITBUCKET_OAUTH_CLIENT_SECRET environment variable.")
			return nil
		}
	}
	if id == "" {
		if id = getenv("BITBUCKET_OAUTH_CLIENT_ID"); id == "" {
			incomplete(diags, "", "There is an oauth_client_secret but no oauth_client_id. Set oauth_client_id, or the "+
				"BITBUCKET_OAUTH_CLIENT_ID environment variable.")
			return nil
		}
	}
	return transport.OAuthConsumer{ID: id, Secret: secret}
}

// fromEnvironment returns the only method that the environment sets completely. It ignores
// incomplete credentials if a complete set exists, since other tools use the same
// variables.
func fromEnvironment(getenv func(string) string, diags *diag.Diagnostics) transport.Credentials {
	username, secret := getenv("BITBUCKET_USERNAME"), firstSet(getenv, "BITBUCKET_TOKEN", "BITBUCKET_PASSWORD")
	id, idSecret := getenv("BITBUCKET_OAUTH_CLIENT_ID"), getenv("BITBUCKET_OAUTH_CLIENT_SECRET")
	bearer, oauthToken := getenv("BITBUCKET_TOKEN"), getenv("BITBUCKET_OAUTH_TOKEN")

	var found []transport.Credentials
	var named []string
	add := func(method transport.Credentials, variables string) {
		found, named = append(found, method), append(named, variables)
	}
	if username != "" && secret != "" {
		add(transport.Basic{Username: username, Token: secret}, "BITBUCKET_USERNAME with BITBUCKET_TOKEN or BITBUCKET_PASSWORD")
	} else if bearer != "" && bearer != oauthToken {
		add(transport.Bearer{Token: bearer}, "BITBUCKET_TOKEN")
	}
	if oauthToken != "" {
		add(transport.Bearer{Token: oauthToken}, "BITBUCKET_OAUTH_TOKEN")
	}
	if id != "" && idSecret != "" {
		add(transport.OAuthConsumer{ID: id, Secret: idSecret}, "BITBUCKET_OAUTH_CLIENT_ID with BITBUCKET_OAUTH_CLIENT_SECRET")
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) > 1:
		diags.AddError("Conflicting Bitbucket credentials", "The environment has more than one set of credentials: "+
			strings.Join(named, "; ")+". Unset all but one of them, or set the credentials in the provider block.")
	case username+secret+id+idSecret != "":
		diags.AddError("Incomplete Bitbucket credentials", "The environment has only a part of the credentials. "+waysToAuthenticate)
	default:
		diags.AddError("Missing Bitbucket credentials", "Neither the provider block nor the environment has credentials. "+waysToAuthenticate)
	}
	return nil
}

func firstSet(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return value
		}
	}
	return ""
}
