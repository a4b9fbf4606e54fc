package deploykeys

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestAliases_candidates(t *testing.T) {
	t.Parallel()
	inWorkspace := bitbucket.Parent{Workspace: "mleu", Repository: testUUID, UUID: testUUID}
	anywhere := bitbucket.Parent{Workspace: anyWorkspace, Repository: testUUID, UUID: testUUID}
	upper := bitbucket.Parent{Workspace: "MLEU", Repository: strings.ToUpper(testUUID), UUID: testUUID}
	for name, tc := range map[string]struct {
		parent, found bitbucket.Parent
		want          []bitbucket.Parent
	}{
		"unknown UUID":        {repository, bitbucket.Parent{}, []bitbucket.Parent{repository}},
		"known UUID":          {repositoryWithUUID, bitbucket.Parent{}, []bitbucket.Parent{repositoryWithUUID, inWorkspace, anywhere}},
		"found before":        {repositoryWithUUID, anywhere, []bitbucket.Parent{anywhere, repositoryWithUUID, inWorkspace}},
		"found under its own": {repositoryWithUUID, repositoryWithUUID, []bitbucket.Parent{repositoryWithUUID, inWorkspace, anywhere}},
		"by UUID":             {inWorkspace, bitbucket.Parent{}, []bitbucket.Parent{inWorkspace, anywhere}},
		"by UUID in capitals": {upper, bitbucket.Parent{}, []bitbucket.Parent{upper, {Workspace: anyWorkspace, Repository: testUUID, UUID: testUUID}}},
		"anywhere":            {anywhere, bitbucket.Parent{}, []bitbucket.Parent{anywhere}},
	} {
		var a aliases
		if (tc.found != bitbucket.Parent{}) {
			a.remember(tc.parent, tc.found)
		}
		if got := a.candidates(tc.parent); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

// A project has no alias, because Bitbucket does not accept its UUID.
func TestAliases_project(t *testing.T) {
	t.Parallel()
	var a aliases
	for _, parent := range []bitbucket.Parent{
		{Workspace: "standard", Project: "TEST_PROJECT"},
		{Workspace: "standard", Project: "TEST_PROJECT", UUID: projectUUID},
		{Workspace: "{1}", Project: "WEB", UUID: projectUUID},
	} {
		if got := a.candidates(parent); !slices.Equal(got, []bitbucket.Parent{parent}) {
			t.Errorf("%+v has the aliases %+v", parent, got)
		}
	}
}

func TestAliases_try(t *testing.T) {
	t.Parallel()
	notFound, redirect, other := &bitbucket.Error{Status: 404}, &bitbucket.Error{Status: 301}, errors.New("other")
	later := &bitbucket.Error{Status: 404}
	for name, tc := range map[string]struct {
		// errs are the errors of the aliases, in order.
		errs       []error
		want       error
		remembered bool
	}{
		"own name":              {[]error{nil}, nil, false},
		"own name, gone":        {[]error{ErrGone}, ErrGone, false},
		"own name, other error": {[]error{other}, other, false},
		"renamed":               {[]error{notFound, nil}, nil, true},
		"redirected":            {[]error{redirect, nil}, nil, true},
		"name reused":           {[]error{ErrNameReused, nil}, nil, true},
		"name reused, empty":    {[]error{errEmptyListing, nil}, nil, true},
		"renamed, gone":         {[]error{notFound, ErrGone}, ErrGone, true},
		"renamed, other error":  {[]error{notFound, other}, other, false},
		"moved":                 {[]error{notFound, notFound, nil}, nil, true},
		"not found":             {[]error{notFound, later, redirect}, notFound, false},
		"reused, not found":     {[]error{ErrNameReused, notFound, later}, ErrNameReused, false},
		"empty, not found":      {[]error{errEmptyListing, notFound, later}, errEmptyListing, false},
		"not found, empty":      {[]error{notFound, errEmptyListing, later}, errEmptyListing, false},
		"not found for a token": {[]error{&bitbucket.Error{Path: "/site/oauth2/access_token", Status: 404}}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a aliases
			var tried []bitbucket.Parent
			got, err := tryAliases(&a, repositoryWithUUID, func(alias bitbucket.Parent) (bitbucket.Parent, error) {
				tried = append(tried, alias)
				return alias, tc.errs[len(tried)-1]
			})
			if tc.want == nil {
				tc.want = tc.errs[len(tc.errs)-1]
			}
			if err != tc.want || got != tried[slices.Index(tc.errs, err)] { //nolint:errorlint // err must be exactly this error.
				t.Errorf("got %+v, %v, want %v and the alias of that error", got, err, tc.want)
			}
			if want := new(aliases).candidates(repositoryWithUUID)[:len(tc.errs)]; !slices.Equal(tried, want) {
				t.Errorf("tried %+v, want %+v", tried, want)
			}
			if first := a.candidates(repositoryWithUUID)[0]; tc.remembered != (first != repositoryWithUUID) || tc.remembered && first != tried[len(tried)-1] {
				t.Errorf("%+v is tried first now", first)
			}
		})
	}
}

// renames are the ways in which a repository with a known UUID can lose its name.
var renames = map[string]func(*emulator.Emulator){
	"renamed":          func(e *emulator.Emulator) { e.RenameRepository("mleu", "test", "new") },
	"workspace":        func(e *emulator.Emulator) { e.RenameWorkspace("mleu", "new") },
	"moved":            func(e *emulator.Emulator) { e.MoveRepository("mleu", "test", "other") },
	"renamed, retaken": func(e *emulator.Emulator) { e.RenameRepository("mleu", "test", "new"); retake(e) },
	"redirected": func(e *emulator.Emulator) {
		e.RenameRepository("mleu", "test", "new")
		moved := emulator.Redirect("https://elsewhere.example/")
		moved.Path = "/test/"
		e.Inject(moved)
	},
	"renamed, retaken, empty": func(e *emulator.Emulator) {
		e.RenameRepository("mleu", "test", "new")
		e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	},
	"moved, retaken, empty": func(e *emulator.Emulator) {
		e.MoveRepository("mleu", "test", "other")
		e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	},
	"moved, retaken": func(e *emulator.Emulator) { e.MoveRepository("mleu", "test", "other"); retake(e) },
}

// retake creates a different repository with the name mleu/test.
func retake(e *emulator.Emulator) {
	e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	e.AddDeployKey("mleu", "test", keyLine, "of another repository")
}

// The keys of a renamed repository are read, changed and removed under its new name.
func TestService_renamed(t *testing.T) {
	t.Parallel()
	for name, rename := range renames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, s := newEmulator(t)
			var ids []int64
			for i := range 20 {
				ids = append(ids, e.AddDeployKey("mleu", "test", publicKey(i), "").ID)
			}
			rename(e)
			for _, id := range ids {
				key, err := s.Get(t.Context(), repositoryWithUUID, id)
				if err != nil || key.ID != id || key.Repository.UUID != testUUID || key.Repository.FullName == "mleu/test" {
					t.Fatalf("got %+v, %v", key, err)
				}
			}
			if got := methods(e); strings.Count(got, "GET") > 6 && !strings.HasSuffix(name, "retaken") {
				t.Errorf("reading sent %s", got)
			}
			if keys, err := s.ListComplete(t.Context(), repositoryWithUUID); err != nil || !slices.Equal(idsOf(keys), ids) {
				t.Errorf("got %v, %v", idsOf(keys), err)
			}
			if _, err := s.Get(t.Context(), repositoryWithUUID, 1); !errors.Is(err, ErrGone) {
				t.Errorf("got %v for a key that is gone", err)
			}
			// The second service has not read anything yet.
			for i, s := range []*Service{s, newTestService(t, e, asUser)} {
				updated := s.Update(t.Context(), repositoryWithUUID, ids[i], bitbucket.DeployKeyInput{Key: publicKey(i), Label: "new"})
				if updated.Outcome != Done || updated.Err != nil || updated.Key.Label != "new" || updated.Key.Repository.UUID != testUUID {
					t.Errorf("got %+v", updated)
				}
				for range 2 { // The second time, the key is already gone.
					if result := s.Delete(t.Context(), repositoryWithUUID, ids[i], keyLine); result != done(nil) {
						t.Errorf("got %+v", result)
					}
				}
				if _, err := s.Get(t.Context(), repositoryWithUUID, ids[i]); !errors.Is(err, ErrGone) {
					t.Errorf("got %v for a key that was removed", err)
				}
			}
			if strings.HasSuffix(name, "retaken") && len(e.DeployKeys("mleu", "test")) != 1 {
				t.Error("the key of the other repository is gone")
			}
		})
	}
}

// If Bitbucket finds a repository under no alias, the error must not be ErrGone, because
// its keys may still exist.
func TestService_hidden(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*emulator.Emulator){
		"gone":          func(e *emulator.Emulator) { e.RemoveRepository("mleu", "test") },
		"gone, retaken": func(e *emulator.Emulator) { e.RemoveRepository("mleu", "test"); retake(e) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, s := newEmulator(t)
			id := e.AddDeployKey("mleu", "test", keyLine, "").ID
			remove(e)
			if _, err := s.Get(t.Context(), repositoryWithUUID, id); !bitbucket.IsNotFound(err) || errors.Is(err, ErrGone) {
				t.Errorf("get: got %v", err)
			}
			if result := s.Update(t.Context(), repositoryWithUUID, id, input); result.Outcome != Refused || !bitbucket.IsNotFound(result.Err) {
				t.Errorf("update: got %+v", result)
			}
			if result := s.Delete(t.Context(), repositoryWithUUID, id, keyLine); result.Outcome != Refused || !bitbucket.IsNotFound(result.Err) {
				t.Errorf("delete: got %+v", result)
			}
		})
	}
}

// A repository that was deleted and created again has none of its former keys.
func TestService_createdAgain(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	id := e.AddDeployKey("mleu", "test", keyLine, "").ID
	e.RemoveRepository("mleu", "test")
	e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	if _, err := s.Get(t.Context(), repositoryWithUUID, id); !errors.Is(err, ErrGone) {
		t.Errorf("get: got %v", err)
	}
	if keys, err := s.ListComplete(t.Context(), repositoryWithUUID); err != nil || len(keys) > 0 {
		t.Errorf("list: got %v, %v", keys, err)
	}
	if result := s.Delete(t.Context(), repositoryWithUUID, id, keyLine); result != done(nil) {
		t.Errorf("delete: got %+v", result)
	}
}

// To find out that a key is gone from a visible repository takes one request in addition to
// the listing. This request uses the UUID.
func TestGet_goneByUUID(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	e.AddDeployKey("mleu", "test", keyLine, "")
	_, err := s.Get(t.Context(), repositoryWithUUID, 1)
	requests := e.Requests()
	if !errors.Is(err, ErrGone) || len(requests) != 2 || !strings.Contains(requests[1].Path, "/mleu/%7B85d08b4e") {
		t.Errorf("got %v after %+v", err, requests)
	}
}

func TestMaybeSame(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"test", "test", true},
		{"test", "other", false},
		{"test", "{1}", true},
		{"{1}", "{1}", true},
		{"{1}", "{2}", false},
		{"{}", "{2}", true},
		{"{}", "test", true},
		{"", "", true},
		{"", "test", false},
	} {
		if maybeSame(tc.a, tc.b) != tc.want || maybeSame(tc.b, tc.a) != tc.want {
			t.Errorf("%q and %q: want %t", tc.a, tc.b, tc.want)
		}
	}
}
