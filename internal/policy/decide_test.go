package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// client is a session that nothing protects.
func client(changes ...func(*session.Found)) session.Found {
	start := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	begun := start.Add(time.Minute)
	s := session.Found{
		Session: session.Session{
			ID:      session.ID{Server: "orders", PID: 42, BackendStart: start},
			Datname: "shop", Usename: "app", ApplicationName: "checkout", ClientAddr: "10.0.0.7",
			BackendType: session.BackendTypeClient,
			Activity:    session.Activity{State: session.StateActive, QueryStart: begun, XactStart: begun, StateChange: begun},
			Query:       "SELECT * FROM orders",
		},
		Own: session.No, Superuser: session.No,
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func query(text string) func(*session.Found) {
	return func(s *session.Found) { s.Query = text }
}

func state(to session.State) func(*session.Found) {
	return func(s *session.Found) { s.State = to }
}

func named(application string) func(*session.Found) {
	return func(s *session.Found) { s.ApplicationName = application }
}

func superuser(s *session.Found) { s.Usename, s.Superuser = "postgres", session.Yes }

func waiting(kind, event string) func(*session.Found) {
	return func(s *session.Found) { s.WaitEventType, s.WaitEvent = kind, event }
}

// rule returns a rule with the name "the rule".
func rule(action policy.Action, matchers ...string) policy.RuleConfig {
	return policy.RuleConfig{Name: "the rule", Matchers: matchers, Action: action}
}

// compile makes a policy with the default severities and these rules.
func compile(t *testing.T, rules ...policy.RuleConfig) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{
		SeverityLabel: "severity",
		Severities: map[string]policy.Action{
			"warning": policy.Cancel, "critical": policy.Terminate,
			"page": policy.CancelThenTerminate, "info": policy.None,
		},
		Rules: rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func severity(s string) map[string]string { return map[string]string{"severity": s} }

func TestEachRungHasItsReason(t *testing.T) {
	const rulesName = "the rule"
	for name, tt := range map[string]struct {
		rules   []policy.RuleConfig
		alert   map[string]string
		session session.Found
		want    policy.Decision
	}{
		"1: the row is hidden from our role": {
			alert: severity("critical"), session: client(func(s *session.Found) { s.BackendType = "" }),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonNotVisible},
		},
		"1: its start is hidden from our role": {
			alert: severity("critical"), session: client(func(s *session.Found) { s.BackendStart = time.Time{} }),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonNotVisible},
		},
		"1: track_activities is off": {
			alert: severity("critical"), session: client(state(session.StateDisabled)),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonNotVisible},
		},
		"2: a walsender": {
			alert: severity("critical"), session: client(func(s *session.Found) { s.BackendType = "walsender" }),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonProtectedBackend},
		},
		"2: our own session": {
			alert: severity("critical"), session: client(func(s *session.Found) { s.Own = session.Yes }),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonProtectedBackend},
		},
		"3: a commit that waits for the standby": {
			alert: severity("critical"), session: client(waiting("IPC", "SyncRep")),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonSyncRep},
		},
		"4: a superuser": {
			alert: severity("critical"), session: client(superuser),
			want: policy.Decision{Action: policy.Terminate, Reason: policy.ReasonProtectedUser},
		},
		"5: a backup": {
			alert: severity("critical"), session: client(named("pg_dump")),
			want: policy.Decision{Action: policy.Terminate, Reason: policy.ReasonProtectedBackup},
		},
		"6: maintenance": {
			alert: severity("warning"), session: client(query("VACUUM orders")),
			want: policy.Decision{Action: policy.Cancel, Reason: policy.ReasonProtectedMaintenance},
		},
		"7: the rule says none": {
			rules: []policy.RuleConfig{rule(policy.None, `usename="app"`)},
			alert: severity("critical"), session: client(),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonRule, Rule: rulesName},
		},
		"7: the severity says none": {
			alert: severity("info"), session: client(),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonNoAction},
		},
		"7: the severity is unknown": {
			alert: severity("Critical"), session: client(),
			want: policy.Decision{Action: policy.None, Reason: policy.ReasonNoAction},
		},
		"7: no severity": {
			session: client(),
			want:    policy.Decision{Action: policy.None, Reason: policy.ReasonNoAction},
		},
		"8: a cancel while idle in transaction": {
			alert: severity("warning"), session: client(state(session.StateIdleInXact)),
			want: policy.Decision{Action: policy.Cancel, Reason: policy.ReasonCannotCancel},
		},
		"8: a rule's cancel while aborted": {
			rules: []policy.RuleConfig{rule(policy.Cancel, `usename="app"`)},
			alert: severity("critical"), session: client(state(session.StateIdleAborted)),
			want: policy.Decision{Action: policy.Cancel, Reason: policy.ReasonCannotCancel, Rule: rulesName},
		},
		"a cancel by severity": {
			alert: severity("warning"), session: client(),
			want: policy.Decision{Action: policy.Cancel, First: session.Cancel, Reason: policy.ReasonSeverity},
		},
		"a terminate by severity": {
			alert: severity("critical"), session: client(),
			want: policy.Decision{Action: policy.Terminate, First: session.Terminate, Reason: policy.ReasonSeverity},
		},
		"both by severity": {
			alert: severity("page"), session: client(),
			want: policy.Decision{
				Action: policy.CancelThenTerminate, First: session.Cancel, Then: session.Terminate, Reason: policy.ReasonSeverity,
			},
		},
		"a terminate by rule": {
			rules: []policy.RuleConfig{rule(policy.Terminate, `usename="app"`)},
			alert: severity("warning"), session: client(),
			want: policy.Decision{Action: policy.Terminate, First: session.Terminate, Reason: policy.ReasonRule, Rule: rulesName},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := compile(t, tt.rules...).Decide(tt.alert, policy.NewSubject(tt.session))
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(policy.Decision{}, "Detail", "Scope")); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if got.Refused() != (got.First == "") {
				t.Errorf("Refused = %t, First = %q", got.Refused(), got.First)
			}
			if got.Refused() && (got.Detail == "" || strings.Contains(got.Detail, tt.session.Query)) {
				t.Errorf("the refusal says %q", got.Detail)
			}
		})
	}
}

// The session fails every rung, and the reason is that of the highest one. Each
// step removes the cause of the reason before it.
func TestHighestRungDecides(t *testing.T) {
	s := client(superuser, named("pg_dump"), query("VACUUM"), state(session.StateActive), waiting("IPC", "SyncRep"))
	s.LeaderPID, s.BackendStart = 7, time.Time{}
	none := rule(policy.None, `severity="none"`)
	alert := severity("none")
	for _, step := range []struct {
		reason policy.Reason
		next   func()
	}{
		{policy.ReasonNotVisible, func() { s.BackendStart = s.QueryStart }},
		{policy.ReasonProtectedBackend, func() { s.LeaderPID, s.BackendType = 0, "autovacuum worker" }},
		{policy.ReasonProtectedBackend, func() { s.BackendType, s.Own = session.BackendTypeClient, session.Yes }},
		{policy.ReasonProtectedBackend, func() { s.Own = session.No }},
		{policy.ReasonSyncRep, func() { s.WaitEventType, s.WaitEvent = "Client", "ClientRead" }},
		{policy.ReasonProtectedUser, func() { s.Superuser = session.No }},
		{policy.ReasonProtectedBackup, func() { s.ApplicationName = "" }},
		{policy.ReasonProtectedMaintenance, func() { s.Query = "COPY t FROM STDIN" }},
		{policy.ReasonRule, func() { alert = severity("unheard of") }},
		{policy.ReasonNoAction, func() { alert = severity("warning") }},
		{policy.ReasonCannotCancel, func() { s.WaitEvent = "" }},
		{policy.ReasonSeverity, func() {}},
	} {
		if got := compile(t, none).Decide(alert, policy.NewSubject(s)); got.Reason != step.reason {
			t.Fatalf("the reason is %s (%s), want %s", got.Reason, got.Detail, step.reason)
		}
		step.next()
	}
}

func TestRefusalOfParallelWorkerNamesItsLeader(t *testing.T) {
	s := client(func(s *session.Found) { s.LeaderPID, s.BackendType = 4711, "parallel worker" })
	got, no := policy.AlwaysProtected(policy.NewSubject(s))
	if !no || got.Reason != policy.ReasonProtectedBackend || !strings.Contains(got.Detail, "4711") {
		t.Errorf("AlwaysProtected = %+v, %t", got, no)
	}
}

// A wait for the standby ends with the statement, so the session is protected now
// but not always. An alert about another statement is answered with gone.
func TestSessionThatWaitsForStandbyIsNotAlwaysProtected(t *testing.T) {
	s := policy.NewSubject(client(waiting("IPC", "SyncRep"), superuser, named("pg_dump"), query("VACUUM")))
	if d, protected := policy.AlwaysProtected(s); protected {
		t.Errorf("AlwaysProtected = %+v", d)
	}
}

func TestZeroDecisionDoesNothing(t *testing.T) {
	if !(policy.Decision{}).Refused() {
		t.Error("the zero Decision is not refused")
	}
	got := new(policy.Policy).Decide(severity("critical"), policy.NewSubject(client()))
	if !got.Refused() || got.Reason == "" {
		t.Errorf("the zero Policy decided %+v", got)
	}
	if got := compile(t).Decide(severity("critical"), policy.NewSubject(session.Found{})); got.Reason != policy.ReasonNotVisible {
		t.Errorf("the zero Session: %+v", got)
	}
}
