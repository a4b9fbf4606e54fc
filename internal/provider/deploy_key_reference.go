package provider

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// deployKeyReference names a key in one of the ways that people know it by.
type deployKeyReference struct {
	place bitbucket.Parent
	by    referenceKind
	value string
}

type referenceKind string

const (
	byNumber      referenceKind = "number"
	byLabel       referenceKind = "label"
	byFingerprint referenceKind = "fingerprint"
)

// id is the number of the key, if that is what it is known by.
func (r deployKeyReference) id() int64 {
	id, _ := strconv.ParseInt(r.value, 10, 64)
	return id
}

// importForms shows what terraform import takes.
func (k placeKind) importForms() string {
	name, api, page, names, list := "website", "repositories/acme/website", "acme/website/admin", "Workspace and repository may be UUIDs", "bitbucket_deploy_keys"
	if k == onProject {
		name, api, page, names, list = "WEB", "workspaces/acme/projects/WEB", "acme/workspace/projects/WEB/settings", "The workspace may be a UUID", "bitbucket_project_deploy_keys"
	}
	return fmt.Sprintf(`one of
  acme/%[1]s/10958984                the number of the key
  acme/%[1]s/SHA256:…                its fingerprint, as ssh-keygen -l prints it
  acme/%[1]s/label:deploy            its label, if no other key has it
  https://api.bitbucket.org/2.0/%s/deploy-keys/10958984
  https://bitbucket.org/%s/access-keys/10958984
%s in braces. The %s data source lists the numbers.`, name, api, page, names, list)
}

// parseDeployKeyReference reads an import id. ok is false for anything that is
// none of the forms.
func parseDeployKeyReference(on placeKind, text string) (reference deployKeyReference, ok bool) {
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		return parseDeployKeyURL(on, text)
	}
	if place, id, ok := parseDeployKeyID(on, text); ok {
		return deployKeyReference{place, byNumber, strconv.FormatInt(id, 10)}, true
	}
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 {
		return deployKeyReference{}, false
	}
	place, _, ok := parseDeployKeyID(on, parts[0]+"/"+parts[1]+"/1")
	if !ok {
		return deployKeyReference{}, false
	}
	if label, is := strings.CutPrefix(parts[2], "label:"); is {
		return deployKeyReference{place, byLabel, label}, true
	}
	return deployKeyReference{place, byFingerprint, parts[2]}, fingerprintPattern.MatchString(parts[2])
}

// parseDeployKeyURL reads an address that was copied from a reply of the API or
// from a browser, on whatever host: nothing is sent there.
func parseDeployKeyURL(on placeKind, text string) (reference deployKeyReference, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return deployKeyReference{}, false
	}
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if slices.Contains(segments, "access-keys") && u.Fragment != "" {
		segments = append(segments, u.Fragment)
	}
	for i, segment := range segments {
		if segments[i], err = url.PathUnescape(segment); err != nil {
			return deployKeyReference{}, false
		}
	}
	forms := []string{"repositories/*/*/deploy-keys/*", "^/*/*/admin/access-keys/*"}
	if on == onProject {
		forms = []string{"workspaces/*/projects/*/deploy-keys/*", "^/*/workspace/projects/*/settings/access-keys/*"}
	}
	for _, form := range forms {
		if names, ok := matchPath(form, segments); ok {
			place, id, ok := parseDeployKeyID(on, strings.Join(names, "/"))
			return deployKeyReference{place, byNumber, strconv.FormatInt(id, 10)}, ok
		}
	}
	return deployKeyReference{}, false
}

// matchPath returns what stands for the asterisks of a form at the end of a path,
// or in the whole of it where the form begins with ^.
func matchPath(form string, segments []string) (names []string, ok bool) {
	form, whole := strings.CutPrefix(form, "^/")
	wanted := strings.Split(form, "/")
	skip := len(segments) - len(wanted)
	if skip < 0 || whole && skip > 0 {
		return nil, false
	}
	for i, segment := range segments[skip:] {
		switch wanted[i] {
		case "*":
			names = append(names, segment)
		case segment:
		default:
			return nil, false
		}
	}
	return names, true
}

// find returns the one key that is meant, or reports which there are to choose
// from.
func (r deployKeyReference) find(keys []bitbucket.DeployKey, diags *diag.Diagnostics) *bitbucket.DeployKey {
	var matches []bitbucket.DeployKey
	for _, key := range keys {
		var attributes deployKeyModel
		attributes.flatten(r.place, &key)
		if r.value == map[referenceKind]string{
			byNumber: strconv.FormatInt(key.ID, 10), byLabel: key.Label, byFingerprint: attributes.FingerprintSHA256.ValueString(),
		}[r.by] {
			matches = append(matches, key)
		}
	}
	if len(matches) == 1 {
		return &matches[0]
	}
	diags.AddError("No single deploy key found", r.candidates(matches, keys))
	return nil
}

// candidates tells which keys there are to choose from.
func (r deployKeyReference) candidates(matches, all []bitbucket.DeployKey) string {
	wanted := fmt.Sprintf("%s %s", r.by, r.value)
	if r.by == byLabel {
		wanted = fmt.Sprintf("%s %q", r.by, r.value)
	}
	detail, shown := fmt.Sprintf("%d deploy keys of %s have the %s. Use the number (key_id) of one of them:", len(matches), r.place, wanted), matches
	if len(matches) == 0 {
		detail, shown = fmt.Sprintf("No deploy key of %s has the %s. The %s has these:", r.place, wanted, kindOf(r.place)), all
		if len(all) == 0 {
			return fmt.Sprintf("No deploy key of %s has the %s: the %s has none.", r.place, wanted, kindOf(r.place))
		}
	}
	const most = 25
	lines := []string{detail, ""}
	for i, key := range shown {
		if i == most {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(shown)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("  %d  %q", key.ID, key.Label))
	}
	return strings.Join(lines, "\n")
}
