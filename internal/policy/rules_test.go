package policy_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	p := compile(t,
		policy.RuleConfig{Name: "one", Matchers: []string{`usename="etl"`}, Action: policy.None},
		policy.RuleConfig{Name: "two", Matchers: []string{`datname="shop"`}, Action: policy.Cancel},
		policy.RuleConfig{Name: "three", Matchers: []string{`datname=~".+"`}, Action: policy.Terminate},
	)
	for rule, s := range map[string]session.Found{
		"one":   client(func(s *session.Found) { s.Usename = "etl" }),
		"two":   client(),
		"three": client(func(s *session.Found) { s.Datname = "stock" }),
		"":      client(func(s *session.Found) { s.Datname = "" }),
	} {
		if got := p.Decide(severity("warning"), policy.NewSubject(s)); got.Rule != rule {
			t.Errorf("rule %q decided, want %q", got.Rule, rule)
		}
	}
}

func TestAllMatchersOfARuleMustHold(t *testing.T) {
	for name, tt := range map[string]struct {
		matchers []string
		want     bool
	}{
		"both hold":                    {[]string{`usename="app"`, `datname="shop"`}, true},
		"the first does not":           {[]string{`usename="etl"`, `datname="shop"`}, false},
		"the second does not":          {[]string{`usename="app"`, `datname="stock"`}, false},
		"two in one line":              {[]string{`{usename="app", datname="shop"}`}, true},
		"two in one line, one not":     {[]string{`{usename="app", datname="stock"}`}, false},
		"the same label twice":         {[]string{`usename=~"a.*"`, `usename=~".*p"`}, true},
		"the same label twice, one no": {[]string{`usename=~"a.*"`, `usename!="app"`}, false},
		"the regex is anchored":        {[]string{`usename=~"ap"`}, false},
		"not equal":                    {[]string{`usename!="etl"`}, true},
		"not like":                     {[]string{`usename!~"a.*"`}, false},
		"a label that nobody has":      {[]string{`team=""`}, true},
		"without quotes":               {[]string{`usename=app`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := compile(t, rule(policy.Cancel, tt.matchers...)).Decide(nil, policy.NewSubject(client()))
			if (got.Rule != "") != tt.want {
				t.Errorf("rule %q decided: %+v", got.Rule, got)
			}
		})
	}
}

// An alert can be minutes old, and its labels are what somebody wrote into a
// rule. What the database says about itself is the truth.
func TestMatchersSeeTheLiveSessionOverTheAlertsLabels(t *testing.T) {
	s := client(waiting("Lock", "tuple"), query("/* x */ select 1"))
	s.QueryID = -42
	live := map[string]string{
		"server": "orders", "datname": "shop", "usename": "app", "application_name": "checkout", "client_addr": "10.0.0.7",
		"state": "active", "wait_event_type": "Lock", "wait_event": "tuple", "query_id": "-42",
		"command": "SELECT", "query": "/* x */ select 1",
	}
	for label, value := range live {
		t.Run(label, func(t *testing.T) {
			alert := map[string]string{label: "a lie", "alertname": "Slow"}
			before := maps.Clone(alert)
			p := compile(t, rule(policy.Cancel, label+"="+strconv.Quote(value), `alertname="Slow"`))
			if got := p.Decide(alert, policy.NewSubject(s)); got.Rule == "" {
				t.Errorf("%s=%q does not match the live session", label, value)
			}
			if got := compile(t, rule(policy.Cancel, label+`="a lie"`)).Decide(alert, policy.NewSubject(s)); got.Rule != "" {
				t.Errorf("%s matches what the alert says", label)
			}
			if diff := cmp.Diff(before, alert); diff != "" {
				t.Errorf("Decide changed the alert:\n%s", diff)
			}
		})
	}
}

// An empty fact is a fact: a label of the alert never stands in for it.
func TestAnEmptyFactHidesTheAlertsLabel(t *testing.T) {
	s := client(query(""))
	s.ClientAddr, s.ApplicationName = "", ""
	for _, label := range []string{"client_addr", "application_name", "wait_event_type", "wait_event", "query_id", "command", "query"} {
		got := compile(t, rule(policy.Cancel, label+`="claimed"`)).Decide(map[string]string{label: "claimed"}, policy.NewSubject(s))
		if got.Rule != "" {
			t.Errorf("%s matches the alert's claim", label)
		}
	}
}

// With one server an alert need not name it. A rule on it must match all the
// same: it may be the one that says none.
func TestARuleOnTheServerMatchesAnAlertThatDoesNotNameIt(t *testing.T) {
	p := compile(t, rule(policy.None, `server="orders"`))
	if got := p.Decide(severity("critical"), policy.NewSubject(client())); got.Reason != policy.ReasonRule {
		t.Errorf("the decision is %+v", got)
	}
}

func TestADecisionIsAboutAStatementIfARuleLooksAtIt(t *testing.T) {
	for matcher, want := range map[string]bool{
		`usename="app"`: false, `datname="shop"`: false, `severity="critical"`: false, `application_name=~".+"`: false,
		`state="active"`: true, `wait_event_type="Lock"`: true, `wait_event="tuple"`: true,
		`query_id="42"`: true, `command="SELECT"`: true, `query=~".*slow.*"`: true,
		`{usename="app", command!="SELECT"}`: true,
	} {
		p := compile(t, policy.RuleConfig{Name: "before", Matchers: []string{`usename="app"`}, Action: policy.None}, rule(policy.Cancel, matcher))
		d := p.Decide(severity("critical"), policy.NewSubject(client(func(s *session.Found) { s.Usename = "etl" })))
		if got := d.Scope == session.ScopeStatement; got != want {
			t.Errorf("%s: about a statement: %t", matcher, got)
		}
	}
	if d := compile(t).Decide(severity("critical"), policy.NewSubject(client())); d.Scope != session.ScopeTransaction {
		t.Error("without rules: about a statement")
	}
}
