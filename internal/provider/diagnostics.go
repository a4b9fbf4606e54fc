package provider

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

// operation describes a kind of request for error messages.
type operation struct {
	// summary is the same for every error of the operation, so that people can search for it.
	summary string
	// request completes "Could not …". It has formatting verbs for the ID of
	// the key, if there is one, and for the parent.
	request string
	// deployKeys reports whether the operation is about deploy keys. Such an operation sets
	// only the scopes that it needs in addition to the administrator's scope, because oauth,
	// account and object follow from the kind of the parent. Every other operation sets all
	// four fields.
	deployKeys bool
	// scopes are the scopes of an API token, and oauth are the scopes of an OAuth consumer.
	// account describes the account that they must belong to.
	scopes, oauth, account string
	// object is the object that a 404 or a redirect concerns.
	object string
	// verb names the change to deploy keys, "" if the operation only reads. ownScope is the
	// scope of an API token that the change certainly needs in addition to the administrator's
	// scope. scopes may have more than Bitbucket needs, because the documentation is ambiguous.
	verb, ownScope string
	// writes reports whether the operation changes deploy keys. Bitbucket accepts no access
	// tokens for such an operation. creates reports whether the operation adds a key.
	writes, creates bool
}

var (
	createDeployKey = operation{
		summary:    "Unable to create deploy key",
		request:    "add a deploy key to %s",
		deployKeys: true,
		scopes:     " and write:ssh-key:bitbucket",
		verb:       "add",
		ownScope:   "write:ssh-key:bitbucket",
		writes:     true,
		creates:    true,
	}
	readDeployKey = operation{
		summary:    "Unable to read deploy key",
		request:    "read deploy key %d of %s",
		deployKeys: true,
	}
	listDeployKeys = operation{
		summary:    "Unable to list deploy keys",
		request:    "list the deploy keys of %s",
		deployKeys: true,
	}
	updateDeployKey = operation{
		summary:    "Unable to update deploy key",
		request:    "update deploy key %d of %s",
		deployKeys: true,
		scopes:     " and write:ssh-key:bitbucket",
		verb:       "update",
		ownScope:   "write:ssh-key:bitbucket",
		writes:     true,
	}
	deleteDeployKey = operation{
		summary:    "Unable to delete deploy key",
		request:    "delete deploy key %d of %s",
		deployKeys: true,
		scopes:     ", write:ssh-key:bitbucket and delete:ssh-key:bitbucket",
		verb:       "delete",
		ownScope:   "delete:ssh-key:bitbucket",
		writes:     true,
	}
	listRepositories = operation{
		summary: "Unable to list repositories",
		request: "list the repositories of %s",
		scopes:  "read:repository:bitbucket",
		oauth:   "repository",
		account: "that can see the workspace",
		object:  "workspace",
	}
	listProjects = operation{
		summary: "Unable to list projects",
		request: "list the projects of %s",
		scopes:  "read:project:bitbucket",
		oauth:   "project",
		account: "that can see the workspace",
		object:  "workspace",
	}
	listDeployments = operation{
		summary: "Unable to list deployments",
		request: "list the deployments of %s",
		scopes:  "read:pipeline:bitbucket and, for a repository that never deployed, read:repository:bitbucket",
		oauth:   "pipeline and repository",
		account: "that can read the repository",
		object:  "repository",
	}
	listEnvironments = operation{
		summary: "Unable to list environments",
		request: "list the environments of %s",
		scopes:  "read:pipeline:bitbucket and, for a repository without environments, read:repository:bitbucket",
		oauth:   "pipeline and repository",
		account: "that can read the repository",
		object:  "repository",
	}
)

// requiredCredentials describes the credentials that the operation needs.
func (o operation) requiredCredentials(kind *parentKind) string {
	scopes, oauth, account := o.scopes, o.oauth, o.account
	if o.deployKeys {
		scopes = fmt.Sprintf("admin:%s:bitbucket%s", kind.attribute, o.scopes)
		oauth = fmt.Sprintf("%s and %[1]s:admin", kind.attribute)
		account = fmt.Sprintf("that is an administrator of the %s", kind.attribute)
	}
	return fmt.Sprintf("The request needs an account %s. Scopes of its API token: %s (OAuth: %s).", account, scopes, oauth)
}

// addError reports an operation that failed: what was requested, Bitbucket's reply, and what to
// do now. id is the ID of the key, 0 for none. more has further paragraphs. If a paragraph has a
// link to a guide, addError does not add the link for Bitbucket's reply.
func (o operation) addError(diags *diag.Diagnostics, parent bitbucket.Parent, id int64, err error, more ...string) {
	o.addWriteError(diags, parent, id, deploykeys.Result{Outcome: deploykeys.Refused, Err: err}, more...)
}

// addWriteError reports a write that was refused or whose outcome is unknown.
func (o operation) addWriteError(diags *diag.Diagnostics, parent bitbucket.Parent, id int64, result deploykeys.Result, more ...string) {
	request := fmt.Sprintf(o.request, describeParent(parent))
	if id != 0 {
		request = fmt.Sprintf(o.request, id, describeParent(parent))
	}
	advice, heading := o.advice(kindOf(parent), result)
	if exists, ok := errors.AsType[*deploykeys.ExistsError](result.Err); ok {
		advice, heading = importAdvice(parent, exists)
	}
	parts := append([]string{"Could not " + request + ".", describe(result), o.maybeDone(result), advice}, more...)
	if !slices.ContainsFunc(more, func(part string) bool { return strings.Contains(part, guides) }) {
		parts = append(parts, linkTo(heading))
	}
	diags.AddError(o.summary, strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n\n"))
}

// addHostKeysError reports that the host keys at this address could not be read. A request
// for them has no credentials, so the advice about a refusal names neither scopes nor accounts.
func addHostKeysError(diags *diag.Diagnostics, address string, err error) {
	result := deploykeys.Result{Outcome: deploykeys.Refused, Err: err}
	advice, heading := listDeployKeys.advice(repositoryKind, result)
	failed, ok := errors.AsType[*bitbucket.Error](err)
	if ok && (errors.Is(err, bitbucket.ErrUnusable) || failed.Err == nil && failed.Status < 500 && failed.Status != http.StatusTooManyRequests) {
		heading = ""
		advice = "Either the reply is not from Bitbucket, or Bitbucket now publishes its host keys in another form. Open the address in a browser, " +
			"and check base_url and the proxy (HTTPS_PROXY) between this machine and Bitbucket. The request has no credentials, so a different token or scope does not help."
	}
	parts := []string{"Could not read the host keys of Bitbucket's SSH server at " + address + ".", describe(result), advice, linkTo(heading)}
	diags.AddError("Unable to read SSH host keys", strings.TrimSpace(strings.Join(parts, "\n\n")))
}

// describe returns Bitbucket's reply, one fact on each line.
func describe(result deploykeys.Result) string {
	refused, ok := errors.AsType[*bitbucket.Error](result.Err)
	if !ok {
		return result.Err.Error()
	}
	lines := []string{strings.TrimSpace(fmt.Sprintf("%s %s: %d %s", refused.Method, refused.Path, refused.Status, http.StatusText(refused.Status)))}
	if refused.Err != nil || refused.Described {
		lines[0] = refused.Error()
	}
	line := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	if !refused.Described && !refused.FromFields {
		line("Bitbucket says", refused.Message)
	}
	line("Detail", refused.Detail)
	for _, field := range slices.Sorted(maps.Keys(refused.Fields)) {
		text := strings.Join(refused.Fields[field], " ")
		if refused.FromFields {
			line("Bitbucket says about "+field, text)
		} else if !strings.HasSuffix(refused.Message, field+": "+text) {
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
			line("Bitbucket accepts requests again at", limit.Until.Format(time.RFC3339))
		}
	}
	line("Request ID", refused.RequestID)
	if unreadable, ok := errors.AsType[*deploykeys.UnreadableError](result.Err); ok {
		line("Entries without a readable key", unreadable.Entries())
	}
	if result.LookupErr != nil {
		line("The lookup failed too", result.LookupErr.Error())
	}
	return strings.Join(lines, "\n")
}

// importAdvice describes how to manage a key that exists already, and returns the heading that
// explains it. The state cannot be read here, so the advice has a case for each state.
func importAdvice(parent bitbucket.Parent, exists *deploykeys.ExistsError) (advice, heading string) {
	kind, key := kindOf(parent), &exists.Existing
	id := deployKeyID(parent, key.ID)
	if exists.AddedHere {
		return fmt.Sprintf("Another resource of this configuration has just added this key, as deploy key %d. Bitbucket accepts a key once in a %s. Remove one of the two resources.", key.ID, kind.attribute),
			"errors-deploy-keys#same-deploy-key-twice"
	}
	return fmt.Sprintf("The %[1]s has this key already: deploy key %[2]d, label %[3]q, added %[4]q. Bitbucket accepts a key once in a %[1]s.\n\n"+
			"If no resource has this key yet, import it with this block and apply again:\n\n"+
			"  import {\n    to = %[5]s.NAME\n    id = %[6]q\n  }\n\nor with this command:\n\n  terraform import %[5]s.NAME %[6]s\n\n"+
			"If another resource had this key, and only its name, its for_each key or its module has changed, do not import the key. Apply again, or add a moved block first:\n\n"+
			"  moved {\n    from = %[5]s.OLD_NAME\n    to   = %[5]s.NEW_NAME\n  }\n\n"+
			"If this resource has the key in the state (see \"terraform state show ADDRESS\"), do not import the key. With create_before_destroy, a key cannot be replaced by itself. "+
			"Remove create_before_destroy from this resource. If this resource does not set it, a resource that depends on the key sets it, because Terraform applies create_before_destroy "+
			"to all dependencies too. Look in the resources that refer to the key or name it in depends_on.", kind.attribute, key.ID, key.Label, key.CreatedOn, kind.typeName, id),
		"errors-deploy-keys#deploy-key-exists-already"
}

// addWithheld reports a key that was not removed, because a create of this run wants it.
func addWithheld(diags *diag.Diagnostics, parent bitbucket.Parent, id int64) {
	diags.AddError(deleteDeployKey.summary, fmt.Sprintf("Deploy key %d of %s was not removed, because another resource of this configuration needs the same key. "+
		"Terraform runs too few operations at once, so this resource could not hand the key over to the other resource. Nothing is lost: apply again. "+
		"A moved block, or a higher -parallelism, does this in one apply.\n\n%s", id, describeParent(parent), linkTo("errors-deploy-keys#deploy-key-was-not-removed")))
}

// useAPIToken is the advice for a request that accepts no access token.
const useAPIToken = "Use an API token: set username to the e-mail address of an Atlassian account, and token to its API token."

// waysToUpdate lists what to do if Bitbucket refuses an update.
const waysToUpdate = "Choose one:\n\n" +
	"  - Replace this key once: terraform apply -replace=ADDRESS\n" +
	"  - Replace a key whenever its label or comment changes:\n" +
	"    update_strategy = \"replace\" in the provider block\n" +
	"  - Keep the label and the comment that Bitbucket has:\n" +
	"    lifecycle { ignore_changes = [label, comment] } in the resource\n\n" +
	"A replacement removes the key from the repository for a moment."

// advice describes what to do about an error, and returns the heading that explains it: see
// [linkTo]. Both are "" if there is nothing to add to Bitbucket's reply.
func (o operation) advice(kind *parentKind, result deploykeys.Result) (advice, heading string) {
	err := result.Err
	refused, ok := errors.AsType[*bitbucket.Error](err)
	_, refusesAccessToken := errors.AsType[*bitbucket.AccessTokenError](err)
	_, refusesAccount := errors.AsType[*bitbucket.AccessRuleError](err)
	_, refusesUpdate := errors.AsType[*bitbucket.ImmutableKeyError](err)
	_, inUse := errors.AsType[*bitbucket.KeyInUseError](err)
	_, unreadable := errors.AsType[*deploykeys.UnreadableError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "The run was stopped. Run Terraform again.", "errors-network#the-run-was-stopped"
	case !ok && errors.Is(err, deploykeys.ErrNameReused):
		return "", "errors-not-found#the-name-now-belongs-to-a-different-repository"
	case !ok && unreadable:
		return adviceUnreadable, "errors-not-found#bitbucket-lists-entries-without-a-readable-key"
	case !ok:
		return "", ""
	case refused.ForToken() && isRefusal(refused):
		return "Bitbucket issued no access token for the OAuth consumer, so no other request was sent. Check oauth_client_id and oauth_client_secret. The consumer must be marked as private.",
			"errors-credentials#no-access-token-for-the-oauth-consumer"
	case refused.Err != nil:
		return adviceWithoutReply(refused)
	}
	scopes, object := o.requiredCredentials(kind), cmp.Or(o.object, kind.attribute)
	adds := refused.Method == http.MethodPost
	switch status := refused.Status; {
	case status == http.StatusUnauthorized:
		return "The credentials are invalid or expired. Check first whether the token has expired. An API token needs username, the e-mail address of its Atlassian account: " +
			"Bitbucket may refuse an API token without it. An access token must not have a username.\n\n" + scopes, "errors-credentials#401-unauthorized"
	case status == http.StatusForbidden && o.writes && refusesAccessToken:
		return "An access token of a repository, project or workspace can read deploy keys, but cannot add, update or delete them. No scope changes that. " + useAPIToken + "\n\n" + scopes,
			"errors-credentials#access-tokens-cannot-change-deploy-keys"
	case refusesAccount:
		return "The workspace admits only some IP addresses, or only accounts with two-step verification. A different token or scope does not help. " +
				"Run Terraform from an allowed IP address, turn on two-step verification for the account, or ask an administrator of the workspace.",
			"errors-credentials#the-workspace-admits-only-some-ip-addresses"
	case (status == http.StatusForbidden || status == http.StatusNotFound) && refused.IsPage():
		return otherServer, "errors-network#the-reply-is-not-from-bitbuckets-api"
	case status == http.StatusForbidden && len(refused.Required) > 0:
		return "The token lacks a scope. A scope cannot be added to a token: create a new token.\n\n" + scopes, "errors-credentials#your-credentials-lack-one-or-more-required-privilege-scopes"
	case status == http.StatusForbidden:
		return "The credentials are valid, but they lack a permission.\n\n" + scopes, "errors-credentials#403-forbidden"
	case status == http.StatusNotFound:
		return adviceNotFound(err, refused, object, scopes), "errors-not-found#404-not-found"
	case status == http.StatusTooManyRequests:
		return "Bitbucket allows about 1,000 requests an hour for one user, and more on some plans. Each request counts for one hour. " +
			"Run again later, or raise max_rate_limit_wait so that the run waits longer.", "errors-network#429-too-many-requests"
	case status >= 500:
		return "Bitbucket failed. See https://bitbucket.status.atlassian.com for outages, and run Terraform again later.", "errors-network#bitbucket-failed"
	case refusesUpdate:
		return "Bitbucket refuses to update this key. Nothing was changed. " + waysToUpdate, "errors-deploy-keys#bitbucket-refuses-to-update-this-key"
	case status == http.StatusBadRequest && adds && result.LookupErr != nil:
		return fmt.Sprintf("If the %s has the key already, import it: terraform import ADDRESS WORKSPACE/%s/KEY_ID.", kind.attribute, kind.placeholder()),
			"errors-deploy-keys#deploy-key-exists-already"
	case inUse && result.Outcome == deploykeys.Refused:
		return fmt.Sprintf("This %s does not have the key, so a user account or a workspace has it. Bitbucket accepts the same key either there, or on repositories and projects. "+
			"Remove the key from the user account or workspace, or make another key for the %[1]s.", kind.attribute), "errors-deploy-keys#someone-has-already-registered-that-ssh-key"
	case status >= 300 && status < 400:
		names := "workspace, " + object
		if object == "workspace" {
			names = object
		}
		return "The address has moved. Either the " + object + " has another name now, or the reply is not from Bitbucket's API. Check " + names +
			", base_url and the proxy (HTTPS_PROXY) between this machine and Bitbucket.", "errors-not-found#the-address-has-moved"
	case status < 300:
		return otherServer, "errors-network#the-reply-is-not-from-bitbuckets-api"
	}
	return "", ""
}

// adviceNotFound describes what to do about a 404. It begins with the most frequent cause, a
// typo. object is the object that the request concerns. If its workspace does not exist, the
// advice names no scopes, because they would not help.
func adviceNotFound(err error, refused *bitbucket.Error, object, scopes string) string {
	notFound, isParent := errors.AsType[*bitbucket.ParentNotFoundError](err)
	names, missing := "workspace and "+object, "the "+object
	switch {
	case object == "workspace":
		names = object
	case isParent && notFound.Workspace:
		names, missing, scopes = "workspace", "the workspace", "The workspace is the first name in the address of the "+object+", for example my-workspace in bitbucket.org/my-workspace."
	case !isParent && strings.Contains(refused.Path, "/deploy-keys/"):
		names, missing = "workspace, "+object+" and the ID of the key", "the deploy key or its "+object
	}
	return fmt.Sprintf("Check %s for a typo first. If there is none, %s was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.\n\n%s", names, missing, scopes)
}

// isRefusal reports whether Bitbucket has refused this one request. During a rate limit or
// an outage, Bitbucket would refuse any request.
func isRefusal(failed *bitbucket.Error) bool {
	return failed.Err == nil && failed.Status >= 400 && failed.Status < 500 && failed.Status != http.StatusTooManyRequests
}

// adviceUnreadable is the advice for entries of a list that cannot be read.
const adviceUnreadable = "Open the list of access keys in Bitbucket's settings. Remove such an entry there, or report it to Atlassian."

const otherServer = "The reply is not from Bitbucket's API. Check base_url and the proxy (HTTPS_PROXY) between this machine and Bitbucket."

// adviceWithoutReply describes what to do if no usable reply arrived, and returns the heading
// that explains it.
func adviceWithoutReply(failed *bitbucket.Error) (advice, heading string) {
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](failed.Err); untrusted {
		return "This machine does not trust the certificate. Either a proxy opens the connection, or base_url leads to another server. If this is intended, add the certificate authority: " +
			"on Linux, set SSL_CERT_FILE to a PEM file with the authority; on other systems, add the authority to the certificates of the system.", "errors-network#failed-to-verify-certificate"
	}
	if errors.Is(failed.Err, bitbucket.ErrProxyCredentials) {
		return "The proxy requires a user name and a password. Put both into HTTPS_PROXY.", "errors-network#407-proxy-authentication-required"
	}
	if errors.Is(failed.Err, bitbucket.ErrUnusable) {
		return otherServer, "errors-network#the-reply-is-not-from-bitbuckets-api"
	}
	return "No usable reply arrived. Check base_url, the network and the proxy (HTTPS_PROXY) between this machine and Bitbucket.", "errors-network#no-usable-reply-arrived"
}

// maybeDone describes a write that Bitbucket may have carried out although it failed.
func (o operation) maybeDone(result deploykeys.Result) string {
	switch {
	case result.Outcome != deploykeys.Unknown || result.Key != nil: // A key in the result exists.
		return ""
	case !o.creates:
		return "Bitbucket may have made the change anyway. The next plan shows what Bitbucket has."
	}
	text := "Bitbucket may have added the key anyway. "
	if result.LookupErr == nil {
		text += "The provider looked for the key and did not find it. "
	}
	return text + "Apply again. If Bitbucket has the key then, the error shows how to import it."
}

// stateKept returns the advice for an object in the state whose parent Bitbucket does not find.
func stateKept(what string, parent bitbucket.Parent) string {
	return fmt.Sprintf("%[2]s is still in the Terraform state. If the %[1]s or its workspace was renamed, put the new name into the configuration "+
		"(workspace, %[1]s) and run \"terraform apply -refresh=false\" once. If the %[1]s was deleted, or its name now belongs to a different %[1]s, run \"terraform state rm ADDRESS\".", kindOf(parent).attribute, what)
}

// warnRenamed warns once for each repository that now has a different name than in the
// configuration. Bitbucket does not find a renamed project, so a project needs no warning.
func (d *providerData) warnRenamed(repository bitbucket.Parent, key *bitbucket.DeployKey, diags *diag.Diagnostics) {
	workspace, slug, ok := strings.Cut(key.Repository.FullName, "/")
	same := func(configured, now string) bool { return isUUID(configured) || strings.EqualFold(configured, now) }
	if !ok || same(repository.Workspace, workspace) && same(repository.Repository, slug) {
		return
	}
	repository.UUID = ""
	if _, warned := d.newNames.LoadOrStore(repository, key.Repository.FullName); !warned {
		diags.AddWarning("Repository has another name now", "The repository "+repository.String()+" is called "+strconv.Quote(key.Repository.FullName)+" now. Its deploy keys are unchanged. "+
			"Change workspace and repository in the configuration to the new name. This changes nothing in Bitbucket.")
	}
}

// newName returns the name that warnRenamed has reported.
func (d *providerData) newName(repository bitbucket.Parent) (name any, renamed bool) {
	repository.UUID = ""
	return d.newNames.Load(repository)
}

// warnHidden names the repositories or projects whose keys a search could not read.
func warnHidden(kind *parentKind, hidden []string, diags *diag.Diagnostics) {
	if len(hidden) == 0 {
		return
	}
	diags.AddWarning("Deploy keys of some "+kind.plural+" are not included", fmt.Sprintf("Bitbucket lists these %s (%d), but answered 403 or 404 to the requests for their deploy keys: %s. "+
		"The account must be an administrator of a %s to read its deploy keys.", kind.plural, len(hidden), shorten(hidden), kind.attribute))
}

// warnUnreadable names the entries that a search has left out because they have no readable
// key.
func warnUnreadable(kind *parentKind, unreadable []string, diags *diag.Diagnostics) {
	if len(unreadable) == 0 {
		return
	}
	diags.AddWarning("Deploy keys of some "+kind.plural+" cannot be read", fmt.Sprintf("Bitbucket lists entries without a readable key. They are not included: %s. %s "+
		"Until then, an exclusive set of such a %s removes no key.", shorten(unreadable), adviceUnreadable, kind.attribute))
}

// shorten joins the first names, and counts the rest.
func shorten(names []string) string {
	const most = 100
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
