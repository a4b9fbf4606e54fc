package acceptance

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

var dist = flag.String("dist", "", "test the release that goreleaser made in this folder, for all platforms")

const (
	projectName = "terraform-provider-bitbucket"
	manifest    = root + "/terraform-registry-manifest.json"
)

// platforms are the platforms that a release has archives for.
var platforms = []string{
	"darwin_amd64", "darwin_arm64",
	"freebsd_386", "freebsd_amd64", "freebsd_arm", "freebsd_arm64",
	"linux_386", "linux_amd64", "linux_arm", "linux_arm64",
	"windows_386", "windows_amd64", "windows_arm64",
}

// TestAccRelease installs a release as a user does: from the files that the registry
// requires, with the names that it requires, through a mirror and without settings
// for developers. Without -dist it makes the files for this platform only.
func TestAccRelease(t *testing.T) {
	t.Parallel()

	folder, wanted := *dist, platforms
	if folder == "" {
		folder, wanted = t.TempDir(), []string{runtime.GOOS + "_" + runtime.GOARCH}
		makeRelease(t, folder, terraformcli.Version)
	}
	sums, err := filepath.Glob(filepath.Join(folder, projectName+"_*_SHA256SUMS"))
	if err != nil || len(sums) != 1 {
		t.Fatalf("got %v, %v; want one file of checksums", sums, err)
	}
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(sums[0]), projectName+"_"), "_SHA256SUMS")
	checkSums(t, sums[0], version, wanted)

	cli, dir := acctest.Engine, t.TempDir()
	_, environment, err := cli.Install(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(dir, "mirror")
	packages := filepath.Join(mirror, cli.RegistryHost(), filepath.FromSlash(terraformcli.Source))
	if err := os.MkdirAll(packages, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := []string{"providers", "lock", "-fs-mirror=" + mirror}
	for _, platform := range wanted {
		name := projectName + "_" + version + "_" + platform + ".zip"
		archive := []byte(acctest.ReadFile(t, filepath.Join(folder, name)))
		if !hasProvider(t, archive, version) {
			t.Errorf("%s has no executable provider", name)
		}
		if err := os.WriteFile(filepath.Join(packages, name), archive, 0o600); err != nil {
			t.Fatal(err)
		}
		lock = append(lock, "-platform="+platform)
	}

	bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", Repositories: []emulator.Repository{{Slug: "website"}}},
	}})
	server := httptest.NewServer(bitbucket)
	defer server.Close()

	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	configuration := fmt.Sprintf(`terraform {
  required_providers {
    bitbucket = {
      source  = %q
      version = %q
    }
  }
}

provider "bitbucket" {
  base_url = %q
  token    = "secret"
}

resource "bitbucket_deploy_key" "ci" {
  workspace  = "acme"
  repository = "website"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDikcEnmpPo+/PNuXzAHc94cmZQU5An7OdteAr9i4iKD"
  label      = "CI"
}
`, terraformcli.Source, version, server.URL+"/2.0")
	if err := os.WriteFile(filepath.Join(work, "main.tf"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(wants string, args ...string) {
		t.Helper()
		out, _, err := cli.Run(t.Context(), work, environment, args...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, wants) {
			t.Errorf("%v printed no %q:\n%s", args, wants, out)
		}
	}
	address := cli.RegistryHost() + "/" + terraformcli.Source
	run("Installed "+terraformcli.Source+" v"+version, "init")
	run("provider "+address+" v"+version, "version")
	run("", lock...)
	locked := acctest.ReadFile(t, filepath.Join(work, ".terraform.lock.hcl"))
	if hashes := strings.Count(locked, `"h1:`); !strings.Contains(locked, fmt.Sprintf("provider %q", address)) || hashes != len(wanted) {
		t.Errorf("got %d hashes of packages, want %d:\n%s", hashes, len(wanted), locked)
	}
	run("from the dependency lock file", "init")
	run("1 to add", "plan")
	run("1 added", "apply", "-auto-approve")
	run("No changes", "plan", "-detailed-exitcode")

	if keys := bitbucket.DeployKeys("acme", "website"); len(keys) != 1 || keys[0].Label != "CI" {
		t.Errorf("Bitbucket has %v", keys)
	}
	for _, request := range bitbucket.Requests() {
		if want := projectName + "/" + version; request.UserAgent != want {
			t.Errorf("%s %s came from %q, want %q", request.Method, request.Path, request.UserAgent, want)
		}
	}
}

// checkSums checks the checksums of the archives and of the manifest.
func checkSums(t *testing.T, path, version string, wanted []string) {
	t.Helper()
	manifestName := projectName + "_" + version + "_manifest.json"
	var summed []string
	for line := range strings.Lines(acctest.ReadFile(t, path)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		file := filepath.Join(filepath.Dir(path), name)
		if name == manifestName {
			file = manifest // goreleaser renames the manifest only in the release.
		}
		if got := sha256.Sum256([]byte(acctest.ReadFile(t, file))); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s does not match its checksum in %s", name, filepath.Base(path))
		}
		summed = append(summed, name)
	}
	for _, platform := range wanted {
		if name := projectName + "_" + version + "_" + platform + ".zip"; !slices.Contains(summed, name) {
			t.Errorf("there is no %s in %v", name, summed)
		}
	}
	if !slices.Contains(summed, manifestName) {
		t.Errorf("there is no %s in %v", manifestName, summed)
	}
}

// hasProvider reports whether an archive holds an executable provider.
func hasProvider(t *testing.T, archive []byte, version string) bool {
	t.Helper()
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(reader.File, func(file *zip.File) bool {
		return strings.TrimSuffix(file.Name, ".exe") == projectName+"_v"+version && file.Mode().Perm() == 0o755
	})
}

// releasedSetting returns a setting of .goreleaser.yml for this platform and version.
func releasedSetting(key string, nth int, version string) (string, error) {
	goreleaser, err := os.ReadFile(root + "/.goreleaser.yml")
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`\b`+key+`: \[?"(.+?)"`).FindAllStringSubmatch(string(goreleaser), -1)
	if len(found) <= nth {
		return "", fmt.Errorf("there is no %s number %d in .goreleaser.yml", key, nth)
	}
	var value strings.Builder
	err = template.Must(template.New(key).Parse(found[nth][1])).Execute(&value, map[string]string{
		"ProjectName": projectName, "Version": version, "Os": runtime.GOOS, "Arch": runtime.GOARCH,
	})
	return value.String(), err
}

// releasedProvider builds the provider of all releases once, because a build takes more than a
// second. It has the version terraformcli.Version.
var releasedProvider = sync.OnceValues(func() ([]byte, error) {
	flags, err := releasedSetting("ldflags", 0, terraformcli.Version)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", projectName+"-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	built := filepath.Join(folder, projectName)
	build := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", built, root)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(built)
})

// makeRelease makes a release for this platform only, as goreleaser would: with the
// settings of .goreleaser.yml.
func makeRelease(t *testing.T, folder, version string) {
	t.Helper()
	setting := func(key string, nth int) string {
		value, err := releasedSetting(key, nth, version)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	binary := setting("binary", 0)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	archiveName, sumsName, manifestName := setting("name_template", 0)+".zip", setting("name_template", 1), setting("name_template", 2)
	built, err := releasedProvider()
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: binary, Method: zip.Store} // Compressing it would take half a second.
	header.SetMode(0o755)
	entry, err := writer.CreateHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(built); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	sums := fmt.Sprintf("%x  %s\n%x  %s\n", sha256.Sum256(archive.Bytes()), archiveName, sha256.Sum256([]byte(acctest.ReadFile(t, manifest))), manifestName)
	for name, content := range map[string][]byte{archiveName: archive.Bytes(), sumsName: []byte(sums)} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
