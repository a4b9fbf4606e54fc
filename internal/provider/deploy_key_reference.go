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

// deployKeyReference names a key of a repository in one of the ways that people
// know it by.
type deployKeyReference struct {
	repository bitbucket.Place
	by         referenceKind
	value      string
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
const importForms = `one of
  acme/website/10958984                the number of the key
  acme/website/SHA256:…                its fingerprint, as ssh-keygen -l prints it
  acme/website/label:deploy            its label, if no other key has it
  https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/10958984
  https://bitbucket.org/acme/website/admin/access-keys/10958984
Workspace and repository may be UUIDs in braces. The bitbucket_deploy_keys data source lists the numbers.`

// parseDeployKeyReference reads an import id. ok is false for anything that is
// none of the forms.
func parseDeployKeyReference(text string) (reference deployKeyReference, ok bool) {
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		return parseDeployKeyURL(text)
	}
	if repository, id, ok := parseDeployKeyID(text); ok {
		return deployKeyReference{repository, byNumber, strconv.FormatInt(id, 10)}, true
	}
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 || !bitbucket.IsSlugOrUUID(parts[0]) || !bitbucket.IsSlugOrUUID(parts[1]) {
		return deployKeyReference{}, false
	}
	repository := bitbucket.Place{Workspace: parts[0], Repository: parts[1]}
	if label, is := strings.CutPrefix(parts[2], "label:"); is {
		return deployKeyReference{repository, byLabel, label}, true
	}
	return deployKeyReference{repository, byFingerprint, parts[2]}, fingerprintPattern.MatchString(parts[2])
}

// parseDeployKeyURL reads an address that was copied from a reply of the API or
// from a browser, on whatever host: nothing is sent there.
func parseDeployKeyURL(text string) (reference deployKeyReference, ok bool) {
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
	last := len(segments) - 1
	var names []string
	switch {
	case last >= 4 && segments[last-4] == "repositories" && segments[last-1] == "deploy-keys":
		names = segments[last-3 : last-1]
	case last == 4 && segments[2] == "admin" && segments[3] == "access-keys":
		names = segments[:2]
	default:
		return deployKeyReference{}, false
	}
	repository, id, ok := parseDeployKeyID(strings.Join(append(slices.Clone(names), segments[last]), "/"))
	return deployKeyReference{repository, byNumber, strconv.FormatInt(id, 10)}, ok
}

// find returns the one key that is meant, or reports which there are to choose
// from.
func (r deployKeyReference) find(keys []bitbucket.DeployKey, diags *diag.Diagnostics) *bitbucket.DeployKey {
	var matches []bitbucket.DeployKey
	for _, key := range keys {
		var attributes deployKeyAttributes
		attributes.flatten(r.repository, &key)
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
	detail, shown := fmt.Sprintf("%d deploy keys of %s have the %s. Use the number (key_id) of one of them:", len(matches), r.repository, wanted), matches
	if len(matches) == 0 {
		detail, shown = fmt.Sprintf("No deploy key of %s has the %s. The repository has these:", r.repository, wanted), all
		if len(all) == 0 {
			return fmt.Sprintf("No deploy key of %s has the %s: the repository has none.", r.repository, wanted)
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
