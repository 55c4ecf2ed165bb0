//go:build install

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// promised is what README.md promises to a stranger.
const promised = 10 * time.Minute

// TestStrangersPath follows the five steps of README.md, from the archive of a
// release to a query that was cancelled, with real PostgreSQL, Prometheus and
// Alertmanager. The commands and the files are those of the text. Only ports are
// others, so that nothing else on this machine is in the way.
func TestStrangersPath(t *testing.T) {
	t.Parallel() // it waits most of its time
	database := pgtest.Start(t)
	askForPasswords(t, database)
	dist, _ := released(t, "archives")
	port := func() string { return loopback(proctest.FreePort(t)) }
	instead := [][2]string{
		{"127.0.0.1:5432", loopback(database.Port())},
		{"127.0.0.1:10187", port()},
		{"127.0.0.1:9090", port()},
		{"127.0.0.1:9093", port()},
		{"linux-amd64", "linux-" + runtime.GOARCH},
		{"prometheus-alertmanager ", proctest.Find(t, "alertmanager") + " "},
	}
	used := map[string]bool{}
	// By these psql makes the stranger a superuser.
	env := append(proctest.MinimalEnv(t.TempDir()), "PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(database.Port()), "PGUSER=postgres")

	began := time.Now()
	transcript := &strings.Builder{}
	defer func() { t.Logf("the transcript:\n%s", transcript) }()
	note := func(format string, args ...any) {
		fmt.Fprintf(transcript, "[%5.1f s] "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	first := openTerminal(t, dist, env, true)
	var second *terminal
	here := dist // where the first terminal is
	ledger := func() string {
		text, err := os.ReadFile(filepath.Join(here, "ledger.jsonl"))
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	for _, b := range steps(t) {
		text := place(b.text, instead, used)
		switch file, named := b.file(); {
		case b.lang == "yaml" && named:
			note("writes %s:\n%s", file, text)
			if err := os.WriteFile(filepath.Join(here, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.lang == "sh" && strings.Contains(b.before, "another terminal"):
			note("in another terminal:\n%s", text)
			second = openTerminal(t, here, env, false)
			second.start(text)
			await(t, began, "the dry run in the ledger", func() bool { return hasOutcome(ledger(), "dry_run") })
			note("the ledger says dry_run, and the query runs on:\n%s", ledger())
			if strings.Contains(second.text(), "ERROR") {
				t.Fatalf("dry run, and the client reads:\n%s", second.text())
			}
		case b.lang == "sh":
			if strings.HasPrefix(text, "grep ") { // "Alertmanager repeats the order"
				await(t, began, "the cancel in the ledger", func() bool { return hasOutcome(ledger(), "cancelled") })
				await(t, began, "the client's error", func() bool { return strings.Contains(second.text(), "ERROR") })
				note("the client reads:\n%s", second.text())
			}
			note("types:\n%s", text)
			note("reads:\n%s", first.run(text))
			here = first.dir()
		default:
			t.Errorf("README.md: nobody knows what to do with the block %s", b.name())
		}
	}
	took := time.Since(began)
	note("done; the whole ledger:\n%s", ledger())
	t.Logf("from the archive to a cancelled query: %.0f s", took.Seconds())
	for _, pair := range instead {
		if !used[pair[0]] {
			t.Errorf("README.md does not say %s any more: take it out of the table of this test", pair[0])
		}
	}
	if took > promised {
		t.Errorf("it took %v", took)
	}
	// Debian's programs would write below /var/lib/prometheus, which their services need
	// for themselves and others may not write.
	for _, data := range []string{"prometheus.data", "alertmanager.data"} {
		if _, err := os.Stat(filepath.Join(here, data)); err != nil {
			t.Errorf("what is tried is not kept beside it: %v", err)
		}
	}
	if second == nil || !strings.Contains(second.text(), "ERROR:  canceling statement due to user request") {
		t.Error("the client did not read that its statement was cancelled")
	}
	for _, part := range []string{`"event":"intent"`, `"outcome":"cancelled"`, `"usename":"first_try"`, `"alertname":"FirstLongQuery"`} {
		if !strings.Contains(ledger(), part) {
			t.Errorf("the ledger has no %s:\n%s", part, ledger())
		}
	}
}

// steps are the blocks of the five steps.
func steps(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, b := range blocks(t, "README.md") {
		if strings.HasPrefix(b.section, "Five steps") {
			all = append(all, b)
		}
	}
	if len(all) < 10 {
		t.Fatalf("README.md has %d blocks in its five steps", len(all))
	}
	return all
}

// hasOutcome reports whether the ledger has a line with this outcome.
func hasOutcome(ledger, outcome string) bool {
	return strings.Contains(ledger, `"outcome":"`+outcome+`"`)
}

// await waits for what takes as long as Prometheus's and Alertmanager's intervals
// are, at most until the ten minutes are over.
func await(t *testing.T, began time.Time, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), began.Add(promised))
	defer cancel()
	if err := proctest.Poll(ctx, 100*time.Millisecond, func() error {
		if !condition() {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// askForPasswords makes the server ask everybody but its superuser, as an
// installation of Debian does.
func askForPasswords(t *testing.T, s *pgtest.Server) {
	t.Helper()
	rules := "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	file := pgtest.Value[string](t, s, "SHOW hba_file")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "SELECT pg_reload_conf()")
	proctest.Eventually(t, "the server to ask for passwords", func() error {
		conn, err := pgx.Connect(t.Context(), s.DSN("app"))
		if err != nil {
			return nil //nolint:nilerr // this is what it is to do
		}
		return errors.Join(conn.Close(t.Context()), errors.New("app needs no password"))
	})
}
