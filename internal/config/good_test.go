package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// load loads a file of testdata/good.
func load(t *testing.T, name string) *config.Config {
	t.Helper()
	cfg, err := config.Load("testdata/good/" + name + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func atDB(t *testing.T, host, port string) {
	t.Helper()
	withoutPostgres(t)
	t.Setenv("PGHOST", host)
	t.Setenv("PGPORT", port)
}

// defaults is what an empty file means, as docs/configuration.md says.
func defaults() *config.Config {
	return &config.Config{
		Servers: []postgres.Config{{Name: "db.example:5433"}},
		Collector: collector.Config{
			Targets: "metrics", MinDuration: 10 * model.Second, MaxSessions: 50, QueryText: "none", QueryTextLength: 256,
		},
		Remediation: config.Remediation{
			Config: remediation.Config{
				Mode: "dry-run", Grace: 5 * model.Second, VerifyTimeout: 5 * model.Second, ApprovalTimeout: 30 * model.Minute,
				Limits: ledger.Limits{Actions: 10, Window: model.Minute, SuspendAfter: 50, SuspendWindow: 10 * model.Minute},
			},
			Policy: policy.Config{
				SeverityLabel: "severity",
				Severities:    map[string]policy.Action{"warning": "cancel", "critical": "terminate"},
			},
		},
	}
}

func TestAnEmptyFileIsDryRunOnTheServerOfTheEnvironment(t *testing.T) {
	atDB(t, "db.example", "5433")
	for _, name := range []string{"empty", "comment", "nothing-set"} {
		if diff := cmp.Diff(defaults(), load(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf("without a file (-want +got):\n%s", diff)
	}
}

func TestEveryKeyOfTheContractIsRead(t *testing.T) {
	withoutPostgres(t)
	want := &config.Config{
		Servers: []postgres.Config{{
			Name: "orders", DSN: "postgresql://pgbailiff@db1:5432/postgres?sslmode=verify-full",
			PasswordFile: "/etc/pgbailiff/orders.password",
		}},
		Collector: collector.Config{Targets: "probe", MinDuration: 15 * model.Second, MaxSessions: 60, QueryText: "obfuscated", QueryTextLength: 300},
		Webhook:   webhook.Config{CredentialsFile: "/etc/pgbailiff/webhook.token", ListenAddress: "127.0.0.1:10188"},
		Remediation: config.Remediation{
			Config: remediation.Config{
				Mode: "enforce", RequireIdentity: true, Grace: 6 * model.Second, VerifyTimeout: 7 * model.Second, ApprovalTimeout: 31 * model.Minute,
				Limits: ledger.Limits{Actions: 11, Window: 2 * model.Minute, SuspendAfter: 51, SuspendWindow: 11 * model.Minute},
			},
			Policy: policy.Config{
				SeverityLabel: "urgency",
				Severities:    map[string]policy.Action{"warning": "cancel", "critical": "terminate", "page": "cancel-then-terminate"},
				Rules: []policy.RuleConfig{
					{Name: "nightly load", Matchers: []string{`usename="etl"`, `application_name=~"airflow.*"`}, Action: "none"},
					{Name: "dashboards may be dropped", Matchers: []string{`severity="critical"`, `application_name=~"metabase.*"`}, Action: "cancel-then-terminate"},
					{Name: "payroll", Matchers: []string{`usename="payroll"`}, Action: "cancel", Approval: "required"},
				},
			},
			Ledger: ledger.Config{File: "/var/lib/pgbailiff/ledger.jsonl"},
		},
		People: config.People{
			Config: auth.Config{
				Operators: []string{"ann", "Ben Ü. <ben@orders.example>"}, UserHeader: "X-Forwarded-User",
				TrustedProxies: []string{"127.0.0.1", "::1", "10.1.0.0/16", "fd00::/8"},
			},
			AlertmanagerURL: "https://alertmanager.example:9093/prefix",
		},
	}
	if diff := cmp.Diff(want, load(t, "full")); diff != "" {
		t.Errorf("full (-want +got):\n%s", diff)
	}
}

// A database is a ledger to enforce with, and for operators.
func TestTheLedgerOfReplicasIsRead(t *testing.T) {
	withoutPostgres(t)
	want := ledger.Config{
		Postgres: ledger.Postgres{
			DSN: "postgresql://pgbailiff_ledger@ledger/pgbailiff", PasswordFile: "/etc/pgbailiff/ledger.password",
		},
		Retention: 90 * model.Day,
	}
	if diff := cmp.Diff(want, load(t, "ledger-postgres").Remediation.Ledger); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
}

func TestAServerWithoutANameIsCalledHostAndPort(t *testing.T) {
	withoutPostgres(t)
	var got []string
	for _, server := range load(t, "servers").Servers {
		got = append(got, server.Name)
	}
	want := []string{"orders", "db2:5432", "[::1]:5434", "/run/postgresql:5435", "db3:5436", "1.5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestSeveritiesReplaceTheDefault(t *testing.T) {
	withoutPostgres(t)
	for name, want := range map[string]map[string]policy.Action{
		"severities": {"critical": "cancel"}, "no-severities": {},
	} {
		if diff := cmp.Diff(want, load(t, name).Remediation.Policy.Severities); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnAnchorIsWrittenOnceAndReadTwice(t *testing.T) {
	withoutPostgres(t)
	r := load(t, "anchors").Remediation
	if r.VerifyTimeout != 2*model.Second || len(r.Policy.Rules) != 2 || r.Policy.Rules[1].Matchers[0] != `usename="etl"` {
		t.Errorf("remediation %+v", r)
	}
}

func TestDurationsAreThoseOfPrometheus(t *testing.T) {
	withoutPostgres(t)
	cfg := load(t, "durations")
	r := cfg.Remediation
	want := []time.Duration{0, 500 * time.Millisecond, 90 * time.Second, 90 * time.Minute, 24 * time.Hour}
	var got []time.Duration
	for _, d := range []model.Duration{cfg.Collector.MinDuration, r.Grace, r.VerifyTimeout, r.Limits.Window, r.Limits.SuspendWindow} {
		got = append(got, time.Duration(d))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
}

// A key of the mapping itself goes before a merged one, and the first merged
// one before the others.
func TestMergeKeysAreRead(t *testing.T) {
	withoutPostgres(t)
	r := load(t, "merges").Remediation
	want := ledger.Limits{Actions: 3, Window: model.Hour + 30*model.Minute, SuspendAfter: 6, SuspendWindow: 10 * model.Minute}
	if diff := cmp.Diff(want, r.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		rule := policy.RuleConfig{Name: name, Matchers: []string{`usename="etl"`}, Action: policy.None}
		if diff := cmp.Diff(rule, r.Policy.Rules[i]); diff != "" {
			t.Errorf("rule %d (-want +got):\n%s", i, diff)
		}
	}
}

// Changing one configuration must not change the next one.
func TestLoadsShareNothing(t *testing.T) {
	atDB(t, "db.example", "5433")
	first := load(t, "empty")
	first.Remediation.Policy.Severities["warning"] = policy.Terminate
	first.Servers[0].Name = "changed"
	if diff := cmp.Diff(defaults(), load(t, "empty")); diff != "" {
		t.Errorf("the second one (-want +got):\n%s", diff)
	}
}

func TestAMistakeInTheEnvironmentIsASentenceWithoutAKey(t *testing.T) {
	atDB(t, "db.example", "badport")
	_, err := config.Load("")
	if err == nil || err.Error() != "from the environment: invalid port" {
		t.Errorf("Load = %v", err)
	}
}
