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
	// request completes "Bitbucket was asked to …". It has formatting verbs for the ID of
	// the key, if there is one, and for the parent.
	request string
	// deployKeys reports whether the operation is about deploy keys. Then scopes are added to
	// the administrator's scope, and the kind of the parent gives oauth, account and object.
	// Every other operation sets scopes, oauth, account and object itself.
	deployKeys bool
	// scopes are the scopes of an API token, and oauth are the scopes of an OAuth consumer.
	// account describes the account that they must belong to.
	scopes, oauth, account string
	// object is the object that a 404 or a redirect concerns.
	object string
	// verb is what the operation does to deploy keys, if it changes them. ownScope is the scope
	// of an API token that it needs in addition to the administrator's scope. The
	// documentation can be read so that scopes has more than Bitbucket needs.
	verb, ownScope string
	// writes reports whether Bitbucket accepts no access tokens for the operation, and creates
	// whether the operation adds a key.
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
	return fmt.Sprintf("This needs an API token with the scopes %s (OAuth: %s), of an account %s.", scopes, oauth, account)
}

// addError reports an operation that failed: what was requested, Bitbucket's reply, and what to
// do now. id is the ID of the key, 0 for none. more are further paragraphs.
func (o operation) addError(diags *diag.Diagnostics, parent bitbucket.Parent, id int64, err error, more ...string) {
	o.addWriteError(diags, parent, id, deploykeys.Result{Outcome: deploykeys.Refused, Err: err}, more...)
}

// addWriteError reports a write that was refused or whose outcome is unknown.
func (o operation) addWriteError(diags *diag.Diagnostics, parent bitbucket.Parent, id int64, result deploykeys.Result, more ...string) {
	request := fmt.Sprintf(o.request, describeParent(parent))
	if id != 0 {
		request = fmt.Sprintf(o.request, id, describeParent(parent))
	}
	advice := o.advice(kindOf(parent), result)
	if exists, ok := errors.AsType[*deploykeys.ExistsError](result.Err); ok {
		advice = importAdvice(parent, exists)
	}
	parts := append([]string{"Bitbucket was asked to " + request + ".", describe(result), o.maybeDone(result), advice}, more...)
	diags.AddError(o.summary, strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n\n"))
}

// addHostKeysError reports that the host keys at this address could not be read. A request
// for them has no credentials, so the advice about a refusal names neither scopes nor accounts.
func addHostKeysError(diags *diag.Diagnostics, address string, err error) {
	result := deploykeys.Result{Outcome: deploykeys.Refused, Err: err}
	advice := listDeployKeys.advice(repositoryKind, result)
	failed, ok := errors.AsType[*bitbucket.Error](err)
	if ok && (errors.Is(err, bitbucket.ErrUnusable) || failed.Err == nil && failed.Status < 500 && failed.Status != http.StatusTooManyRequests) {
		advice = "Either something other than Bitbucket has answered, or Bitbucket publishes its host keys in another form now. Open the address in a browser, " +
			"and check base_url and the proxy (HTTPS_PROXY) between here and Bitbucket. The request has no credentials, so no token and no scope changes the answer."
	}
	diags.AddError("Unable to read SSH host keys", "Bitbucket was asked to show the host keys of its SSH server at "+address+".\n\n"+describe(result)+"\n\n"+advice)
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
		line("To look for it failed as well", result.LookupErr.Error())
	}
	return strings.Join(lines, "\n")
}

// importAdvice describes how to manage a key that exists already. The state cannot be read
// here, so the advice begins with the key that is in the state.
func importAdvice(parent bitbucket.Parent, exists *deploykeys.ExistsError) string {
	kind, key := kindOf(parent), &exists.Existing
	id := deployKeyID(parent, key.ID)
	if exists.AddedHere {
		return fmt.Sprintf("Another resource of this configuration has just added this key, as deploy key %d. Bitbucket accepts a key once in a %s: keep one of the two resources.", key.ID, kind.attribute)
	}
	return fmt.Sprintf("The %[1]s has this key already: deploy key %[2]d, label %[3]q, added %[4]q.\n\n"+
		"If this resource has the key in the state (see \"terraform state show ADDRESS\"), do not import the key. The key was to be replaced by the same key with create_before_destroy. "+
		"That cannot work, since Bitbucket accepts a key once in a %[1]s. Remove create_before_destroy from the lifecycle block of this resource. If this resource does not set it, "+
		"a resource that depends on the key sets it: Terraform applies create_before_destroy to all dependencies of such a resource too. Look in the resources that refer to the key or name it in depends_on.\n\n"+
		"If another resource of this configuration has the key, and only its name, its for_each key or its module has changed, apply again, or add a moved block first:\n\n"+
		"  moved {\n    from = %[5]s.OLD_NAME\n    to   = %[5]s.NEW_NAME\n  }\n\n"+
		"If no resource has it yet, import it with this block and apply again:\n\n"+
		"  import {\n    to = %[5]s.NAME\n    id = %[6]q\n  }\n\nor with this command:\n\n  terraform import %[5]s.NAME %[6]s", kind.attribute, key.ID, key.Label, key.CreatedOn, kind.typeName, id)
}

// addWithheld reports a key that was not removed, because a create of this run wants it.
func addWithheld(diags *diag.Diagnostics, parent bitbucket.Parent, id int64) {
	diags.AddError(deleteDeployKey.summary, fmt.Sprintf("Deploy key %d of %s was not removed, since another resource of this configuration wants the same key. That resource could not be created in this run "+
		"as long as this one had the key, and too few operations run at once for one to hand it over to the other. Nothing is lost: apply again. A moved block, or a higher -parallelism, does it in one apply.", id, describeParent(parent)))
}

// advice describes what to do about an error.
func (o operation) advice(kind *parentKind, result deploykeys.Result) string {
	err := result.Err
	refused, ok := errors.AsType[*bitbucket.Error](err)
	_, refusesAccessToken := errors.AsType[*bitbucket.AccessTokenError](err)
	_, refusesAccount := errors.AsType[*bitbucket.AccessRuleError](err)
	_, inUse := errors.AsType[*bitbucket.KeyInUseError](err)
	_, unreadable := errors.AsType[*deploykeys.UnreadableError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "The run was stopped."
	case !ok && unreadable:
		return adviceUnreadable
	case !ok:
		return ""
	case refused.ForToken() && isRefusal(refused):
		return "No access token could be had for the OAuth consumer, so nothing else was asked. Check oauth_client_id and oauth_client_secret; the consumer must be marked as private."
	case refused.Err != nil:
		return adviceWithoutReply(refused)
	}
	scopes, object := o.requiredCredentials(kind), cmp.Or(o.object, kind.attribute)
	adds := refused.Method == http.MethodPost
	switch status := refused.Status; {
	case status == http.StatusUnauthorized:
		return "The credentials are wrong or expired, or not of the kind they were sent as: an Atlassian API token needs username (the " +
			"e-mail address of the account) beside token; an access token goes without username. " + scopes
	case status == http.StatusForbidden && o.writes && refusesAccessToken:
		return "Bitbucket lets repository, project and workspace access tokens read deploy keys, but not add, update or delete them. Set username and token to an Atlassian account and its API token. " + scopes
	case refusesAccount:
		return "The workspace admits only some IP addresses, or only accounts with two-step verification. No other token and no scope changes that. " +
			"Run Terraform from an allowed IP address, turn on two-step verification for the account, or ask an administrator of the workspace."
	case status == http.StatusForbidden && refused.IsPage():
		return otherServer
	case status == http.StatusForbidden:
		return scopes
	case status == http.StatusNotFound:
		what := "the " + object
		if strings.Contains(refused.Path, "/deploy-keys/") {
			what = "the deploy key or its " + object
		}
		return "Either " + what + " was deleted or renamed, or these credentials cannot see it: Bitbucket answers all of that the same way. " + scopes
	case status == http.StatusTooManyRequests:
		return "Bitbucket allows about 1,000 requests an hour for one user, more for some plans. Run again later, or raise max_rate_limit_wait to wait longer: after an hour without requests, all of them are available again."
	case status >= 500:
		return "Bitbucket failed. Try again later; https://bitbucket.status.atlassian.com tells of outages."
	case status == http.StatusBadRequest && adds && result.LookupErr != nil:
		return fmt.Sprintf("If the %s has the key already, import it: terraform import ADDRESS WORKSPACE/%s/KEY_ID.", kind.attribute, kind.placeholder())
	case inUse && result.Outcome == deploykeys.Refused:
		return fmt.Sprintf("This %s does not have the key, so a user account or a workspace does: Bitbucket takes a key there or on repositories and projects, not both. "+
			"Remove it there, or make another key for the %[1]s.", kind.attribute)
	case status >= 300 && status < 400:
		names := "workspace, " + object
		if object == "workspace" {
			names = object
		}
		return "The address has moved: the " + object + " may have another name now, or something other than Bitbucket's API has answered. Check " + names + ", base_url and the proxy (HTTPS_PROXY) between here and Bitbucket."
	case status < 300:
		return otherServer
	}
	return ""
}

// isRefusal reports whether Bitbucket has refused this one request. During a rate limit or
// an outage, Bitbucket would refuse any request.
func isRefusal(failed *bitbucket.Error) bool {
	return failed.Err == nil && failed.Status >= 400 && failed.Status < 500 && failed.Status != http.StatusTooManyRequests
}

// adviceUnreadable is the advice for entries of a list that cannot be read.
const adviceUnreadable = "Look at the access keys in Bitbucket's settings: remove such an entry there, or report it to Atlassian."

const otherServer = "Something other than Bitbucket's API has answered. Check base_url and the proxy (HTTPS_PROXY) between here and Bitbucket."

// adviceWithoutReply describes what to do if no usable reply arrived.
func adviceWithoutReply(failed *bitbucket.Error) string {
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](failed.Err); untrusted {
		return "Either a proxy stands between here and Bitbucket, or base_url leads to another server. If that is meant to be so, have this machine trust its " +
			"certificate: on Linux, set SSL_CERT_FILE to a PEM file with the authority that signed it; elsewhere, add the authority to the system's certificates."
	}
	if errors.Is(failed.Err, bitbucket.ErrUnusable) {
		return otherServer
	}
	return "No answer came that could be used. Check base_url, the network and the proxy (HTTPS_PROXY) between here and Bitbucket."
}

// maybeDone describes a write that Bitbucket may have carried out although it failed.
func (o operation) maybeDone(result deploykeys.Result) string {
	switch {
	case result.Outcome != deploykeys.Unknown || result.Key != nil: // A key in the result is there.
		return ""
	case !o.creates:
		return "Bitbucket may have done it all the same. The next plan shows what there is."
	}
	text := "Bitbucket may have added the key all the same. "
	if result.LookupErr == nil {
		text += "It was not there when it was looked for. "
	}
	return text + "If it comes to be there, the next apply says that the key exists and how to import it."
}

// stateKept returns the advice for an object in the state whose parent Bitbucket does not find.
func stateKept(what string, parent bitbucket.Parent) string {
	return fmt.Sprintf("%[2]s is still in the Terraform state. If the %[1]s or its workspace was renamed, put the new name into the configuration "+
		"(workspace, %[1]s) and run \"terraform apply -refresh=false\" once. If the %[1]s is gone for good, or another one has its name, run \"terraform state rm ADDRESS\".", kindOf(parent).attribute, what)
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
		diags.AddWarning("Repository has another name now", "The repository "+repository.String()+" is called "+strconv.Quote(key.Repository.FullName)+" now. Its deploy keys were found there, "+
			"and stay what they are. Change workspace and repository in the configuration to the new name: that changes nothing at Bitbucket.")
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
	diags.AddWarning("Deploy keys of some "+kind.plural+" are not included", fmt.Sprintf("Bitbucket lists these %s (%d), but answered 403 or 404 when it was asked for their deploy keys: %s. "+
		"The account must be an administrator of a %s to see its deploy keys.", kind.plural, len(hidden), shorten(hidden), kind.attribute))
}

// warnUnreadable names the entries that a search has left out because they have no readable
// key.
func warnUnreadable(kind *parentKind, unreadable []string, diags *diag.Diagnostics) {
	if len(unreadable) == 0 {
		return
	}
	diags.AddWarning("Deploy keys of some "+kind.plural+" cannot be read", fmt.Sprintf("Bitbucket lists entries without a readable key, which are not included: %s. %s "+
		"An exclusive set of such a %s removes no key.", shorten(unreadable), adviceUnreadable, kind.attribute))
}

// shorten joins names, and counts those for which there is no room.
func shorten(names []string) string {
	const most = 100
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
