package policy_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestFirstRuleThatMatchesDecides(t *testing.T) {
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
		"a label that is missing":      {[]string{`team=""`}, true},
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

// An alert can be minutes old, and its labels come from a rule that somebody
// wrote. The live session replaces them.
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
			alert := map[string]string{label: "wrong", "alertname": "Slow"}
			before := maps.Clone(alert)
			p := compile(t, rule(policy.Cancel, label+"="+strconv.Quote(value), `alertname="Slow"`))
			if got := p.Decide(alert, policy.NewSubject(s)); got.Rule == "" {
				t.Errorf("%s=%q does not match the live session", label, value)
			}
			if got := compile(t, rule(policy.Cancel, label+`="wrong"`)).Decide(alert, policy.NewSubject(s)); got.Rule != "" {
				t.Errorf("%s matches what the alert says", label)
			}
			if diff := cmp.Diff(before, alert); diff != "" {
				t.Errorf("Decide changed the alert:\n%s", diff)
			}
		})
	}
}

// An empty value of the session is not filled in from the alert.
func TestEmptyFactReplacesTheAlertsLabel(t *testing.T) {
	s := client(query(""))
	s.ClientAddr, s.ApplicationName = "", ""
	for _, label := range []string{"client_addr", "application_name", "wait_event_type", "wait_event", "query_id", "command", "query"} {
		got := compile(t, rule(policy.Cancel, label+`="claimed"`)).Decide(map[string]string{label: "claimed"}, policy.NewSubject(s))
		if got.Rule != "" {
			t.Errorf("%s matches the alert's claim", label)
		}
	}
}

// With one server an alert need not name it. A rule for that server must match
// nevertheless: it may be the one that says none.
func TestARuleOnTheServerMatchesAnAlertThatDoesNotNameIt(t *testing.T) {
	p := compile(t, rule(policy.None, `server="orders"`))
	if got := p.Decide(severity("critical"), policy.NewSubject(client())); got.Reason != policy.ReasonRule {
		t.Errorf("the decision is %+v", got)
	}
}

func TestScopeFollowsTheRulesThatWereTried(t *testing.T) {
	const statement, transaction = session.ScopeStatement, session.ScopeTransaction
	other := policy.RuleConfig{Name: "other", Matchers: []string{`usename="etl"`}, Action: policy.None}
	ofStatement := policy.RuleConfig{Name: "statement", Matchers: []string{`command="VACUUM"`}, Action: policy.None}
	for name, tt := range map[string]struct {
		rules []policy.RuleConfig
		want  session.Scope
	}{
		"no rules":                          {nil, transaction},
		"rules that do not match":           {[]policy.RuleConfig{other}, transaction},
		"one that looks and does not match": {[]policy.RuleConfig{ofStatement}, statement},
		"looks before the match":            {[]policy.RuleConfig{ofStatement, rule(policy.Cancel, `usename="app"`)}, statement},
		"looks after the match":             {[]policy.RuleConfig{rule(policy.Cancel, `usename="app"`), ofStatement}, transaction},
		"datname":                           {[]policy.RuleConfig{other, rule(policy.Cancel, `datname="shop"`)}, transaction},
		"application_name":                  {[]policy.RuleConfig{rule(policy.Cancel, `application_name=~".+"`)}, transaction},
		"client_addr":                       {[]policy.RuleConfig{rule(policy.Cancel, `client_addr="10.0.0.7"`)}, transaction},
		"server":                            {[]policy.RuleConfig{rule(policy.Cancel, `server="orders"`)}, transaction},
		"a label of the alert":              {[]policy.RuleConfig{rule(policy.Cancel, `severity="warning"`)}, transaction},
		"state":                             {[]policy.RuleConfig{rule(policy.Cancel, `state="active"`)}, statement},
		"wait_event_type":                   {[]policy.RuleConfig{rule(policy.Cancel, `wait_event_type=""`)}, statement},
		"wait_event":                        {[]policy.RuleConfig{rule(policy.Cancel, `wait_event=""`)}, statement},
		"query_id":                          {[]policy.RuleConfig{rule(policy.Cancel, `query_id="42"`)}, statement},
		"command":                           {[]policy.RuleConfig{rule(policy.Cancel, `command="SELECT"`)}, statement},
		"query":                             {[]policy.RuleConfig{rule(policy.Cancel, `query=~".*slow.*"`)}, statement},
		"one matcher of several":            {[]policy.RuleConfig{rule(policy.Cancel, `{usename="app", command!="COPY"}`)}, statement},
	} {
		if got := compile(t, tt.rules...).Decide(severity("warning"), policy.NewSubject(client())); got.Scope != tt.want || got.Refused() {
			t.Errorf("%s: scope %d, want %d: %+v", name, got.Scope, tt.want, got)
		}
	}
}

// A rule that lifts the protection of maintenance looks at the command, so it
// never holds for another statement of the transaction.
func TestLiftedMaintenanceHoldsForTheStatement(t *testing.T) {
	p := compile(t, rule(policy.Cancel, `command="REINDEX"`))
	got := p.Decide(nil, policy.NewSubject(client(query("reindex table t"))))
	if got.Refused() || got.Scope != session.ScopeStatement {
		t.Errorf("the decision is %+v", got)
	}
}
