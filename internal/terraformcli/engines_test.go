package terraformcli

import (
	"os"
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

// An installed OpenTofu of a different version is replaced.
func TestInstallOpenTofu(t *testing.T) {
	bin, cache := isolate(t)
	goCommand := script(t, filepath.Join(bin, "go"), `{"Dir": "`+bin+`"}`+"\n")
	tofu := script(t, filepath.Join(cache, "tofu"), openTofu)
	want := CLI{tofu, true, openTofuVersion}
	if got, err := InstallOpenTofu(t.Context()); err != nil || got != want {
		t.Errorf("same version: got %v, %v", got, err)
	}
	script(t, tofu, "OpenTofu v1.11.0\n")
	if got, err := InstallOpenTofu(t.Context()); err == nil { // The fake go command builds nothing.
		t.Errorf("old version: got %v, want a new build", got)
	}
	build := "#!/bin/sh\nif test \"$1\" = build; then printf '#!/bin/sh\\necho OpenTofu v" + openTofuVersion + "\\n' > \"$6tofu\"; /bin/chmod +x \"$6tofu\"; fi\n" +
		"printf %s '{\"Dir\": \"" + bin + "\"}'\n"
	if err := os.WriteFile(goCommand, []byte(build), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := InstallOpenTofu(t.Context()); err != nil || got != want {
		t.Errorf("old version: got %v, %v, want %v", got, err, want)
	}
}

func TestLacks(t *testing.T) {
	t.Parallel()
	for cli, want := range map[CLI]int{
		{Version: "0.15.5"}:                      15,
		{Version: "1.0.0"}:                       14,
		{Version: "1.8.0"}:                       5,
		{Version: "1.12.0-rc1"}:                  2,
		{Version: "1.14.0"}:                      1,
		{Version: "1.16.0"}:                      0,
		{Version: "1.17.0-dev"}:                  0,
		{Version: "1.12.6", OpenTofu: true}:      2,
		{Version: "1.6.0", OpenTofu: true}:       10,
		{Version: "unreadable", OpenTofu: false}: 15,
	} {
		if got := cli.Lacks(); len(got) != want {
			t.Errorf("%s lacks %v", cli, got)
		}
	}
}
