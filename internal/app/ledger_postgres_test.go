package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// onLedger is the configuration of a replica whose ledger is this database.
func onLedger(dsn string) string {
	return fmt.Sprintf("servers: [%s]\nremediation: {ledger: {postgres: {dsn: %q}}}", down, dsn)
}

// gauge is the value of a metric of the only server.
func gauge(t *testing.T, a *app, name string) float64 {
	t.Helper()
	families, err := a.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// What waits, and what is suspended, at one replica shows in the metrics of the
// other. A reload of either is in the ledger of both.
func TestReplicasShareTheirLedger(t *testing.T) {
	db := pgtest.Start(t)
	dsn := db.DSN("postgres")
	if err := pgledger.Migrate(t.Context(), ledger.Postgres{DSN: dsn}); err != nil {
		t.Fatal(err)
	}
	one, _ := newTestApp(t, onLedger(dsn))
	defer one.stop()
	other, _ := newTestApp(t, onLedger(dsn))
	defer other.stop()

	now := time.Now()
	asked := ledger.Entry{
		Time: now, ID: "one", Decision: "one", Server: "down", Target: ledger.Target{PID: 42, BackendStart: ledger.Time{Time: now}},
		Action: policy.Cancel, Question: ledger.Question{Until: now.Add(time.Hour)},
	}
	if standing, _, err := one.ledger.Ask(t.Context(), asked); standing != ledger.Waiting || err != nil {
		t.Fatalf("asked: %d, %v", standing, err)
	}
	intent := ledger.Entry{
		Time: now, ID: "two", Decision: "two", Server: "down", Target: ledger.Target{PID: 43, BackendStart: ledger.Time{Time: now}},
		Action: policy.Cancel, Origin: ledger.Origin{Source: ledger.SourceAlert},
	}
	limits := ledger.Limits{Actions: 9, Window: model.Duration(time.Hour), SuspendAfter: 1, SuspendWindow: model.Duration(time.Hour)}
	if begun, err := one.ledger.Begin(t.Context(), intent, limits); begun.Allowance != ledger.Allowed || err != nil {
		t.Fatalf("begun: %+v, %v", begun, err)
	}
	outcome := intent
	outcome.Outcome, outcome.Signalled = ledger.Cancelled, true
	if err := one.ledger.Finish(t.Context(), outcome); err != nil {
		t.Fatal(err)
	}
	proctest.Until(t, "both at the other replica", func() bool {
		return gauge(t, other, "pgbailiff_pending_approvals") == 1 && gauge(t, other, "pgbailiff_remediation_suspended") == 1
	})
	if err := other.ledger.Resume(t.Context(), "down", "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := one.reload(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	proctest.Until(t, "the end of the suspension at the first one", func() bool { return gauge(t, one, "pgbailiff_remediation_suspended") == 0 })
	proctest.Until(t, "the reload in the other's ledger", func() bool {
		last := other.ledger.Recent(1)
		return len(last) == 1 && last[0].Event == ledger.EventReloaded && last[0].By == "ann" && last[0].Replica == hostName()
	})
}

// Without its database a replica starts, is ready and scrapes, and says in the log
// that it signals nothing.
func TestAStartWithoutTheLedgersDatabase(t *testing.T) {
	f := &filesApp{dir: t.TempDir()}
	f.write(t, "pgbailiff.yml", onLedger("postgresql://nobody:hunter2@127.0.0.1:1/ledger?sslmode=disable"))
	a, err := newApp(Options{ConfigFile: filepath.Join(f.dir, "pgbailiff.yml"), Web: &web.FlagConfig{WebConfigFile: new(string)}}, log.NewLogfmtLogger(&f.out))
	if err != nil {
		t.Fatal(err)
	}
	defer a.stop()
	main, _ := a.routes()
	for _, path := range []string{"/-/ready", "/metrics", "/"} {
		w := httptest.NewRecorder()
		main.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if up := gauge(t, a, "pgbailiff_ledger_up"); up != 0 {
		t.Errorf("pgbailiff_ledger_up %g", up)
	}
	if log := f.out.String(); !strings.Contains(log, "nothing is signalled until it can be") || strings.Contains(log, "hunter2") {
		t.Errorf("the log:\n%s", log)
	}
}

// A database without the schema, or with another one, is refused by the sentence
// that says what mends it.
func TestAStartWithAnotherSchemaIsRefused(t *testing.T) {
	db := pgtest.Start(t)
	file := filepath.Join(t.TempDir(), "pgbailiff.yml")
	write(t, file, onLedger(db.DSN("postgres")))
	_, err := newApp(Options{ConfigFile: file, Web: &web.FlagConfig{WebConfigFile: new(string)}}, log.NewNopLogger())
	if err == nil || !strings.Contains(err.Error(), "pgbailiff ledger migrate") {
		t.Errorf("newApp: %v", err)
	}
}
