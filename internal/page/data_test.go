package page_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

var now = time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)

func newPolicy(t testing.TB) *policy.Policy {
	t.Helper()
	return policyOf(t,
		policy.RuleConfig{Name: "month's end", Matchers: []string{`usename="month_end"`}, Action: policy.Terminate, Approval: policy.ApprovalRequired},
		policy.RuleConfig{Name: "nightly load", Matchers: []string{`usename="etl"`}, Action: policy.None},
		policy.RuleConfig{
			Name: "dashboards may be dropped", Action: policy.CancelThenTerminate,
			Matchers: []string{`severity="critical"`, `application_name=~"metabase.*"`},
		},
	)
}

func policyOf(t testing.TB, rules ...policy.RuleConfig) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{
		SeverityLabel: "severity", Rules: rules,
		Severities: map[string]policy.Action{"warning": policy.Cancel, "critical": policy.Terminate},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// client is a client's session on a server.
func client(server string, pid int32, user, database, application, addr string) session.Session {
	return session.Session{
		ID:      session.ID{Server: server, PID: pid, BackendStart: now.Add(-3 * time.Hour)},
		Usename: user, Datname: database, ApplicationName: application, ClientAddr: addr,
		BackendType: session.BackendTypeClient,
	}
}

// running is a session that has been running one statement.
func running(s session.Session, age float64, text string) session.Aged {
	s.State, s.Query, s.QueryStart, s.XactStart = session.StateActive, text, ago(age), ago(age)
	return session.Aged{Session: s, Ages: session.Ages{session.FamilyQuery: age, session.FamilyTransaction: age}}
}

// idling is a session that has been idle in its transaction.
func idling(s session.Session, xact, idle float64, last string) session.Aged {
	s.State, s.Query, s.XactStart, s.StateChange = session.StateIdleInXact, last, ago(xact), ago(idle)
	s.WaitEventType, s.WaitEvent = "Client", "ClientRead"
	return session.Aged{Session: s, Ages: session.Ages{session.FamilyTransaction: xact, session.FamilyIdleInTransaction: idle}}
}

// leaked is a session that has been idle outside a transaction.
func leaked(s session.Session, idle float64, last string) session.Session {
	s.State, s.Query, s.StateChange = session.StateIdle, last, ago(idle)
	s.WaitEventType, s.WaitEvent = "Client", "ClientRead"
	return s
}

func ago(seconds float64) time.Time { return now.Add(-time.Duration(seconds * float64(time.Second))) }

func waiting(a session.Aged, event string) session.Aged {
	a.WaitEventType, a.WaitEvent = "Lock", event
	return a
}

// fullPage has something for every part of the page.
func fullPage(t testing.TB) world {
	holder := idling(client("orders", 21804, "shop", "shop", "checkout-api 4.12", "10.20.3.17"), 1512, 1498.2,
		"UPDATE stock SET reserved = reserved + 1 WHERE sku = 'A-1042'")
	first := waiting(running(client("orders", 22011, "shop", "shop", "checkout-api 4.12", "10.20.3.18"), 312.4,
		"UPDATE stock SET reserved = reserved - 1 WHERE sku = 'A-1042'"), "transactionid")
	second := waiting(running(client("orders", 22035, "shop", "shop", "admin", "10.20.3.40"), 44,
		"ALTER TABLE stock ADD COLUMN batch text"), "relation")
	report := running(client("orders", 19377, "metabase", "shop", "metabase dashboards", "10.20.9.2"), 4211,
		"SELECT c.country, date_trunc('week', o.created_at) AS week, sum(l.amount)\nFROM orders o\n  JOIN order_lines l USING (order_id)\n  JOIN customers c USING (customer_id)\nGROUP BY 1, 2\nORDER BY 3 DESC")
	report.WaitEventType, report.WaitEvent = "IO", "DataFileRead"
	load := running(client("orders", 18200, "etl", "shop", "airflow nightly", "10.20.7.5"), 9120, "COPY staging.events FROM STDIN")
	load.Ages[session.FamilyTransaction], load.Ages[session.FamilyQuery] = 9120, 31
	index := running(client("orders", 20990, "deploy", "shop", "migrate", "10.20.7.9"), 601,
		"CREATE INDEX CONCURRENTLY orders_created_at ON orders (created_at)")
	root := running(client("billing", 902, "postgres", "invoices", "psql", ""), 75, "SELECT count(*) FROM ledger_lines")
	behindPrepared := waiting(running(client("billing", 977, "billing", "invoices", "invoice-run", "10.20.5.3"), 188,
		"DELETE FROM outbox WHERE id = 77120"), "transactionid")

	return world{
		Site: page.Site{
			MostServers: 100,
			URL:         "https://pgbailiff.example/pg", AlertmanagerURL: "https://alertmanager.example/am", Mode: "enforce", Grace: 5 * time.Second,
			SeverityLabel: "severity", Severities: []string{"warning", "critical"},
			MinDuration: 10, Limit: 10, Window: time.Minute, Text: strings.TrimSpace, Version: "0.1.0",
		},
		Now: now, Person: page.Person{Name: "ann", Operator: true}, Policy: newPolicy(t), Preview: preview(t),
		Plain: []session.Session{leaked(client("orders", 4711, "shop", "shop", "worker", "10.20.3.50"), 93784, "SELECT 1")},
		Servers: []page.Server{
			{
				Name: "orders", Spent: 3,
				Snapshot: session.Snapshot{
					Server: "orders", Connections: 183, LocksKnown: true,
					Sessions: []session.Aged{holder, first, second, report, load, index},
					Facts:    session.Facts{MaxConnections: 200, Version: "17.4", Role: "pgbailiff", CanSee: true, CanSignal: true},
					Waiters: []session.Waiter{
						{PID: 22011, Age: 312.1, Blockers: []int32{21804}},
						{PID: 22035, Age: 43.6, Blockers: []int32{22011, 21804, 21804}},
						{PID: 22040, Age: 3},
					},
					LockWaits: []session.LockWait{{Session: first.Session, Age: 312.1}, {Session: second.Session, Age: 43.6}},
					Blockers:  []session.Blocker{{Session: holder.Session, Behind: 3}},
				},
			},
			{
				Name: "billing", Suspended: true, Spent: 10,
				Snapshot: session.Snapshot{
					Server: "billing", Connections: 41, LocksKnown: true,
					Sessions: []session.Aged{root, behindPrepared},
					Facts: session.Facts{
						MaxConnections: 100, Version: "16.8", Role: "pgbailiff", CanSee: true, CanSignal: true,
						Prepared: []session.Prepared{{Datname: "invoices", Count: 1, Oldest: 93784}},
					},
					Waiters:   []session.Waiter{{PID: 977, Age: 187.9, Blockers: []int32{session.PreparedTransaction}}},
					LockWaits: []session.LockWait{{Session: behindPrepared.Session, Age: 187.9}},
					Blockers:  []session.Blocker{{Behind: 1}},
				},
			},
			{
				Name: "reporting",
				Snapshot: session.Snapshot{
					Server: "reporting", Connections: 27, Hidden: 26, LocksKnown: true,
					Facts: session.Facts{MaxConnections: 100, InRecovery: true, Version: "17.4", Role: "pg bailiff"},
				},
			},
			{Name: "archive", Err: errors.New("failed to connect to `user=pgbailiff host=10.20.8.8`: hunter2")},
		},
		Waiting: []ledger.Entry{
			asked(entry(4*time.Minute, ledger.EventAsked, ledger.Pending, "orders", 19377, "terminate", "approval", "PgbailiffLongQueryCritical"), 30*time.Minute),
			asked(entry(2*time.Minute, ledger.EventAsked, ledger.Pending, "orders", 22011, "cancel", "approval", "PgbailiffLongQuery"), 30*time.Minute),
		},
		Decisions: []ledger.Entry{
			entry(21*time.Second, ledger.EventIntent, "", "orders", 23117, "cancel", "severity", "PgbailiffLongQuery"),
			{Time: now.Add(-40 * time.Second), Event: ledger.EventSuspended, Server: "billing"},
			entry(41*time.Second, ledger.EventOutcome, ledger.Terminated, "billing", 840, "terminate", "severity", "PgbailiffLongQueryCritical"),
			entry(41*time.Second, ledger.EventIntent, "", "billing", 840, "terminate", "severity", "PgbailiffLongQueryCritical"),
			func() ledger.Entry {
				e := entry(95*time.Second, ledger.EventOutcome, ledger.Cancelled, "orders", 19012, "cancel-then-terminate", "rule", "PgbailiffLongQueryCritical")
				e.Rule, e.Usename, e.Datname = "dashboards may be dropped", "metabase", "shop"
				return e
			}(),
			detailed(entry(4*time.Minute, ledger.EventOutcome, ledger.Ignored, "orders", 17455, "cancel", "severity", "PgbailiffLongQuery"),
				"the signal was sent, and the target is still there"),
			func() ledger.Entry {
				e := entry(6*time.Minute, ledger.EventOutcome, ledger.Refused, "orders", 18200, "none", "rule", "PgbailiffLongTransaction")
				e.Rule, e.Usename = "nightly load", "etl"
				return detailed(e, "the rule says none")
			}(),
			detailed(entry(7*time.Minute, ledger.EventOutcome, ledger.Refused, "orders", 20990, "cancel", "protected_maintenance", "PgbailiffLongQuery"),
				"CREATE INDEX CONCURRENTLY; ended halfway it leaves an invalid index behind"),
			detailed(entry(9*time.Minute, ledger.EventOutcome, ledger.Gone, "orders", 16001, "none", "", "PgbailiffLongQuery"),
				"the session is doing something else now"),
			detailed(entry(12*time.Minute, ledger.EventOutcome, ledger.Failed, "archive", 311, "none", "", "PgbailiffIdleInTransaction"),
				"nothing was signalled"),
			detailed(entry(21*time.Minute, ledger.EventOutcome, ledger.Refused, "orders", 21804, "cancel", "cannot_cancel", "PgbailiffIdleInTransaction"),
				"the session is idle in transaction: there is no statement to cancel"),
			entry(26*time.Hour, ledger.EventOutcome, ledger.DryRun, "orders", 9001, "cancel", "severity", "PgbailiffLongQuery"),
			byHand(entry(27*time.Hour, ledger.EventOutcome, ledger.Terminated, "orders", 8122, "terminate", "manual", ""), "ann", "left behind by the deploy of Friday"),
			asked(entry(27*time.Hour, ledger.EventExpired, "", "orders", 8001, "terminate", "approval", "PgbailiffLongQuery"), 30*time.Minute),
			byHand(entry(27*time.Hour, ledger.EventDenied, "", "orders", 8002, "terminate", "approval", "PgbailiffLongQuery"), "bob", "month's end"),
			byHand(entry(27*time.Hour, ledger.EventApproved, "", "orders", 8003, "terminate", "approval", "PgbailiffLongQuery"), "ann", ""),
			asked(entry(27*time.Hour, ledger.EventAsked, ledger.Pending, "orders", 8003, "terminate", "approval", "PgbailiffLongQuery"), 30*time.Minute),
			entry(27*time.Hour, ledger.EventOutcome, ledger.Pending, "orders", 8003, "terminate", "approval", "PgbailiffLongQuery"),
			{Time: now.Add(-27 * time.Hour), Event: ledger.EventResumed, Server: "orders"},
			{Time: now.Add(-27 * time.Hour), Event: ledger.EventResumed, Server: "orders", Origin: ledger.Origin{By: "ann"}},
			{Time: now.Add(-27 * time.Hour), Event: ledger.EventReloaded, Origin: ledger.Origin{By: "ann"}},
			{Time: now.Add(-28 * time.Hour), Event: "unknown", Server: "orders"},
		},
	}
}

func entry(before time.Duration, event ledger.Event, outcome ledger.Outcome, server string, pid int32, action policy.Action, reason policy.Reason, alert string) ledger.Entry {
	severity := "warning"
	if strings.HasSuffix(alert, "Critical") {
		severity = "critical"
	}
	return ledger.Entry{
		Time: now.Add(-before), Event: event, Outcome: outcome, Server: server, Action: action, Reason: reason,
		Target: ledger.Target{PID: pid, BackendStart: ledger.Time{Time: now.Add(-3 * time.Hour)}},
		Origin: ledger.Origin{Alertname: alert, Severity: severity}, Facts: ledger.Facts{Usename: "shop", Datname: "shop"},
	}
}

func byHand(e ledger.Entry, by, comment string) ledger.Entry {
	e.By, e.Comment = by, comment
	return e
}

// asked is a question that waits for so long from the time of its line.
func asked(e ledger.Entry, patience time.Duration) ledger.Entry {
	e.ID, e.Until, e.Rule = "01J0Q", e.Time.Add(patience), "dashboards may be dropped"
	return e
}

func detailed(e ledger.Entry, detail string) ledger.Entry {
	e.Detail = detail
	return e
}
