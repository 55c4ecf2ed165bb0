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

// situationClaims say that the situations of this test have occurred.
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
		"asks a person":               `pgbailiff_remediations_total{server="orders", action="terminate", outcome="pending"}`,
		"waits for a person":          `pgbailiff_pending_approvals{server="orders"}`,
		"cancelled by hand":           `pgbailiff_manual_actions_total{server="orders", action="cancel", outcome="cancelled"}`,
		"refused by hand":             `pgbailiff_manual_actions_total{server="orders", action="cancel", outcome="refused"}`,
		"a wrong token":               `pgbailiff_webhook_requests_total{code="401"}`,
		"a repeat is asked for":       `pgbailiff_webhook_requests_total{code="503"}`,
		"truncated alerts":            `pgbailiff_webhook_truncated_alerts_total`,
		"an aborted transaction":      `pgbailiff_query_info{server="orders", state="idle in transaction (aborted)"}`,
		"blocked by a session":        `pgbailiff_blocked_backends{server="orders", pid!="0"} >= 4`,
		"blocked by a prepared one":   `pgbailiff_blocked_backends{server="orders", pid="0"}`,
		"hidden backends":             `pgbailiff_hidden_backends{server="blind"}`,
		"a server that is down":       `pgbailiff_up{server="down"} == bool 0`,
		"the full server is watched":  `pgbailiff_up{server="billing"} and pgbailiff_connections / pgbailiff_max_connections > 0.95`,
		"every server that can be up": `count(pgbailiff_up == 1) == 4`,
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
	if status, body := s.fetch(t, s.enforcingURL+"/-/reload", "", token); status != http.StatusInternalServerError {
		t.Fatalf("the reload of a bad configuration: %d %s", status, body)
	}
}

// becomeStandby restarts a server in recovery.
func (s *stack) becomeStandby(t *testing.T) {
	t.Helper()
	data := pgtest.Value[string](t, s.billing, "select current_setting('data_directory')")
	s.billing.Exec(t, "copy (select 1 where false) to '"+data+"/standby.signal'")
	s.billing.Restart(t)
	s.billing.WaitFor(t, "select pg_is_in_recovery() and count(*) > 1 from pg_stat_activity where application_name = 'pgbailiff'")
}

// misbehave opens all the sessions. Those of the application "kept" stay, so
// that every expression has time to find them.
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

	// It would end this one, and asks first.
	o.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("ask"))

	// pgbailiff ends these.
	o.Run(t, "app", "select pg_sleep(600)")
	o.Run(t, "app", "do $$ begin loop begin perform pg_sleep(600); exception when query_canceled then end; end loop; end $$")
	o.NotReading(t, "app")
	o.AbortedTransaction(t, "app")
	o.IdleInTransaction(t, "app", "lock table b")
	o.Blocked(t, "app2", "select * from b")

	// It does not end these: a superuser, and one whose backend is stopped.
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

// overload starts more slow queries than the limits allow. The sessions that are
// terminated make the server less full.
func (s *stack) overload(t *testing.T) {
	t.Helper()
	for _, c := range s.crowd[:36] {
		c.Start(t, "select pg_sleep(600)")
	}
}

// orderByHand posts messages that Alertmanager with the shipped rules would not.
func (s *stack) orderByHand(t *testing.T) {
	t.Helper()
	target := s.orders.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("kept")).Activity(t)
	order := func(server string) map[string]string {
		return map[string]string{
			"alertname": "ByHand", "severity": "warning", "remediation": "auto", "server": server, "pid": strconv.Itoa(target.PID),
			"backend_start": target.BackendStart.UTC().Format(labelForm), "query_start": target.QueryStart.UTC().Format(labelForm),
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
	post(http.StatusOK, s.enforcingURL, token, 3, withoutPID)
	post(http.StatusOK, s.enforcingURL, token, 0, order("blind"))
	post(http.StatusServiceUnavailable, s.enforcingURL, token, 0, order("down"))
	post(http.StatusUnauthorized, s.enforcingURL, "wrong", 0, order("orders"))
	post(http.StatusOK, s.dryRunURL, token, 0, order("orders"))
	post(http.StatusServiceUnavailable, s.fullDiskURL, token, 0, order("orders"))
}

// labelForm is the form of the times in labels.
const labelForm = "2006-01-02T15:04:05.000000Z"

// checkContract compares the catalogue to what is exposed.
func (s *stack) checkContract(t *testing.T) {
	t.Helper()
	_, text := s.fetch(t, s.enforcingURL+"/metrics", "")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string][]string{}, map[string][]string{}
	for name, family := range families {
		if strings.HasPrefix(name, "go_") {
			continue
		}
		labels := map[string]bool{}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		got[name] = append([]string{}, slices.Sorted(maps.Keys(labels))...)
	}
	for name, metric := range newContract(t) {
		want[name] = metric.Labels
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the collectors describe and /metrics differ (-described +exposed):\n%s", diff)
	}
}
