package policy_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A rule decides whether a person is asked; a severity never does.
func TestOnlyTheRuleThatMatchesAsksAPerson(t *testing.T) {
	asks := rule(policy.CancelThenTerminate, `usename="app"`)
	asks.Approval = policy.ApprovalRequired
	other := policy.RuleConfig{Name: "other", Matchers: []string{`usename="etl"`}, Action: policy.Cancel, Approval: policy.ApprovalRequired}
	for name, tt := range map[string]struct {
		rules   []policy.RuleConfig
		session session.Found
		want    policy.Decision
	}{
		"it asks": {[]policy.RuleConfig{other, asks}, client(), policy.Decision{
			Action: policy.CancelThenTerminate, First: session.Cancel, Then: session.Terminate, Approval: true,
		}},
		"it asks where a cancel cannot work": {[]policy.RuleConfig{asks}, client(state(session.StateIdleInXact)), policy.Decision{
			Action: policy.CancelThenTerminate, First: session.Terminate, Approval: true,
		}},
		"a rule before it does not": {[]policy.RuleConfig{{Name: "first", Matchers: asks.Matchers, Action: policy.Terminate}, asks}, client(), policy.Decision{
			Action: policy.Terminate, First: session.Terminate,
		}},
		"no rule matches": {[]policy.RuleConfig{other}, client(), policy.Decision{
			Action: policy.Cancel, First: session.Cancel,
		}},
		"the session is protected": {[]policy.RuleConfig{asks}, client(superuser, func(s *session.Found) { s.Usename = "app" }, named("pg_dump")), policy.Decision{
			Action: policy.CancelThenTerminate,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := compile(t, tt.rules...)
			got := p.Decide(severity("warning"), policy.NewSubject(tt.session))
			if got.Action != tt.want.Action || got.First != tt.want.First || got.Then != tt.want.Then || got.Approval != tt.want.Approval {
				t.Errorf("the decision is %+v, want %+v", got, tt.want)
			}
			order := policy.Order{Action: policy.Terminate}
			if got := p.DecideOrder(order, policy.NewSubject(tt.session)); got.Approval {
				t.Errorf("a person who orders it would be asked: %+v", got)
			}
		})
	}
}

// What is refused is not asked about.
func TestARefusalAsksNobody(t *testing.T) {
	asks := rule(policy.Cancel, `usename="app"`)
	asks.Approval = policy.ApprovalRequired
	p := compile(t, asks)
	for name, s := range map[string]session.Found{
		"protected":     client(named("pg_dump")),
		"cannot cancel": client(state(session.StateIdleInXact)),
		"never":         client(waiting("IPC", "SyncRep")),
	} {
		if got := p.Decide(nil, policy.NewSubject(s)); !got.Refused() || got.Approval {
			t.Errorf("%s: the decision is %+v", name, got)
		}
	}
}
