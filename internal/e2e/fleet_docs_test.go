package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// fleetGuide is docs/fleet.md, and its blocks of code by what stands after the three
// backquotes.
func fleetGuide(t *testing.T) (text string, blocks map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks = map[string][]string{}
	for _, m := range regexp.MustCompile("(?ms)^```(.*?)\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		blocks[m[1]] = append(blocks[m[1]], m[2])
	}
	return string(data), blocks
}

// TestFleetConfigurationLoads: the pieces of YAML together are a configuration.
func TestFleetConfigurationLoads(t *testing.T) {
	_, blocks := fleetGuide(t)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("servers.yml", strings.Join(blocks["yaml servers"], ""))
	write("pgbailiff.yml", strings.ReplaceAll(strings.Join(blocks["yaml"], ""), "/etc/pgbailiff/servers/*.yml", filepath.Join(dir, "servers.yml")))
	cfg, err := config.Load(filepath.Join(dir, "pgbailiff.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Remediation.Ledger.Postgres.DSN == "" || len(cfg.ServersFiles) != 1 {
		t.Errorf("not the configuration that the guide is about: %+v", cfg)
	}
	var servers []map[string]string
	if err := yaml.Unmarshal([]byte(blocks["yaml servers"][0]), &servers); err != nil || len(servers) != 2 {
		t.Errorf("%d servers: %v", len(servers), err)
	}
}

// TestFleetLedgerWithTheLeastPrivileges: what the guide grants is enough for a
// replica and for a reader, and a replica cannot change a line.
func TestFleetLedgerWithTheLeastPrivileges(t *testing.T) {
	_, blocks := fleetGuide(t)
	s := pgtest.Start(t)
	s.Exec(t, "CREATE ROLE grafana LOGIN")
	for statement := range strings.SplitSeq(strings.TrimSpace(blocks["sql"][0]), ";\n") {
		s.Exec(t, strings.Replace(statement, "OWNER pgbailiff_ledger", "OWNER app", 1)) // another role owns the tables
	}
	database := func(user string) ledger.Postgres {
		return ledger.Postgres{DSN: strings.Replace(s.DSN(user), "/postgres?", "/pgbailiff?", 1)}
	}
	if err := pgledger.Migrate(t.Context(), database("app")); err != nil {
		t.Fatal(err)
	}
	as := func(user string) *pgx.Conn {
		return s.Connect(t, user, func(c *pgx.ConnConfig) { c.Database = "pgbailiff" })
	}
	if _, err := as("app").Exec(t.Context(), strings.Join(blocks["sql grants"], "")); err != nil {
		t.Fatal(err)
	}
	actAsReplica(t, database("pgbailiff_ledger"))
	rows, err := as("grafana").Query(t.Context(), blocks["sql read"][0])
	if err != nil {
		t.Fatal(err)
	}
	if read, err := pgx.CollectRows(rows, pgx.RowToMap); err != nil || len(read) != 1 {
		t.Errorf("a reader finds %v: %v", read, err)
	}
	for _, change := range []string{"UPDATE pgbailiff.entries SET entry = '{}'", "TRUNCATE pgbailiff.entries", "DROP VIEW pgbailiff.decisions"} {
		_, err := as("pgbailiff_ledger").Exec(t.Context(), change)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != insufficientPrivilege {
			t.Errorf("%s: %v", change, err)
		}
	}
}

const insufficientPrivilege = "42501"

// actAsReplica does with the ledger what a replica does.
func actAsReplica(t *testing.T, to ledger.Postgres) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	store, err := pgledger.Open(ctx, pgledger.Options{
		Config: ledger.Config{Postgres: to, Retention: 90 * model.Day}, Replica: "pgbailiff-0",
		Patience: func() time.Duration { return time.Minute }, Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.Entry{
		Time: now, ID: "signal", Decision: "signal", Server: "orders", SystemIdentifier: "7",
		Target: ledger.FenceTarget(session.Fence{Server: "orders", PID: 42, BackendStart: now, QueryStart: now}),
		Action: policy.Cancel, Reason: policy.ReasonSeverity, Facts: ledger.Facts{State: session.StateActive},
	}
	once := ledger.Limits{Actions: 1, Window: model.Duration(time.Minute), SuspendAfter: 1, SuspendWindow: model.Duration(time.Minute)}
	begun, err := store.Begin(ctx, e, once)
	if err != nil || begun.Allowance != ledger.Allowed {
		t.Fatalf("%+v: %v", begun, err)
	}
	ended, asked := e, e
	ended.Outcome, ended.Signalled = ledger.Cancelled, true
	asked.ID, asked.Until = "question", now.Add(time.Hour)
	_, _, askErr := store.Ask(ctx, asked)
	_, answerErr := store.Answer(ctx, "question", ledger.EventDenied, "ann", "", now)
	if err := errors.Join(
		store.Finish(ctx, ended), store.Append(ctx, e), store.Resume(ctx, "orders", "ann", now),
		askErr, answerErr, store.Expire(ctx, now), store.Reloaded(ctx, "ann", now), store.Close(),
	); err != nil {
		t.Fatal(err)
	}
}
