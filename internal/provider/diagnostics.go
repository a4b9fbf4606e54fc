package provider

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// operation is something that Bitbucket is asked for, as errors tell of it.
type operation struct {
	// summary is the same for every error of the operation, to search for it.
	summary string
	// asked completes "Bitbucket was asked to … REPOSITORY".
	asked string
	// scopes are those of an API token, oauth those of an OAuth consumer.
	scopes, oauth string
	// writes tells that access tokens are refused.
	writes bool
}

const oauthScopes = "repository and repository:admin"

var (
	createDeployKey = operation{
		summary: "Unable to create deploy key",
		asked:   "add a deploy key to",
		scopes:  "admin:repository:bitbucket and write:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
	readDeployKey = operation{
		summary: "Unable to read deploy key",
		asked:   "read a deploy key of",
		scopes:  "admin:repository:bitbucket",
		oauth:   oauthScopes,
	}
	listDeployKeys = operation{
		summary: "Unable to list deploy keys",
		asked:   "list the deploy keys of",
		scopes:  "admin:repository:bitbucket",
		oauth:   oauthScopes,
	}
	updateDeployKey = operation{
		summary: "Unable to update deploy key",
		asked:   "update a deploy key of",
		scopes:  "admin:repository:bitbucket and write:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
	deleteDeployKey = operation{
		summary: "Unable to delete deploy key",
		asked:   "delete a deploy key of",
		scopes:  "admin:repository:bitbucket, write:ssh-key:bitbucket and delete:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
)

// addError reports that an operation failed: what was asked, what Bitbucket
// said, and what can be done now.
func (o operation) addError(diags *diag.Diagnostics, repository bitbucket.Repository, err error, more ...string) {
	parts := []string{fmt.Sprintf("Bitbucket was asked to %s %s.", o.asked, repository), describe(err), o.advice(err)}
	parts = append(parts, more...)
	diags.AddError(o.summary, strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n\n"))
}

// describe tells what Bitbucket said, one fact a line.
func describe(err error) string {
	refused, ok := errors.AsType[*bitbucket.Error](err)
	if !ok {
		return err.Error()
	}
	request := refused.Method + " " + refused.Path
	if refused.Err != nil {
		return request + ": " + refused.Err.Error()
	}
	lines := []string{strings.TrimSpace(fmt.Sprintf("%s: %d %s", request, refused.Status, http.StatusText(refused.Status)))}
	line := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	line("Bitbucket says", refused.Message)
	line("Detail", refused.Detail)
	fields := make([]string, 0, len(refused.Fields))
	for field := range refused.Fields {
		fields = append(fields, field)
	}
	slices.Sort(fields)
	for _, field := range fields {
		if text := strings.Join(refused.Fields[field], " "); text != refused.Message {
			line("Field "+field, text)
		}
	}
	line("Required scopes", strings.Join(refused.Required, ", "))
	line("Granted scopes", strings.Join(refused.Granted, ", "))
	line("Retry after", refused.RetryAfter)
	if limit := refused.RateLimit; limit != nil {
		line("Limit", limit.Limit)
		line("Requests made by this run", strconv.Itoa(limit.Requests))
		if !limit.Until.IsZero() {
			line("Requests may go on at", limit.Until.Format(time.RFC3339))
		}
	}
	line("Request ID", refused.RequestID)
	return strings.Join(lines, "\n")
}

// advice tells what to do about an error.
func (o operation) advice(err error) string {
	refused, ok := errors.AsType[*bitbucket.Error](err)
	if !ok {
		return ""
	}
	scopes := fmt.Sprintf("This needs an API token with the scopes %s (OAuth: %s), of an account that is an administrator of the repository.", o.scopes, o.oauth)
	switch {
	case refused.Err != nil && refused.Lost && refused.Method == http.MethodPost:
		return "No answer came, so Bitbucket may have added the key. If it did, the next apply says that the key exists: import it, or delete it in the repository's settings."
	case refused.Err != nil:
		return "No answer came that could be used. Check base_url, the network and the proxy (HTTPS_PROXY) between here and Bitbucket."
	case refused.Status == http.StatusUnauthorized:
		return "The credentials are wrong or expired, or not of the kind they were sent as: an Atlassian API token needs username (the " +
			"e-mail address of the account) beside token; an access token goes without username. " + scopes
	case refused.Status == http.StatusForbidden && o.writes && strings.Contains(refused.Message, "authentication mechanism"):
		return "Bitbucket lets repository, project and workspace access tokens read deploy keys, but not add, update or delete them. Set username and token to an Atlassian account and its API token. " + scopes
	case refused.Status == http.StatusForbidden:
		return scopes
	case refused.Status == http.StatusNotFound:
		what := "the repository"
		if !strings.HasSuffix(refused.Path, "/deploy-keys") {
			what = "the deploy key or its repository"
		}
		return "Either " + what + " was deleted or renamed, or these credentials cannot see it: Bitbucket answers all of that the same way. " + scopes
	case refused.Status == http.StatusTooManyRequests:
		return "Bitbucket allows about 1,000 requests an hour for one user, more for some plans. Run again later, or raise max_rate_limit_wait and max_retries to wait longer."
	case refused.Status >= 500 && refused.Method == http.MethodPost:
		return "Bitbucket failed, and may have added the key all the same. If it did, the next apply says that the key exists: import it, or delete it in the repository's settings."
	case refused.Status >= 500:
		return "Bitbucket failed. Try again later; https://bitbucket.status.atlassian.com tells of outages."
	case refused.Status == http.StatusBadRequest && refused.Method == http.MethodPost:
		return "If the key is on this repository already, import it: terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID."
	case refused.Status < 400:
		return "Something other than Bitbucket's API has answered. Check base_url and the proxy (HTTPS_PROXY) between here and Bitbucket."
	}
	return ""
}

// stateKept ends an error about a key that is managed.
const stateKept = "The key is still in the Terraform state. If the repository was renamed, put its new name into the configuration and run " +
	"\"terraform apply -refresh=false\" once. If it is gone for good, remove the key from the state with \"terraform state rm ADDRESS\"."
