//go:build install

package deploy_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

const ledgerFile = "/var/lib/pgbailiff/ledger.jsonl"

// The life of the Debian package on a machine: installed, configured, started as its
// unit would be, used, rotated, upgraded, removed, purged.
func TestDebianPackage(t *testing.T) {
	cleanMachine(t)
	deb := only(t, release(t, "..", []string{"VERSION=1.0.0", thisMachine()}, "packages"), "*.deb")

	said := install(t, "--install", deb)
	if !strings.Contains(said, "systemctl enable --now pgbailiff") {
		t.Errorf("it does not say what is next: %s", said)
	}
	expectFiles(t, "root:root 755 /usr/bin/pgbailiff", "root:pgbailiff 750 /etc/pgbailiff",
		"root:pgbailiff 640 /etc/pgbailiff/pgbailiff.yml", "root:root 644 /etc/default/pgbailiff",
		"root:root 644 /etc/logrotate.d/pgbailiff", "pgbailiff:pgbailiff 750 /var/lib/pgbailiff")
	if running := proctest.Output(t, "sh", "-c", "pgrep -u pgbailiff || true"); running != "" {
		t.Errorf("it runs before it is configured: %s", running)
	}
	if got := proctest.Output(t, "pgbailiff", "--version"); !strings.HasPrefix(got, "pgbailiff, version 1.0.0 ") {
		t.Errorf("its version: %s", got)
	}
	proctest.Output(t, "systemd-analyze", "verify", "--man=no", "/usr/lib/systemd/system/pgbailiff.service")
	proctest.Output(t, "setpriv", "--reuid=pgbailiff", "--regid=pgbailiff", "--clear-groups",
		"pgbailiff", "check-config", "/etc/pgbailiff/pgbailiff.yml")

	database := localServer(t)
	configure(t, database)
	p := proctest.Start(t, asUnit(t))
	url := "http://" + p.Address()
	if out := order(t, url, database); out != `"outcome":"cancelled","reason":"severity"` {
		t.Errorf("the first order: %s", out)
	}
	// limits.actions is 1.
	if out := order(t, url, database); out != `"outcome":"refused","reason":"over_budget"` {
		t.Errorf("the second order: %s", out)
	}

	rotated := rotate(t)
	if lines := read(t, rotated); strings.Count(lines, `"event":"intent"`) != 1 || strings.Count(lines, `"event":"outcome"`) != 2 {
		t.Errorf("the old file is\n%s", lines)
	}
	if lines := read(t, ledgerFile); !strings.HasPrefix(lines, `{"time"`) || !strings.Contains(lines, `"event":"checkpoint"`) {
		t.Errorf("the new file is\n%s", lines)
	}
	expectFiles(t, "pgbailiff:pgbailiff 640 "+ledgerFile, "pgbailiff:pgbailiff 640 "+rotated)
	if out := order(t, url, database); out != `"outcome":"refused","reason":"over_budget"` {
		t.Errorf("after a rotation: %s", out)
	}
	p.Stop()

	// Nobody can begin a new file with the limits now, so the old one stays in use.
	if err := os.Rename(rotated, rotated+".kept"); err != nil {
		t.Fatal(err)
	}
	before := read(t, ledgerFile)
	logrotate(t)
	if after := read(t, ledgerFile); after != before {
		t.Errorf("a rotation while it is stopped: %s, was %s", after, before)
	}

	install(t, "--force-confdef", "--force-confold", "--install", nextVersion(t, deb))
	expectFiles(t, "root:pgbailiff 640 /etc/pgbailiff/pgbailiff.yml", "root:pgbailiff 640 /etc/pgbailiff/pgbailiff.yml.dpkg-dist")
	if got := proctest.Output(t, "dpkg-query", "--show", "--showformat=${Version} ${Status}", "pgbailiff"); got != "1.1.0-1 install ok installed" {
		t.Errorf("after the upgrade: %s", got)
	}
	p = proctest.Start(t, asUnit(t)) // with the configuration from before
	if out := order(t, "http://"+p.Address(), database); out != `"outcome":"refused","reason":"over_budget"` {
		t.Errorf("after the upgrade: %s", out)
	}
	p.Stop()

	install(t, "--remove", "pgbailiff")
	expectTraces(t, "/etc/default/pgbailiff", "/etc/logrotate.d/pgbailiff", "/etc/pgbailiff", "/var/lib/pgbailiff")
	expectFiles(t, "root:pgbailiff 640 /etc/pgbailiff/pgbailiff.yml", "pgbailiff:pgbailiff 640 "+ledgerFile)

	said = install(t, "--purge", "pgbailiff")
	if !strings.Contains(said, "The ledger of pgbailiff stays in /var/lib/pgbailiff.") {
		t.Errorf("it does not say where the ledger stays: %s", said)
	}
	// The ledger with its owner, and what the administrator has added.
	expectTraces(t, "/etc/pgbailiff", "/var/lib/pgbailiff")
	if left := proctest.Output(t, "ls", "/etc/pgbailiff"); left != "webhook.token\n" {
		t.Errorf("/etc/pgbailiff has %s", left)
	}
	expectFiles(t, "pgbailiff:pgbailiff 640 "+ledgerFile, "pgbailiff:pgbailiff 640 "+rotated+".kept")

	// Without a ledger nothing is left but the user.
	if err := errors.Join(os.RemoveAll("/etc/pgbailiff"), os.RemoveAll("/var/lib/pgbailiff")); err != nil {
		t.Fatal(err)
	}
	install(t, "--install", deb)
	if said := install(t, "--purge", "pgbailiff"); strings.Contains(said, "stays") {
		t.Errorf("it says: %s", said)
	}
	expectTraces(t)
}

// only is the one file that matches.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s matches %q, %v", pattern, files, err)
	}
	return files[0]
}

// expectFiles compares owner, group and mode of files.
func expectFiles(t *testing.T, files ...string) {
	t.Helper()
	for _, want := range files {
		path := want[strings.LastIndexByte(want, ' ')+1:]
		if got := proctest.Output(t, "stat", "--format=%U:%G %a %n", path); got != want+"\n" {
			t.Errorf("%s: want %s", got, want)
		}
	}
}

func expectTraces(t *testing.T, want ...string) {
	t.Helper()
	if got := traces(t); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the machine has %q, want %q", got, want)
	}
}

// localServer is a PostgreSQL that lets the role pgbailiff in as the package has it:
// through the unix socket, by the name of the user. The role is that of the package.
func localServer(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t)
	if err := os.Chmod(s.SocketDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	hba := "local all pgbailiff peer\nlocal all all reject\nhost all pgbailiff all reject\nhost all all 127.0.0.1/32 trust\n"
	if err := os.WriteFile(filepath.Join(s.SocketDir(), "data", "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "SELECT pg_reload_conf()", read(t, "/usr/share/pgbailiff/role.sql"))
	s.WaitFor(t, "SELECT count(*) = 4 FROM pg_hba_file_rules")
	return s
}

// configure does what an administrator does who wants the package to enforce.
func configure(t *testing.T, s *pgtest.Server) {
	t.Helper()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	const file = "/etc/pgbailiff/pgbailiff.yml"
	text := read(t, file)
	for old, changed := range map[string]string{
		"host=/run/postgresql": fmt.Sprintf("host=%s port=%d", s.SocketDir(), s.Port()),
		"# webhook:\n":         "webhook:\n", "#   credentials_file:": "  credentials_file:",
		"mode: dry-run\n":  "mode: enforce\n  limits:\n    actions: 1\n    window: 1h\n",
		"\nremediation:\n": "\ncollector:\n  min_duration: 0s\nremediation:\n",
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("the packaged configuration has %q not once", old)
		}
		text = strings.Replace(text, old, changed, 1)
	}
	write(file, text)
	write("/etc/pgbailiff/webhook.token", "secret\n")
	proctest.Output(t, "chgrp", "pgbailiff", "/etc/pgbailiff/webhook.token")
	write("/etc/default/pgbailiff", "ARGS=\"--config.file="+file+" --web.listen-address=127.0.0.1:0\"\n")
}

// order hangs a query, finds it among the metrics, and posts the alert that names
// it. It returns outcome and reason, and has looked at what became of the query.
func order(t *testing.T, url string, s *pgtest.Server) string {
	t.Helper()
	victim := s.Run(t, "app", "SELECT pg_sleep(600)")
	series := regexp.MustCompile(fmt.Sprintf(`\npgbailiff_query_duration_seconds\{([^}]*pid="%d"[^}]*)\}`, victim.PID()))
	var labels string
	proctest.Eventually(t, "the series of the query", func() error {
		metrics, err := proctest.Get(t, url+"/metrics")
		if err != nil {
			return err
		}
		found := series.FindStringSubmatch(metrics)
		if found == nil {
			return fmt.Errorf("the metrics have no pid %d", victim.PID())
		}
		labels = regexp.MustCompile(`(\w+)=`).ReplaceAllString(found[1], `"$1":`)
		return nil
	})
	alert := fmt.Sprintf(`{"version":"4","status":"firing","alerts":[{"status":"firing","startsAt":"2026-11-30T10:00:00Z",`+
		`"fingerprint":"%d","labels":{"alertname":"LongQuery","severity":"warning",%s}}]}`, victim.PID(), labels)
	answer, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/webhook", strings.NewReader(alert),
		"Authorization: Bearer secret", "Content-Type: application/json")
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("/webhook: %v %v", answer, err)
	}
	result := regexp.MustCompile(`"outcome":"\w+","reason":"\w+"`).FindString(answer.Body)
	if cancelled := strings.Contains(result, `"cancelled"`); cancelled {
		if err := victim.Wait(t); err == nil || !strings.Contains(err.Error(), "57014") {
			t.Errorf("the query ended with %v", err)
		}
	} else if !victim.Running() {
		t.Error("the query was not left alone")
	}
	return result
}

// logrotate rotates now, with the shipped configuration, Debian's defaults, and one
// that an administrator may have added, with which the scripts would not get the names.
func logrotate(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	main := filepath.Join(dir, "logrotate.conf")
	if err := os.WriteFile(main, []byte("weekly\nrotate 4\ncreate\nsharedscripts\ninclude /etc/logrotate.d/pgbailiff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	proctest.Output(t, "logrotate", "--verbose", "--state", filepath.Join(dir, "status"), "--force", main)
}

// rotate rotates while pgbailiff runs, and returns the old file.
func rotate(t *testing.T) string {
	t.Helper()
	logrotate(t)
	files, err := filepath.Glob(ledgerFile + "-*")
	if err != nil || len(files) != 1 {
		t.Fatalf("old ledgers: %q, %v", files, err)
	}
	return files[0]
}

// nextVersion is a package of a later version, with another packaged configuration.
func nextVersion(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	tree, next := filepath.Join(dir, "tree"), filepath.Join(dir, "next.deb")
	proctest.Output(t, "dpkg-deb", "--raw-extract", deb, tree)
	for file, change := range map[string]func(string) string{
		"etc/pgbailiff/pgbailiff.yml": func(text string) string { return text + "# new in this version\n" },
		"DEBIAN/control": func(text string) string {
			return strings.Replace(text, "\nVersion: 1.0.0-1\n", "\nVersion: 1.1.0-1\n", 1)
		},
	} {
		path := filepath.Join(tree, file)
		if err := os.WriteFile(path, []byte(change(read(t, path))), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	proctest.Output(t, "dpkg-deb", "-Znone", "--build", tree, next)
	return next
}
