package bitbucket

import (
	"strings"
	"testing"
)

func TestParent_names(t *testing.T) {
	t.Parallel()
	for text, parent := range map[string]Parent{
		"mleu/test":             {Workspace: "mleu", Repository: "test", UUID: "{1}"},
		"standard/TEST_PROJECT": {Workspace: "standard", Project: "TEST_PROJECT", UUID: "{1}"},
		"mleu":                  {Workspace: "mleu"},
	} {
		if got := parent.String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
		_, name, _ := strings.Cut(text, "/")
		if got := parent.Name(); got != name {
			t.Errorf("%s: got the name %q, want %q", text, got, name)
		}
	}
}

func TestParent_lower(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ parent, want Parent }{
		{Parent{Workspace: "MLeu", Repository: "Test", UUID: "{A}"}, Parent{Workspace: "mleu", Repository: "test"}},
		{Parent{Workspace: "{A}", Repository: "{B}"}, Parent{Workspace: "{a}", Repository: "{b}"}},
		{Parent{Workspace: "mleu", Project: "WEB"}, Parent{Workspace: "mleu", Project: "web"}},
	} {
		if got := tc.parent.Lower(); got != tc.want {
			t.Errorf("got %+v, want %+v", got, tc.want)
		}
	}
}

func TestIsSlugOrUUID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"website": true, "Web.Site_1-2": true, "...": true, "-": true, "{0-9-a}": true, strings.Repeat("x", 128): true,
		"": false, ".": false, "..": false, "a/b": false, "../x": false, "%2e%2e": false, "a?b": false, "a#b": false, "a b": false, "é": false, "a\n": false,
		"{}": false, "{a": false, "a}": false, "{a}b": false, "{a.b}": false, "\x00": false, strings.Repeat("x", 129): false,
	} {
		if got := IsSlugOrUUID(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

func TestIsBareUUID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"85d08b4e-571d-44e9-a507-fa476535aa98": true, "85D08B4E-571D-44E9-A507-FA476535AA98": true,
		"{85d08b4e-571d-44e9-a507-fa476535aa98}": false, "85d08b4e-571d-44e9-a507": false, "85d08b4e571d44e9a507fa476535aa98": false,
		"85d08b4e-571d-44e9-a507-fa476535aa98-x": false, "g5d08b4e-571d-44e9-a507-fa476535aa98": false, "website": false, "": false,
	} {
		if got := IsBareUUID(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

func TestIsProjectKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"WEB": true, "W_1": true, "A": true, strings.Repeat("X", 128): true,
		"": false, "web": false, "Web": false, "1A": false, "_A": false, "A/B": false, "A%2FB": false, "..": false, "{A}": false, "A?B": false, "É": false, "A\n": false,
		"A-B": false, strings.Repeat("X", 129): false,
	} {
		if got := IsProjectKey(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}
