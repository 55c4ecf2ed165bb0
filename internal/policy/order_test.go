package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What is refused by each rung of the ladder of orders, and what lifts it.
func TestAnOrderByHandGoesDownItsLadder(t *testing.T) {
	none := rule(policy.None, `usename="app"`)
	for name, tt := range map[string]struct {
		rules   []policy.RuleConfig
		session session.Found
		reason  policy.Reason
		lifted  bool // by its own name
	}{
		"hidden":                       {nil, client(func(s *session.Found) { s.BackendType = "" }), policy.ReasonNotVisible, false},
		"a walsender":                  {nil, client(func(s *session.Found) { s.BackendType = "walsender" }), policy.ReasonProtectedBackend, false},
		"our own":                      {nil, client(func(s *session.Found) { s.Own = session.Yes }), policy.ReasonProtectedBackend, false},
		"a parallel worker":            {nil, client(func(s *session.Found) { s.LeaderPID = 7 }), policy.ReasonProtectedBackend, false},
		"track_activities is off":      {nil, client(state(session.StateDisabled)), policy.ReasonNotVisible, false},
		"waits for a standby":          {nil, client(waiting("IPC", "SyncRep")), policy.ReasonSyncRep, false},
		"a superuser":                  {nil, client(superuser), policy.ReasonProtectedUser, true},
		"perhaps a superuser":          {nil, client(func(s *session.Found) { s.Superuser = session.Unknown }), policy.ReasonProtectedUser, true},
		"a backup":                     {nil, client(named("pg_dump")), policy.ReasonProtectedBackup, true},
		"a backup that looks idle":     {nil, client(state(session.StateIdle), query("select pg_backup_start('x')")), policy.ReasonProtectedBackup, true},
		"maintenance":                  {nil, client(query("VACUUM")), policy.ReasonProtectedMaintenance, true},
		"a text that tells nothing":    {nil, client(query("vac"), func(s *session.Found) { s.QueryTruncated = true }), policy.ReasonProtectedMaintenance, true},
		"the rule says none":           {[]policy.RuleConfig{none}, client(), policy.ReasonRule, true},
		"a rule that lifts for alerts": {[]policy.RuleConfig{rule(policy.Terminate, `application_name="pg_dump"`)}, client(named("pg_dump")), policy.ReasonProtectedBackup, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := compile(t, tt.rules...), policy.NewSubject(tt.session)
			others := slices.DeleteFunc(policy.RefusalReasons(), func(r policy.Reason) bool { return r == tt.reason })
			for _, lift := range [][]policy.Reason{nil, others} {
				got := p.DecideOrder(policy.Order{Action: policy.Terminate, Lift: lift}, s)
				if !got.Refused() || got.Reason != tt.reason || got.Action != policy.Terminate || got.Detail == "" {
					t.Errorf("with %s lifted: %+v", lift, got)
				}
			}
			got := p.DecideOrder(policy.Order{Action: policy.Terminate, Lift: []policy.Reason{tt.reason}}, s)
			if lifted := !got.Refused(); lifted != tt.lifted {
				t.Fatalf("lifted: %+v", got)
			}
			if tt.lifted && (got.Reason != policy.ReasonManual || got.Detail != "the order lifts "+string(tt.reason)) {
				t.Errorf("lifted: %+v", got)
			}
			if listed := slices.Contains(policy.Liftable(), tt.reason); listed != tt.lifted {
				t.Errorf("Liftable has %s: %t", tt.reason, listed)
			}
		})
	}
}

// Each refusal that applies must be lifted by its own name.
func TestAnOrderLiftsEachReasonByItsName(t *testing.T) {
	p := compile(t, rule(policy.None, `usename="postgres"`))
	s := policy.NewSubject(client(superuser, named("pg_dump"), query("VACUUM")))
	order := policy.Order{Action: policy.Cancel}
	for _, next := range policy.Liftable() {
		got := p.DecideOrder(order, s)
		if got.Reason != next {
			t.Errorf("with %s lifted: %+v", order.Lift, got)
		}
		order.Lift = append(order.Lift, next)
	}
	want := policy.Decision{
		Action: policy.Cancel, First: session.Cancel, Scope: session.ScopeTransaction, Reason: policy.ReasonManual, Rule: "the rule",
		Detail: "the order lifts protected_user, protected_backup, protected_maintenance, rule",
	}
	if diff := cmp.Diff(want, p.DecideOrder(order, s)); diff != "" {
		t.Errorf("all lifted (-want +got):\n%s", diff)
	}
}

// A person's order does what it says, whatever rules and severities say to alerts.
func TestAnOrderByHandIsNotARulesOrder(t *testing.T) {
	s := policy.NewSubject(client())
	for name, rules := range map[string][]policy.RuleConfig{
		"no rule":                         nil,
		"another action":                  {rule(policy.Terminate, `usename="app"`)},
		"a person must approve it":        {{Name: "asks", Matchers: []string{`usename="app"`}, Action: policy.Terminate, Approval: policy.ApprovalRequired}},
		"none, for another session":       {rule(policy.None, `usename="etl"`)},
		"none, for an alert":              {rule(policy.None, `severity="critical"`)},
		"none, but another rule is first": {{Name: "first", Matchers: []string{`usename="app"`}, Action: policy.Cancel}, rule(policy.None, `usename="app"`)},
	} {
		t.Run(name, func(t *testing.T) {
			got := compile(t, rules...).DecideOrder(policy.Order{Action: policy.Cancel, Lift: policy.Liftable()}, s)
			want := policy.Decision{Action: policy.Cancel, First: session.Cancel, Scope: session.ScopeTransaction, Reason: policy.ReasonManual}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A rule that looks at the statement makes the decision one about the statement.
func TestAnOrderByHandIsJudgedAnewForEachStatement(t *testing.T) {
	p := compile(t, rule(policy.None, `command="COPY"`))
	if got := p.DecideOrder(policy.Order{Action: policy.Cancel}, policy.NewSubject(client())); got.Refused() || got.Scope != session.ScopeStatement {
		t.Errorf("%+v", got)
	}
}

func TestAnOrderByHandTakesTheVerbThatWorks(t *testing.T) {
	type verbs struct{ first, then session.Verb }
	p := compile(t)
	for name, tt := range map[string]struct {
		action  policy.Action
		session session.Found
		want    verbs
		reason  policy.Reason
	}{
		"cancel":                                      {policy.Cancel, client(), verbs{first: session.Cancel}, policy.ReasonManual},
		"terminate":                                   {policy.Terminate, client(), verbs{first: session.Terminate}, policy.ReasonManual},
		"cancel-then-terminate":                       {policy.CancelThenTerminate, client(), verbs{session.Cancel, session.Terminate}, policy.ReasonManual},
		"terminate what is idle":                      {policy.Terminate, client(state(session.StateIdle)), verbs{first: session.Terminate}, policy.ReasonManual},
		"cancel-then-terminate what is idle":          {policy.CancelThenTerminate, client(state(session.StateIdle)), verbs{first: session.Terminate}, policy.ReasonManual},
		"cancel what is idle":                         {policy.Cancel, client(state(session.StateIdle)), verbs{}, policy.ReasonCannotCancel},
		"cancel what is idle in transaction":          {policy.Cancel, client(state(session.StateIdleInXact)), verbs{}, policy.ReasonCannotCancel},
		"cancel what waits for its client":            {policy.Cancel, client(waiting("Client", "ClientWrite")), verbs{}, policy.ReasonCannotCancel},
		"none":                                        {policy.None, client(), verbs{}, policy.ReasonNoAction},
		"nothing":                                     {"", client(), verbs{}, policy.ReasonNoAction},
		"something that nobody has heard of":          {"stop", client(), verbs{}, policy.ReasonNoAction},
		"nothing, to a session that is a superuser's": {"", client(superuser), verbs{}, policy.ReasonProtectedUser},
	} {
		t.Run(name, func(t *testing.T) {
			lifts := []policy.Reason{policy.ReasonCannotCancel, policy.ReasonNoAction} // which nothing lifts
			got := p.DecideOrder(policy.Order{Action: tt.action, Lift: lifts}, policy.NewSubject(tt.session))
			if (verbs{got.First, got.Then}) != tt.want || got.Reason != tt.reason || got.Action != tt.action {
				t.Errorf("%+v", got)
			}
			if got.Refused() && got.Detail == "" {
				t.Error("a refusal without a sentence")
			}
		})
	}
}
