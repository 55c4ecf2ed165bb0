//go:build heavy

package dashboards_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// situationClaims are that what this test is about has happened.
func situationClaims() (all []*claim) {
	for what, query := range map[string]string{
		"cancelled":                   `pgbailiff_remediations_total{server="orders", action="cancel", outcome="cancelled"}`,
		"terminated":                  `pgbailiff_remediations_total{server="orders", action="terminate", outcome="terminated"}`,
		"a cancel is ignored":         `pgbailiff_remediations_total{server="orders", action="cancel", outcome="ignored"}`,
		"a terminate is ignored":      `pgbailiff_remediations_total{server="orders", action="terminate", outcome="ignored"}`,
		"failed":                      `pgbailiff_remediations_total{server="down", outcome="failed"}`,
		"dry run":                     `pgbailiff_remediations_total{server="orders", action="cancel", outcome="dry_run"}`,
		"refused: the superuser":      `pgbailiff_refusals_total{server="orders", reason="protected_user"}`,
		"refused: the rule":           `pgbailiff_refusals_total{server="orders", reason="rule"}`,
		"refused: no cancel can work": `pgbailiff_refusals_total{server="orders", reason="cannot_cancel"}`,
		"refused: no pid":             `pgbailiff_refusals_total{server="orders", reason="no_pid"}`,
		"refused: no privileges":      `pgbailiff_refusals_total{server="blind", reason=~"not_visible|permission_denied"}`,
		"refused: over budget":        `pgbailiff_refusals_total{server="billing", reason="over_budget"}`,
		"refused: suspended":          `pgbailiff_refusals_total{server="billing", reason="suspended"}`,
		"a wrong token":               `pgbailiff_webhook_requests_total{code="401"}`,
		"a repeat is asked for":       `pgbailiff_webhook_requests_total{code="503"}`,
		"truncated alerts":            `pgbailiff_webhook_truncated_alerts_total`,
		"an aborted transaction":      `pgbailiff_query_info{server="orders", state="idle in transaction (aborted)"}`,
		"blocked by a session":        `pgbailiff_blocked_backends{server="orders", pid!="0"} >= 4`,
		"blocked by a prepared one":   `pgbailiff_blocked_backends{server="orders", pid="0"}`,
		"hidden backends":             `pgbailiff_hidden_backends{server="blind"}`,
		"a server that is down":       `pgbailiff_up{server="down"} == bool 0`,
		"the full server is watched":  `pgbailiff_up{server="billing"} and pgbailiff_connections / pgbailiff_max_connections > 0.95`,
		"all is well that can be":     `count(pgbailiff_up == 1) == 4`,
		"a standby":                   `pgbailiff_in_recovery{server="billing"}`,
	} {
		all = append(all, &claim{what: "situation " + what, query: query, ranged: true})
	}
	return all
}

// breakReload leaves pgbailiff with a configuration that it cannot load.
func (s *stack) breakReload(t *testing.T) {
	t.Helper()
	s.write(t, "enforce.yml", "remediation: {mode: enforced}")
	if status, body := s.fetch(t, s.bailiffURL+"/-/reload", "", token); status != http.StatusInternalServerError {
		t.Fatalf("the reload of a bad configuration: %d %s", status, body)
	}
}

// becomeStandby restarts a server, as one that is in recovery.
func (s *stack) becomeStandby(t *testing.T) {
	t.Helper()
	data := pgtest.Value[string](t, s.billing, "select current_setting('data_directory')")
	s.billing.Exec(t, "copy (select 1 where false) to '"+data+"/standby.signal'")
	s.billing.Restart(t)
	s.billing.WaitFor(t, "select pg_is_in_recovery() and count(*) > 1 from pg_stat_activity where application_name = 'pgbailiff'")
}

// misbehave opens all the sessions. What is kept persists, so that no
// expression has to be quick.
func (s *stack) misbehave(t *testing.T) {
	t.Helper()
	o, kept := s.orders, pgtest.AppName("kept")
	o.Exec(t, "create table a ()", "create table b ()", "create table c ()", "grant all on a, b, c to public")
	o.Run(t, "app", "begin; select pg_sleep(600)", kept)
	o.IdleInTransaction(t, "app", "set application_name = 'kept'", "lock table a")
	for range 4 {
		o.Blocked(t, "app2", "select * from a")
	}
	coordinator := o.IdleInTransaction(t, "app", "lock table c")
	coordinator.Exec(t, "prepare transaction 'forgotten'")
	o.Blocked(t, "app2", "select * from c")

	// These are dealt with.
	o.Run(t, "app", "select pg_sleep(600)")
	o.Run(t, "app", "do $$ begin loop begin perform pg_sleep(600); exception when query_canceled then end; end loop; end $$")
	o.NotReading(t, "app")
	o.AbortedTransaction(t, "app")
	o.IdleInTransaction(t, "app", "lock table b")
	o.Blocked(t, "app2", "select * from b")

	// These are not: a superuser, and one that reacts to nothing.
	o.Run(t, "postgres", "select pg_sleep(600)")
	frozen := o.IdleInTransaction(t, "app").PID()
	if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(frozen, syscall.SIGCONT) })

	// A server that is almost full.
	const connected = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
	for range 48 - pgtest.Value[int64](t, s.billing, connected) {
		s.crowd = append(s.crowd, s.billing.Open(t, "app"))
	}
}

// overload starts more slow queries than the limits allow. What is terminated
// of them leaves a server that is not so full any more.
func (s *stack) overload(t *testing.T) {
	t.Helper()
	for _, c := range s.crowd[:36] {
		c.Start(t, "select pg_sleep(600)")
	}
}

// orderByHand posts what Alertmanager with the shipped rules would not.
func (s *stack) orderByHand(t *testing.T) {
	t.Helper()
	victim := s.orders.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("kept")).Activity(t)
	const form = "2006-01-02T15:04:05.000000Z"
	order := func(server string) map[string]string {
		return map[string]string{
			"alertname": "ByHand", "severity": "warning", "remediation": "auto", "server": server, "pid": strconv.Itoa(victim.PID),
			"backend_start": victim.BackendStart.UTC().Format(form), "query_start": victim.QueryStart.UTC().Format(form),
		}
	}
	post := func(want int, url, bearer string, truncated int, labels map[string]string) {
		t.Helper()
		message, err := json.Marshal(map[string]any{
			"version": "4", "status": "firing", "groupKey": "by hand", "truncatedAlerts": truncated, "alerts": []any{
				map[string]any{"status": "firing", "labels": labels, "startsAt": time.Now().UTC(), "fingerprint": "0123456789abcdef"},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := s.fetch(t, url+"/webhook", string(message), bearer); status != want {
			t.Errorf("%v: %d %s, want %d", labels, status, body, want)
		}
	}
	withoutPID := order("orders")
	delete(withoutPID, "pid")
	post(http.StatusOK, s.bailiffURL, token, 3, withoutPID)
	post(http.StatusOK, s.bailiffURL, token, 0, order("blind"))
	post(http.StatusServiceUnavailable, s.bailiffURL, token, 0, order("down"))
	post(http.StatusUnauthorized, s.bailiffURL, "wrong", 0, order("orders"))
	post(http.StatusOK, s.dryRunURL, token, 0, order("orders"))
	post(http.StatusServiceUnavailable, s.fullDiskURL, token, 0, order("orders"))
}

// checkContract holds the table in contract_test.go to what is exposed.
func (s *stack) checkContract(t *testing.T) {
	t.Helper()
	_, text := s.fetch(t, s.bailiffURL+"/metrics", "")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string][]string{}, map[string][]string{}
	for name, family := range families {
		if _, known := contract()[name]; !known && !strings.HasPrefix(name, "pgbailiff_") {
			continue
		}
		labels := map[string]bool{}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		got[name] = slices.Sorted(maps.Keys(labels))
	}
	for name, labels := range contract() {
		want[name] = slices.Sorted(slices.Values(labels))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contract_test.go and /metrics differ (-table +exposed):\n%s", diff)
	}
}
