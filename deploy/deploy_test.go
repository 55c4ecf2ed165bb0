package deploy_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/policytest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPolicyTestsPass(t *testing.T) {
	var out bytes.Buffer
	if err := policytest.Run(&out, "pgbailiff.test.yml"); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// The policy itself gives these reasons; remediation gives the others.
func TestPolicyTestsHaveEveryReason(t *testing.T) {
	tests := read(t, "pgbailiff.test.yml")
	for _, reason := range []policy.Reason{
		policy.ReasonNotVisible, policy.ReasonProtectedBackend, policy.ReasonProtectedUser, policy.ReasonProtectedBackup,
		policy.ReasonProtectedMaintenance, policy.ReasonSyncRep, policy.ReasonRule, policy.ReasonNoAction,
		policy.ReasonCannotCancel, policy.ReasonSeverity,
	} {
		if !strings.Contains(tests, "reason: "+string(reason)+",") {
			t.Errorf("no test wants the reason %s", reason)
		}
	}
}

// The example writes the defaults out. Only what has no default differs.
func TestExampleHasTheDefaults(t *testing.T) {
	got, err := config.Load("pgbailiff.yml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Parse("empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Remediation.Policy.Rules) < 3 {
		t.Errorf("%d rules", len(got.Remediation.Policy.Rules))
	}
	want.Servers = []postgres.Config{{
		Name: "orders", DSN: "postgresql://pgbailiff@db1:5432/postgres?sslmode=verify-full",
		PasswordFile: "/etc/pgbailiff/orders.password",
	}}
	want.ServersFiles = []string{}
	want.Webhook = webhook.Config{CredentialsFile: "/etc/pgbailiff/webhook.token"}
	want.Remediation.Policy.Rules = got.Remediation.Policy.Rules
	want.Remediation.Ledger = ledger.Config{File: "/var/lib/pgbailiff/ledger.jsonl"}
	want.People.Operators, want.People.TrustedProxies = []string{}, []string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the example (-default +example):\n%s", diff)
	}
	if got.Remediation.Mode != remediation.ModeDryRun {
		t.Errorf("the mode is %s", got.Remediation.Mode)
	}
}

// Prometheus takes the example, and the jobs have the names that the rules ask for.
func TestScrapeConfigurationOfAFleet(t *testing.T) {
	proctest.Output(t, "promtool", "check", "config", "prometheus-fleet.yml")
	rules := read(t, filepath.Join("..", "alerts", "pgbailiff.rules.yml"))
	for _, job := range []string{"pgbailiff", "pgbailiff-servers"} {
		if !strings.Contains(read(t, "prometheus-fleet.yml"), "  - job_name: "+job+"\n") || !strings.Contains(rules, fmt.Sprintf("up{job=%q}", job)) {
			t.Errorf("the job %s: the example and the rules differ", job)
		}
	}
}

func TestRoleScriptCanRunTwice(t *testing.T) {
	s := pgtest.Start(t)
	script := read(t, "role.sql")
	conn := s.Connect(t, "postgres").PgConn()
	for range 2 {
		if _, err := conn.Exec(t.Context(), script).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for property, sql := range map[string]string{
		"may log in":                  "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'pgbailiff'",
		"has no privileged attribute": "SELECT NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) FROM pg_roles WHERE rolname = 'pgbailiff'",
		"may see":                     "SELECT pg_has_role('pgbailiff', 'pg_monitor', 'usage')",
		"may signal":                  "SELECT pg_has_role('pgbailiff', 'pg_signal_backend', 'usage')",
		"owns nothing":                "SELECT NOT EXISTS (SELECT FROM pg_shdepend WHERE refobjid = 'pgbailiff'::regrole AND deptype = 'o')",
	} {
		if !pgtest.Value[bool](t, s, sql) {
			t.Errorf("false: the role %s", property)
		}
	}
	// It connects, sees another session's text and terminates the session.
	target := s.Connect(t, "app")
	pid := target.PgConn().PID()
	if _, err := target.Exec(t.Context(), "SELECT 'seen'"); err != nil {
		t.Fatal(err)
	}
	var text string
	var sent bool
	err := s.Connect(t, "pgbailiff").QueryRow(t.Context(),
		"SELECT query, pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1", pid).Scan(&text, &sent)
	if err != nil || text != "SELECT 'seen'" || !sent {
		t.Errorf("it saw %q and signalled: %t (%v)", text, sent, err)
	}
}
