//go:build install

package deploy_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// Docker Compose takes the file: the old one (Debian's 1.29) as a program, and v2 as
// its loader. Containers are not started: there is no Docker here, and no registry.
func TestComposeFileIsTaken(t *testing.T) {
	var taken struct { // docker-compose writes other keys in other forms
		Services map[string]struct{ Command, Volumes []string }
	}
	text := proctest.Output(t, "docker-compose", "--file", "compose/compose.yml", "config")
	if err := yaml.Unmarshal([]byte(text), &taken); err != nil {
		t.Fatal(err)
	}
	for name, service := range readCompose(t).Services {
		got, is := taken.Services[name]
		if !is || !slices.Equal(got.Command, service.Command) || len(got.Volumes) != len(service.Volumes) {
			t.Errorf("docker-compose has understood %s as %+v", name, got)
		}
	}
	if !strings.Contains(text, "condition: service_completed_successfully") {
		t.Errorf("pgbailiff does not wait for the ledger's tables:\n%s", text)
	}
	file, err := filepath.Abs("compose/compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(proctest.Output(t, "go", "-C", "../.ci/compose", "run", ".", file))
	if want := slices.Sorted(maps.Keys(taken.Services)); !slices.Equal(names, want) {
		t.Errorf("v2 has found the services %q, not %q", names, want)
	}
}

// TestComposeLoop runs the files of deploy/compose without containers: PostgreSQL
// with its scripts of the first start, the ledger's migration, pgbailiff, Prometheus,
// Alertmanager and the workload, each with the configuration and the command of the
// demo. Only addresses and paths are replaced. Grafana is not run; the statement of
// its data source's user is.
func TestComposeLoop(t *testing.T) {
	d := &composeDemo{t: t, dir: t.TempDir(), postgres: pgtest.Start(t)}
	for _, script := range []string{"role.sql", "compose/demo.sql"} { // as PostgreSQL's image does
		proctest.Output(t, "psql", "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--username=postgres", "--dbname=postgres",
			"--host="+d.postgres.Host(), fmt.Sprintf("--port=%d", d.postgres.Port()), "--file="+script)
	}
	compose := readCompose(t)
	database := fmt.Sprintf("%s:%d", d.postgres.Host(), d.postgres.Port())
	d.put("webhook.token", "compose/"+compose.Secrets["webhook.token"].File)
	token := []string{"/run/secrets/webhook.token", filepath.Join(d.dir, "webhook.token")}
	d.put("pgbailiff.yml", "compose/pgbailiff.yml", append(token, "postgres:5432", database)...)

	program := proctest.Build(t, "github.com/pgbailiff/pgbailiff", "pgbailiff")
	command := func(service string) []string {
		args := slices.Clone(compose.Services[service].Command)
		args[0] = strings.Replace(args[0], "/etc/pgbailiff", d.dir, 1)
		return args
	}
	migrate := proctest.Start(t, proctest.Command{Path: program, Name: "migrate", Dir: d.dir, Args: command("migrate")})
	if status := migrate.Wait(); status != 0 {
		t.Fatalf("migrate: %d\n%s", status, migrate.Output())
	}
	d.grafana = d.postgres.Connect(t, "grafana", func(c *pgx.ConnConfig) { c.Database = "pgbailiff" })
	bailiff := proctest.Serve(t, proctest.Command{Path: program, Dir: d.dir, Args: command("pgbailiff")})
	d.put("alertmanager.yml", "compose/alertmanager.yml", append(token, "pgbailiff:10187", bailiff.Address)...)
	alertmanager := proctest.Alertmanager(t, d.dir)
	d.put("pgbailiff.thresholds.yml", "compose/thresholds.yml")
	d.put("pgbailiff.rules.yml", "../alerts/pgbailiff.rules.yml")
	d.put("prometheus.yml", "compose/prometheus.yml", "pgbailiff:10187", bailiff.Address, "alertmanager:9093", alertmanager.Address)
	proctest.Prometheus(t, d.dir)

	workload, err := filepath.Abs("compose/sessions/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	proctest.Start(t, proctest.Command{
		Path: proctest.Find(t, "bash"), Name: "workload", Dir: d.dir, Args: []string{workload}, AnyStatus: true,
		Env: append(proctest.MinimalEnv(d.dir), "PGHOST="+d.postgres.Host(), fmt.Sprintf("PGPORT=%d", d.postgres.Port())),
	})

	d.await("report", "PgbailiffLongQuery cancel cancelled severity")
	d.await("blocker", "PgbailiffBlockerCritical terminate terminated severity")
	d.await("forgotten", "PgbailiffIdleInTransactionCritical terminate terminated severity")
	d.await("nightly", "PgbailiffLongQuery none refused rule")
	for _, innocent := range []string{"shop", "blocked"} {
		if got := d.decisions(innocent); len(got) > 0 {
			t.Errorf("about %s was decided: %q", innocent, got)
		}
	}
}

// composeDemo is the demo as processes of this machine.
type composeDemo struct {
	t        *testing.T
	dir      string
	postgres *pgtest.Server
	grafana  *pgx.Conn // as Grafana's data source connects
}

// put writes a file of the repository into the directory, with these words replaced.
// Each must occur.
func (d *composeDemo) put(name, file string, words ...string) {
	d.t.Helper()
	text := read(d.t, file)
	for pair := range slices.Chunk(words, 2) {
		if !strings.Contains(text, pair[0]) {
			d.t.Fatalf("%s: there is no %q", file, pair[0])
		}
	}
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(strings.NewReplacer(words...).Replace(text)), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// decisions are the ledger's outcomes about an application, as Grafana reads them.
func (d *composeDemo) decisions(application string) []string {
	d.t.Helper()
	rows, err := d.grafana.Query(d.t.Context(), `
		SELECT alertname || ' ' || action || ' ' || outcome || ' ' || reason FROM pgbailiff.decisions
		WHERE event = 'outcome' AND application_name = $1 ORDER BY time`, application)
	if err != nil {
		d.t.Fatal(err)
	}
	decisions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		d.t.Fatal(err)
	}
	return decisions
}

// await waits for a decision about an application. The thresholds are up to 45 s.
func (d *composeDemo) await(application, decision string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 4*time.Minute)
	defer cancel()
	err := proctest.Poll(ctx, time.Second, func() error {
		if got := d.decisions(application); !slices.Contains(got, decision) {
			return fmt.Errorf("there is %q", got)
		}
		return nil
	})
	if err != nil {
		d.t.Fatalf("waiting for %q about %s: %v", decision, application, err)
	}
}
