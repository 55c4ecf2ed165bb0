package deploy_test

import (
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
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
	noCompose    = "there is no Docker; a test of these files runs them as processes of one machine"
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

	{"Container: docker run -d --name pgbailiff --read-only --cap-drop ALL --security-opt no-new-privileges -p 10187:10187 -e PGHOST=db1 -e PGUSER=pgbailiff ghcr.io/pgbailiff/pgbailiff:VERSION", "", noDocker},
	{"Container: docker run -d --name pgbailiff --read-only --cap-drop ALL --security-opt no-new-privileges -p 10187:10187 -v \"$PWD/pgbailiff.yml:/etc/pgbailiff/pgbailiff.yml:ro\" -v \"$PWD/orders.password:/etc/pgbailiff/orders.password:ro\" -v \"$PWD/webhook.token:/etc/pgbailiff/webhook.token:ro\" -v pgbailiff:/var/lib/pgbailiff ghcr.io/pgbailiff/pgbailiff:VERSION", "", noDocker},
	{"Container: docker run --rm -v \"$PWD/pgbailiff.yml:/etc/pgbailiff/pgbailiff.yml:ro\" ghcr.io/pgbailiff/pgbailiff:VERSION check-config /etc/pgbailiff/pgbailiff.yml", "", noDocker},
	{"Container: make image", "", noDocker},
	{"Container: make image IMAGE_BUILD='buildah build --format docker --timestamp $$SOURCE_DATE_EPOCH --build-arg BUILDPLATFORM=linux/amd64'", "", noDocker},
	{"Compose: cd deploy/compose", "", noCompose},
	{"Compose: docker compose logs -f workload pgbailiff", "", noCompose},
	{"Compose: docker compose exec postgres psql -U postgres -d pgbailiff -c 'SELECT time, application_name, alertname, action, outcome, reason FROM pgbailiff.decisions ORDER BY time'", "", noCompose},
	{"Compose: docker compose down --volumes", "", noCompose},
	{"Helm: kubectl create namespace pgbailiff", "", noKubernetes},
	{"Helm: helm install pgbailiff deploy/helm/pgbailiff --namespace pgbailiff --values values.yaml", "", noKubernetes},
	{"CloudNativePG: kubectl create namespace databases", "", noKubernetes},
}

// commandBlocks are the blocks of commands of docs/installation.md, by their names.
func commandBlocks(t *testing.T) map[string]string {
	t.Helper()
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
	return texts
}

// TestEveryInstallationCommandIsListed: the table has every block of commands, and
// no other, and says of each that it is run, or why not.
func TestEveryInstallationCommandIsListed(t *testing.T) {
	texts, listed, run := commandBlocks(t), map[string]bool{}, 0
	for _, c := range commands {
		if listed[c.block] {
			t.Errorf("it is in the table twice: %s", c.block)
		}
		listed[c.block] = true
		if texts[c.block] == "" {
			t.Errorf("docs/installation.md has no block that begins like this: %s", c.block)
		}
		if (c.on == "") == (c.why == "") {
			t.Errorf("it is either run or has a reason: %s", c.block)
		}
		if c.on != "" {
			run++
		}
	}
	for name := range texts {
		if !listed[name] {
			t.Errorf("docs/installation.md has commands that are not in the table of this test: %s", name)
		}
	}
	if run < 10 {
		t.Errorf("only %d blocks are run", run)
	}
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
