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

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The machines that the commands of docs/installation.md are run on. The first two
// are this one with a layer over it, which takes what they write and ends with the
// test.
const (
	onArchive = "a machine for the archive"
	onDebian  = "a machine for the deb"
	onSources = "a clone of the sources"
)

// command is what becomes of a block of commands in docs/installation.md.
type command struct {
	block string // its section and its first line
	on    string // the machine; empty: it is not run, and why says the reason
	why   string
}

const (
	noSystemd    = "no systemd runs here that systemctl could ask; a test of the unit starts what its ExecStart says"
	noDocker     = "there is no Docker, and no registry can be reached; a test of the image runs one that buildah has built, with stand-ins for its bases"
	noKubernetes = "there is no Kubernetes; tests of the chart decode every manifest strictly"
)

// commands has every block of commands, in the order in which they are run.
var commands = []command{
	{"Installation: sha256sum --check --ignore-missing sha256sums.txt", onArchive, ""},
	{"Archive and systemd: tar -xzf pgbailiff-VERSION.linux-amd64.tar.gz", onArchive, ""},
	{"The role: psql -X -v ON_ERROR_STOP=1 -d postgres -f deploy/role.sql", onArchive, ""},
	{"Archive and systemd: install -m 0755 pgbailiff /usr/bin/pgbailiff", onArchive, ""},
	{"Archive and systemd: pgbailiff check-config /etc/pgbailiff/pgbailiff.yml", onArchive, ""},
	{"Archive and systemd: systemctl daemon-reload", "", noSystemd},
	{"Prometheus and Alertmanager: (umask 077; openssl rand -hex 32 >webhook.token)", onArchive, ""},
	{"Prometheus and Alertmanager: promtool check config alerts/prometheus.yml", onArchive, ""},

	{"Debian and Ubuntu: apt-get install ./pgbailiff_VERSION_amd64.deb", onDebian, ""},
	{"Debian and Ubuntu: runuser -u postgres -- psql -X -v ON_ERROR_STOP=1 -d postgres -f /usr/share/pgbailiff/role.sql", onDebian, ""},
	{"Debian and Ubuntu: systemctl enable --now pgbailiff", "", noSystemd},
	{"Fedora, RHEL and their relatives: dnf install ./pgbailiff-VERSION-1.x86_64.rpm", "", "Debian has no dnf; a test of the packages reads the rpm with Debian's rpm"},

	{"From source: make build", onSources, ""},
	{"Helm: helm lint --strict deploy/helm/pgbailiff --values values.yaml", onSources, ""},
	{"From source: git clone https://github.com/pgbailiff/pgbailiff", "", "GitHub cannot be reached; the blocks after it run in a clone of this repository"},
	{"From source: PGHOST=db1 PGUSER=pgbailiff bin/pgbailiff", "", "it serves on the default port, which this machine may not have to spare, until it is stopped; tests of the binary start it without a file"},

	{"Container: docker run -d --name pgbailiff --read-only --cap-drop ALL --security-opt no-new-privileges -p 10187:10187 -e PGHOST=db1 -e PGUSER=pgbailiff ghcr.io/pgbailiff/pgbailiff", "", noDocker},
	{"Container: docker run -d --name pgbailiff --read-only --cap-drop ALL --security-opt no-new-privileges -p 10187:10187 -v \"$PWD/pgbailiff.yml:/etc/pgbailiff/pgbailiff.yml:ro\" -v \"$PWD/webhook.token:/etc/pgbailiff/webhook.token:ro\" -v pgbailiff:/var/lib/pgbailiff ghcr.io/pgbailiff/pgbailiff", "", noDocker},
	{"Container: docker run --rm -v \"$PWD/pgbailiff.yml:/etc/pgbailiff/pgbailiff.yml:ro\" ghcr.io/pgbailiff/pgbailiff check-config /etc/pgbailiff/pgbailiff.yml", "", noDocker},
	{"Container: make image", "", noDocker},
	{"Container: make image IMAGE_BUILD='buildah build --format docker'", "", noDocker},
	{"Compose: cd deploy/compose", "", noDocker},
	{"Helm: kubectl create namespace pgbailiff", "", noKubernetes},
	{"Helm: helm install pgbailiff deploy/helm/pgbailiff --namespace pgbailiff --values values.yaml", "", noKubernetes},
	{"CloudNativePG: kubectl create secret generic pgbailiff-orders --type=kubernetes.io/basic-auth --from-literal=username=pgbailiff --from-literal=password=\"$(openssl rand -hex 32)\"", "", noKubernetes},
}

// TestInstallation runs the commands of docs/installation.md as they stand. A
// block that the table lacks fails, and so does one that the text lacks.
func TestInstallation(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test installs programs, in a layer over this machine: run it as root")
	}
	texts := map[string]string{}
	for _, b := range blocks(t, "docs/installation.md") {
		if b.lang != "sh" {
			continue
		}
		if _, twice := texts[b.name()]; twice {
			t.Errorf("docs/installation.md has the block twice: %s", b.name())
		}
		texts[b.name()] = b.text
	}
	listed := map[string]bool{}
	for _, c := range commands {
		listed[c.block] = true
		if texts[c.block] == "" {
			t.Errorf("docs/installation.md has no block that begins like this: %s", c.block)
		}
	}
	for name := range texts {
		if !listed[name] {
			t.Errorf("docs/installation.md has commands that are not in the table of this test: %s", name)
		}
	}
	if t.Failed() {
		return
	}

	before := exists(installed)
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
	if exists(installed) != before {
		t.Errorf("%s: before the test %t, after it %t: the layers did not take what was written", installed, before, !before)
	}
}

// installed is what the archive and the deb install.
const installed = "/usr/bin/pgbailiff"

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestInstallationSnippets: each piece of YAML and of SQL is what it claims to be.
func TestInstallationSnippets(t *testing.T) {
	s := pgtest.Start(t)
	pieces := map[string]int{}
	for _, b := range blocks(t, "docs/installation.md") {
		pieces[b.lang]++
		switch b.lang {
		case "yaml":
			var any any
			if err := yaml.Unmarshal([]byte(b.text), &any); err != nil {
				t.Errorf("%s: %v", b.name(), err)
			}
		case "sql":
			s.Exec(t, b.text)
			s.Exec(t, read(t, "role.sql")) // which changes nothing then
		case "sh":
		default:
			t.Errorf("%s: nobody knows what to do with %q", b.name(), b.lang)
		}
	}
	if pieces["yaml"] < 5 || pieces["sql"] == 0 {
		t.Errorf("the pieces are not there: %v", pieces)
	}
}

// layer is the command of a shell on this machine with a layer over it: what it
// writes is in memory, and gone afterwards. It begins in /download, which is dist.
func layer(t *testing.T, dist string) []string {
	t.Helper()
	const script = `
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
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
