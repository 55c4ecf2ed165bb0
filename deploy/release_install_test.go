//go:build install

package deploy_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// release runs .ci/release in a directory of the repository, with more variables,
// and returns the directory of what it has built.
func release(t *testing.T, repository string, env []string, parts ...string) string {
	t.Helper()
	dist := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(repository, ".ci", "release"), parts...)
	cmd.Env = slices.Concat(os.Environ(), env, []string{"DIST=" + dist})
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("release: %v\n%s", err, out)
	}
	return dist
}

// thisMachine limits a release to the system that the test runs on.
func thisMachine() string { return "TARGETS=" + runtime.GOOS + "/" + runtime.GOARCH }

// git runs git in a directory, as somebody without a configuration.
func git(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), proctest.Find(t, "git"), append([]string{"-C", dir}, args...)...)
	cmd.Env = slices.Concat(os.Environ(), []string{
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	}, env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

// What .ci/version says of the commits of a history is sorted like the history, by
// dpkg and by rpm too.
func TestVersionsOfCommits(t *testing.T) {
	repository := t.TempDir()
	script, err := os.ReadFile("../.ci/version")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(repository, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(repository, ".ci", "version")
	if err := os.WriteFile(path, script, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, repository, nil, "init", "--quiet")
	git(t, repository, nil, "add", ".")
	var versions []string
	for i, tag := range []string{"", "", "v0.1.0", "", "v0.2.0-rc.1", "", "v0.2.0-rc.2", "v0.2.0", "", "v0.2.1"} {
		at := []string{"GIT_COMMITTER_DATE=2026-11-30T10:00:0" + string(rune('0'+i)) + "Z"}
		git(t, repository, at, "commit", "--quiet", "--allow-empty", "--message", "next")
		if tag != "" {
			git(t, repository, at, "tag", tag)
		}
		versions = append(versions, strings.TrimSpace(proctest.Output(t, path)))
	}
	for i, want := range map[int]string{
		0: "0.0.0-dev.20261130100000.g", 2: "0.1.0", 3: "0.1.1-dev.20261130100003.g", 4: "0.2.0-rc.1",
		5: "0.2.0-rc.1.dev.20261130100005.g", 7: "0.2.0", 8: "0.2.1-dev.20261130100008.g", 9: "0.2.1",
	} {
		if !strings.HasPrefix(versions[i], want) || strings.HasSuffix(want, ".g") != (len(versions[i]) == len(want)+12) {
			t.Errorf("commit %d: %s, want %s", i, versions[i], want)
		}
	}
	for i := range len(versions) - 1 {
		older, newer := strings.Replace(versions[i], "-", "~", 1), strings.Replace(versions[i+1], "-", "~", 1)
		proctest.Output(t, "dpkg", "--compare-versions", older, "lt", newer)
		if got := proctest.Output(t, "rpm", "--eval", `%{lua:print(rpm.vercmp("`+older+`", "`+newer+`"))}`); strings.TrimSpace(got) != "-1" {
			t.Errorf("rpm: %s, %s: %s", older, newer, got)
		}
	}
	if err := os.WriteFile(path, append(script, '\n'), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(proctest.Output(t, path)); !strings.HasPrefix(got, "0.2.2-dev.") || !strings.HasSuffix(got, ".dirty") {
		t.Errorf("with changes: %s", got)
	}
}

// Two clones, in two places, on two machines by name, by two people, give the same
// bytes; and none has the names. To save minutes, macOS and Windows are built for one
// architecture.
func TestReleaseIsReproducible(t *testing.T) {
	var sums [2]string
	var dists [2]string
	for i, foreign := range []struct{ host, user, zone, umask string }{
		{"machine-one.example", "person-one", "UTC", "022"},
		{"machine-two.example", "person-two", "Asia/Tokyo", "077"},
	} {
		clone := filepath.Join(t.TempDir(), foreign.user+strings.Repeat("x", 10*i))
		proctest.Output(t, "bash", "-ec", `umask "$1"; exec git -c safe.directory='*' clone --quiet .. "$2"`, "clone", foreign.umask, clone)
		dists[i] = filepath.Join(clone, "dist")
		script := "hostname " + foreign.host + "; umask " + foreign.umask + "; cd " + clone + "; exec make release"
		cmd := exec.CommandContext(t.Context(), proctest.Find(t, "unshare"), "--uts", "bash", "-ec", script)
		cmd.Env = append(os.Environ(), "TZ="+foreign.zone, "USER="+foreign.user, "LOGNAME="+foreign.user, "MAKEFLAGS=", "MFLAGS=",
			"TARGETS=linux/amd64 linux/arm64 darwin/arm64 windows/amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make release: %v\n%s", err, out)
		}
		sums[i] = read(t, filepath.Join(dists[i], "sha256sums.txt"))
	}
	if sums[0] != sums[1] {
		t.Errorf("two releases differ:\n%s\n%s", sums[0], sums[1])
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "sha256sums.txt")
	check.Dir = dists[0]
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}

	version := strings.TrimSpace(proctest.Output(t, filepath.Join(dists[0], "..", ".ci", "version")))
	want := []string{
		"CHANGELOG-V.md", "pgbailiff-V-1.aarch64.rpm", "pgbailiff-V-1.x86_64.rpm", "pgbailiff-V.cdx.json",
		"pgbailiff-V.darwin-arm64.tar.gz", "pgbailiff-V.linux-amd64.tar.gz", "pgbailiff-V.linux-arm64.tar.gz",
		"pgbailiff-V.tgz", "pgbailiff-V.windows-amd64.zip", "pgbailiff_V_amd64.deb", "pgbailiff_V_arm64.deb",
		"sha256sums.txt",
	}
	entries, err := os.ReadDir(dists[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, strings.Replace(entry.Name(), version, "V", 1))
	}
	if !slices.Equal(got, want) {
		t.Errorf("dist has\n%q, want\n%q", got, want)
	}

	for _, file := range entries {
		unpacked := unpack(t, filepath.Join(dists[0], file.Name()))
		for _, name := range []string{"machine-one", "person-one", "root@"} {
			if bytes.Contains(unpacked, []byte(name)) {
				t.Errorf("%s has the name %s", file.Name(), name)
			}
		}
	}

	archive := filepath.Join(dists[0], "pgbailiff-"+version+"."+runtime.GOOS+"-"+runtime.GOARCH+".tar.gz")
	tryArchive(t, archive, version)
}

// unpack is all that is in a file: of archives and packages what is compressed.
func unpack(t *testing.T, file string) []byte {
	t.Helper()
	content := read(t, file)
	switch {
	case strings.HasSuffix(file, ".deb"):
		content += proctest.Output(t, "dpkg-deb", "--fsys-tarfile", file) + proctest.Output(t, "dpkg-deb", "--ctrl-tarfile", file)
	case strings.HasSuffix(file, ".rpm"):
		// rpm2cpio wants the size of the payload, which nfpm leaves out.
		content += proctest.Output(t, "bash", "-c", `rpm2archive -n - <"$1"`, "rpm2archive", file)
	case strings.HasSuffix(file, "gz"):
		content += proctest.Output(t, "gzip", "--decompress", "--stdout", file)
	case strings.HasSuffix(file, ".zip"):
		content += unzip(t, file)
	}
	return []byte(content)
}

func unzip(t *testing.T, file string) string {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var content strings.Builder
	for _, entry := range archive.File {
		in, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&content, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
	}
	return content.String()
}

// tryArchive unpacks the archive of this machine and looks at what is in it.
func tryArchive(t *testing.T, archive, version string) {
	t.Helper()
	dir := t.TempDir()
	proctest.Output(t, "tar", "-xzf", archive, "-C", dir)
	inside := filepath.Join(dir, strings.TrimSuffix(filepath.Base(archive), ".tar.gz"))
	for _, file := range []string{
		"LICENSE", "README.md", "CHANGELOG.md", "docs/people.md", "alerts/pgbailiff.rules.yml", "dashboards/pgbailiff-long-queries.json",
		"deploy/role.sql", "deploy/pgbailiff.yml", "deploy/pgbailiff.service", "deploy/packages/pgbailiff.yml",
	} {
		if _, err := os.Stat(filepath.Join(inside, file)); err != nil {
			t.Error(err)
		}
	}
	tests, err := filepath.Glob(filepath.Join(inside, "*", "*_test.go"))
	if err != nil || len(tests) > 0 {
		t.Errorf("the archive has %q, %v", tests, err)
	}
	for binary, want := range map[string]string{"--version": "pgbailiff, version " + version + " (branch: HEAD", "--help": "usage: pgbailiff "} {
		if got := proctest.Output(t, filepath.Join(inside, "pgbailiff"), binary); !strings.HasPrefix(got, want) {
			t.Errorf("pgbailiff %s says %s", binary, got)
		}
	}
}
