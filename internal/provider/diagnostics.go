package provider

import (
	"cmp"
	"context"
	"crypto/x509"
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
	// asked completes "Bitbucket was asked to …", with the number of the key, if
	// there is one yet, and the repository to fill in.
	asked string
	// scopes are those of an API token, oauth those of an OAuth consumer.
	scopes, oauth string
	// account is whose they must be, an administrator's of the repository if "".
	account string
	// writes tells that access tokens are refused.
	writes bool
}

const oauthScopes = "repository and repository:admin"

var (
	createDeployKey = operation{
		summary: "Unable to create deploy key",
		asked:   "add a deploy key to %s",
		scopes:  "admin:repository:bitbucket and write:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
	readDeployKey = operation{
		summary: "Unable to read deploy key",
		asked:   "read deploy key %d of %s",
		scopes:  "admin:repository:bitbucket",
		oauth:   oauthScopes,
	}
	listDeployKeys = operation{
		summary: "Unable to list deploy keys",
		asked:   "list the deploy keys of %s",
		scopes:  "admin:repository:bitbucket",
		oauth:   oauthScopes,
	}
	listRepositories = operation{
		summary: "Unable to list repositories",
		asked:   "list the repositories of %s",
		scopes:  "read:repository:bitbucket",
		oauth:   "repository",
		account: "that can see the workspace",
	}
	updateDeployKey = operation{
		summary: "Unable to update deploy key",
		asked:   "update deploy key %d of %s",
		scopes:  "admin:repository:bitbucket and write:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
	deleteDeployKey = operation{
		summary: "Unable to delete deploy key",
		asked:   "delete deploy key %d of %s",
		scopes:  "admin:repository:bitbucket, write:ssh-key:bitbucket and delete:ssh-key:bitbucket",
		oauth:   oauthScopes,
		writes:  true,
	}
)

// addError reports that an operation failed on a key, 0 for none: what was asked,
// what Bitbucket said, and what can be done now.
func (o operation) addError(diags *diag.Diagnostics, repository bitbucket.Place, key int64, err error, more ...string) {
	asked := fmt.Sprintf(o.asked, repository)
	if key != 0 {
		asked = fmt.Sprintf(o.asked, key, repository)
	}
	done, advice := maybeDone(err), o.advice(err)
	if exists, ok := errors.AsType[*bitbucket.DeployKeyExistsError](err); ok {
		done, advice = "", adoption(repository, &exists.Existing)
	}
	parts := append([]string{"Bitbucket was asked to " + asked + ".", describe(err), done, advice}, more...)
	diags.AddError(o.summary, strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n\n"))
}

// describe tells what Bitbucket said, one fact a line.
func describe(err error) string {
	refused, ok := errors.AsType[*bitbucket.Error](err)
	if !ok {
		return err.Error()
	}
	lines := []string{strings.TrimSpace(fmt.Sprintf("%s %s: %d %s", refused.Method, refused.Path, refused.Status, http.StatusText(refused.Status)))}
	if refused.Err != nil {
		lines[0] = refused.Error()
	}
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
		if text := strings.Join(refused.Fields[field], " "); !strings.HasSuffix(refused.Message, text) {
			line("Field "+field, text)
		}
	}
	line("Required scopes", strings.Join(refused.Required, ", "))
	line("Granted scopes", strings.Join(refused.Granted, ", "))
	line("Retry after (seconds or a date)", refused.RetryAfter)
	if limit := refused.RateLimit; limit != nil {
		line("Limit", limit.Limit)
		line("Requests made by this run", strconv.Itoa(limit.Requests))
		if !limit.Until.IsZero() {
			line("Requests may go on at", limit.Until.Format(time.RFC3339))
		}
	}
	line("Request ID", refused.RequestID)
	if refused.Recovery != nil {
		line("To look for it failed as well", refused.Recovery.Error())
	}
	return strings.Join(lines, "\n")
}

// adoption tells how to manage a key that is there already.
func adoption(repository bitbucket.Place, key *bitbucket.DeployKey) string {
	id := deployKeyID(repository, key.ID)
	return fmt.Sprintf("The repository has this key already: deploy key %d, label %q, added %q. To manage it, import it with this block and apply again:\n\n"+
		"  import {\n    to = bitbucket_deploy_key.NAME\n    id = %q\n  }\n\nor with this command:\n\n  terraform import bitbucket_deploy_key.NAME %s\n\n"+
		"If it is in the state already, then it was to be replaced by the same key with create_before_destroy. That cannot work, since Bitbucket takes a key once in a repository: "+
		"remove create_before_destroy, so that the old one goes first.", key.ID, key.Label, key.CreatedOn, id, id)
}

// advice tells what to do about an error.
func (o operation) advice(err error) string {
	refused, ok := errors.AsType[*bitbucket.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "The run was stopped."
	case !ok:
		return ""
	case refused.ForToken():
		return "No access token could be had for the OAuth consumer, so nothing else was asked. Check oauth_client_id and oauth_client_secret; the consumer must be marked as private."
	case refused.Err != nil:
		return adviceWithoutAnswer(refused)
	}
	scopes := fmt.Sprintf("This needs an API token with the scopes %s (OAuth: %s), of an account %s.", o.scopes, o.oauth, cmp.Or(o.account, "that is an administrator of the repository"))
	adds := refused.Method == http.MethodPost
	switch status := refused.Status; {
	case status == http.StatusUnauthorized:
		return "The credentials are wrong or expired, or not of the kind they were sent as: an Atlassian API token needs username (the " +
			"e-mail address of the account) beside token; an access token goes without username. " + scopes
	case status == http.StatusForbidden && o.writes && refused.Says("authentication mechanism"):
		return "Bitbucket lets repository, project and workspace access tokens read deploy keys, but not add, update or delete them. Set username and token to an Atlassian account and its API token. " + scopes
	case status == http.StatusForbidden:
		return scopes
	case status == http.StatusNotFound:
		what := "the deploy key or its repository"
		if strings.HasSuffix(refused.Path, "/deploy-keys") {
			what = "the repository"
		} else if !strings.Contains(refused.Path, "/deploy-keys/") {
			what = "the workspace"
		}
		return "Either " + what + " was deleted or renamed, or these credentials cannot see it: Bitbucket answers all of that the same way. " + scopes
	case status == http.StatusTooManyRequests:
		return "Bitbucket allows about 1,000 requests an hour for one user, more for some plans. Run again later, or raise max_rate_limit_wait and max_retries to wait longer."
	case status >= 500:
		return "Bitbucket failed. Try again later; https://bitbucket.status.atlassian.com tells of outages."
	case status == http.StatusBadRequest && adds && refused.Recovery != nil:
		return "If the repository has the key already, import it: terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID."
	case status == http.StatusBadRequest && adds && !refused.Lost && refused.Says("already"):
		return "This repository does not have the key, so a user account or a workspace does: Bitbucket takes a key there or on repositories, not both. " +
			"Remove it there, or make another key for the repository."
	case status >= 300 && status < 400:
		return "The address has moved: the repository may have another name now, or something other than Bitbucket's API has answered. Check workspace, repository, base_url and the proxy (HTTPS_PROXY) between here and Bitbucket."
	case status < 300:
		return elsewhere
	}
	return ""
}

const elsewhere = "Something other than Bitbucket's API has answered. Check base_url and the proxy (HTTPS_PROXY) between here and Bitbucket."

// adviceWithoutAnswer tells what to do where no answer came, or none of use.
func adviceWithoutAnswer(failed *bitbucket.Error) string {
	if _, stranger := errors.AsType[x509.UnknownAuthorityError](failed.Err); stranger {
		return "Either a proxy stands between here and Bitbucket, or base_url leads to another server. If that is meant to be so, have this machine trust its " +
			"certificate: on Linux, set SSL_CERT_FILE to a PEM file with the authority that signed it; elsewhere, add the authority to the system's certificates."
	}
	if errors.Is(failed.Err, bitbucket.ErrUnusable) {
		return elsewhere
	}
	return "No answer came that could be used. Check base_url, the network and the proxy (HTTPS_PROXY) between here and Bitbucket."
}

// maybeDone tells of a write that may have been carried out although it failed.
func maybeDone(err error) string {
	failed, ok := errors.AsType[*bitbucket.Error](err)
	switch {
	case !ok || !failed.Lost || failed.Method == http.MethodGet:
		return ""
	case failed.Method != http.MethodPost:
		return "Bitbucket may have done it all the same. The next plan shows what there is."
	}
	text := "Bitbucket may have added the key all the same. "
	if failed.Recovery == nil {
		text += "It was not there when it was looked for. "
	}
	return text + "If it comes to be there, the next apply says that the key exists and how to import it."
}

// stateKept ends an error about a key that is managed.
const stateKept = "The key is still in the Terraform state. If the repository or its workspace was renamed, put the new name into the configuration " +
	"(workspace, repository) and run \"terraform apply -refresh=false\" once. If it is gone for good, remove the key from the state with \"terraform state rm ADDRESS\"."

// warnRenamed says once for each repository that it has another name than the
// configuration says.
func (d *providerData) warnRenamed(repository bitbucket.Place, key *bitbucket.DeployKey, diags *diag.Diagnostics) {
	workspace, slug, ok := strings.Cut(key.Repository.FullName, "/")
	same := func(configured, now string) bool { return isUUID(configured) || strings.EqualFold(configured, now) }
	if !ok || same(repository.Workspace, workspace) && same(repository.Repository, slug) {
		return
	}
	if _, warned := d.renamed.LoadOrStore(repository.String(), key.Repository.FullName); !warned {
		diags.AddWarning("Repository has another name now", "The repository "+repository.String()+" is called "+strconv.Quote(key.Repository.FullName)+" now. Its deploy keys were found there, "+
			"and stay what they are. Change workspace and repository in the configuration to the new name: that changes nothing at Bitbucket.")
	}
}

// warnHidden says which repositories a search of many could not look into.
func warnHidden(repositories []string, diags *diag.Diagnostics) {
	if len(repositories) == 0 {
		return
	}
	const most = 100
	names := strings.Join(repositories[:min(len(repositories), most)], ", ")
	if more := len(repositories) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	diags.AddWarning("Deploy keys of some repositories are not included", fmt.Sprintf("Bitbucket lists these repositories (%d), but answered 403 or 404 when it was asked for their deploy keys: %s. "+
		"The account must be an administrator of a repository to see its deploy keys.", len(repositories), names))
}
