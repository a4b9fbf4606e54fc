package terraformcli

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestFindAll(t *testing.T) {
	bin, cache := isolate(t)
	if all, err := FindAll(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v; want no command", all, err)
	}
	script(t, filepath.Join(bin, "terraform"), terraform)
	script(t, filepath.Join(cache, "terraform"), terraform)
	script(t, filepath.Join(cache, "tofu"), openTofu)
	all, err := FindAll(t.Context())
	if want := []CLI{{filepath.Join(bin, "terraform"), false, "1.14.0"}, {filepath.Join(cache, "tofu"), true, "1.12.6"}}; err != nil || !slices.Equal(all, want) {
		t.Errorf("got %v, %v; want each version once", all, err)
	}
	named := script(t, filepath.Join(t.TempDir(), "named"), openTofu)
	t.Setenv(enginesVariable, named+"  terraform")
	if all, err = FindAll(t.Context()); err != nil || len(all) != 2 || all[0].Path != named {
		t.Errorf("got %v, %v; want the commands in ENGINES", all, err)
	}
	if first, err := Find(t.Context()); err != nil || first != all[0] {
		t.Errorf("got %v, %v; want the first of ENGINES", first, err)
	}
	for _, wrong := range []string{"missing", " "} {
		t.Setenv(enginesVariable, wrong)
		if all, err := FindAll(t.Context()); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, all)
		}
	}
}

func TestLacks(t *testing.T) {
	t.Parallel()
	for cli, want := range map[CLI]int{
		{Version: "0.15.5"}:                      14,
		{Version: "1.0.0"}:                       13,
		{Version: "1.8.0"}:                       5,
		{Version: "1.12.0-rc1"}:                  2,
		{Version: "1.14.0"}:                      1,
		{Version: "1.16.0"}:                      0,
		{Version: "1.17.0-dev"}:                  0,
		{Version: "1.12.6", OpenTofu: true}:      2,
		{Version: "1.6.0", OpenTofu: true}:       9,
		{Version: "unreadable", OpenTofu: false}: 14,
	} {
		if got := cli.Lacks(); len(got) != want {
			t.Errorf("%s lacks %v", cli, got)
		}
	}
}
