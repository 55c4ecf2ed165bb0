//go:build install

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestInstallation runs the commands of docs/installation.md as they stand.
// TestEveryInstallationCommandIsListed holds that there are no others.
func TestInstallation(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("this test installs programs, in a layer over this machine: run it as root")
	}
	texts := commandBlocks(t)
	before := isThere(installed)
	database := pgtest.Start(t)
	dist, version := released(t, "archives", "packages")
	env := append(os.Environ(), "HELM_NAMESPACE=pgbailiff", "DEBIAN_FRONTEND=noninteractive",
		"PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(database.Port()), "PGUSER=postgres")
	clone := cloned(t)
	env = append(env, "PATH="+helmInPath(t)+":/usr/sbin:/sbin:"+os.Getenv("PATH"))
	machines := map[string]*terminal{
		onArchive: openTerminal(t, dist, env, true, layer(t, dist)...),
		onDebian:  openTerminal(t, dist, env, true, layer(t, dist)...),
		onSources: openTerminal(t, clone, env, true),
	}
	instead := strings.NewReplacer("VERSION", version, "linux-amd64", "linux-"+runtime.GOARCH, "_amd64.deb", "_"+runtime.GOARCH+".deb")
	ran := 0
	for _, c := range commands {
		if c.on == "" {
			t.Logf("not run: %s\n(%s)", c.block, c.why)
			continue
		}
		ran++
		text := instead.Replace(texts[c.block])
		t.Logf("on %s:\n%s%s", c.on, text, machines[c.on].run(text))
	}
	// With the values for kube-prometheus-stack as well.
	write(t, filepath.Join(clone, "values.yaml"), valuesOfHelm(t)+valuesOfStack(t))
	machines[onSources].run(texts["Helm: helm lint --strict deploy/helm/pgbailiff --values values.yaml"])
	if ran < 9 {
		t.Errorf("only %d blocks were run", ran)
	}
	for _, grant := range []string{"pg_monitor", "pg_signal_backend"} {
		if !pgtest.Value[bool](t, database, "SELECT pg_has_role('pgbailiff', '"+grant+"', 'usage')") {
			t.Errorf("the role is not a member of %s", grant)
		}
	}
	if out := machines[onDebian].run("dpkg-query --show pgbailiff"); !strings.Contains(out, strings.ReplaceAll(version, "-", "~")) {
		t.Errorf("after the installation of the deb: %s", out)
	}
	if isThere(installed) != before {
		t.Errorf("%s: before the test %t, after it %t: the layers did not take what was written", installed, before, !before)
	}
}

// installed is what the archive and the deb install.
const installed = "/usr/bin/pgbailiff"

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// layer is the command of a shell on this machine with a layer over it: what it
// writes is in memory, and gone afterwards. It begins in /download, which is dist.
func layer(t *testing.T, dist string) []string {
	t.Helper()
	const script = `
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/scratch" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/scratch" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mkdir -p "$1/root/download" "$1/root/tmp"
mount --bind "$2" "$1/root/download"
echo 'APT::Install-Recommends "false";' >"$1/root/etc/apt/apt.conf.d/99test"
cd "$1/root"
exec chroot "$1/root" bash -e -u -o pipefail -c 'cd /download; exec bash -e -u -o pipefail'
`
	return []string{proctest.Find(t, "unshare"), "--mount", "--propagation", "private", "bash", "-e", "-u", "-c", script, "layer", t.TempDir(), dist}
}

// cloned is a clone of this repository, with the values of the chart that the text
// tells to write.
func cloned(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pgbailiff")
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	proctest.Output(t, "git", "clone", "--quiet", root, dir)
	write(t, filepath.Join(dir, "values.yaml"), valuesOfHelm(t))
	return dir
}

// helmInPath is a directory with helm, which .ci/helm/go.mod pins. Built like this
// it does not know its own version of Kubernetes, as a released one does, and takes
// an old one; so it is told.
func helmInPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=.ci/helm/go.mod", "-n", "helm")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	script := fmt.Sprintf(`#!/bin/bash
if [ "$1" = template ]; then set -- "$@" --kube-version 1.36.0; fi
exec '%s' "$@"
`, strings.TrimSpace(string(out)))
	if err := os.WriteFile(filepath.Join(dir, "helm"), []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	return dir
}

// valuesOfHelm is the file values.yaml of the section about the chart, and
// valuesOfStack what the section about kube-prometheus-stack adds to it.
func valuesOfHelm(t *testing.T) string {
	t.Helper()
	return values(t, "Helm", "The file `values.yaml`")
}

func valuesOfStack(t *testing.T) string {
	t.Helper()
	return values(t, "kube-prometheus-stack", "Add to `values.yaml`")
}

func values(t *testing.T, section, before string) string {
	t.Helper()
	for _, b := range blocks(t, "docs/installation.md") {
		if b.section == section && b.lang == "yaml" && strings.Contains(b.before, before) {
			return b.text
		}
	}
	t.Fatalf("docs/installation.md has no values under %s", section)
	return ""
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
