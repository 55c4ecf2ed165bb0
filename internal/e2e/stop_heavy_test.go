//go:build heavy

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// beyondAnswers is twice what a stop waits for clients and servers
// (answerPatience and closePatience of internal/app), when no order is under way.
const beyondAnswers = 14 * time.Second

// A stop waits longer for an order under way than for clients, also after a
// reload that has removed the order's server.
func TestAStopWaitsForAnOrder(t *testing.T) {
	for name, reload := range map[string]bool{"its server stays": false, "its server has gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders := pgtest.Start(t)
			dir := t.TempDir()
			write(t, dir, "token", "secret-token")
			config := "webhook: {credentials_file: token}\nremediation: {mode: enforce, verify_timeout: 1m, ledger: {file: ledger.jsonl}}\nservers:\n- " + nobodysServer + "\n"
			p, url := start(t, dir, config+fmt.Sprintf("- {name: orders, dsn: %q}\n", orders.DSN("monsig")), "--web.enable-lifecycle")
			orders.Exec(t, "select pg_advisory_lock(1)") // by the session that Exec keeps
			victim := orders.Run(t, "app", "do $$ begin perform pg_sleep(600); exception when query_canceled then perform pg_advisory_lock(1); end $$")
			victim.Await(t, "wait_event = 'PgSleep'")
			alert := fmt.Sprintf(`{"version":"4","alerts":[{"status":"firing","startsAt":%q,"labels":{"server":"orders","pid":"%d","severity":"warning"}}]}`,
				pgtest.Value[time.Time](t, orders, "select clock_timestamp()").UTC().Format(time.RFC3339Nano), victim.PID())
			answer := make(chan error, 1)
			go func() {
				got, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/webhook", strings.NewReader(alert),
					"Content-Type: application/json", "Authorization: Bearer secret-token")
				if err == nil && !strings.Contains(got.Body, `"outcome":"cancelled"`) {
					err = fmt.Errorf("%d %s", got.Status, got.Body)
				}
				answer <- err
			}()
			victim.Await(t, "wait_event_type = 'Lock'")
			if reload {
				write(t, dir, "pgbailiff.yml", config)
				if got, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/-/reload", nil); err != nil || got.Status != http.StatusOK {
					t.Fatalf("the reload: %d %s, %v", got.Status, got.Body, err)
				}
			}
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.Exited():
				t.Error("the order was given up")
			case <-time.After(beyondAnswers):
			}
			orders.Exec(t, "select pg_advisory_unlock(1)")
			if err := <-answer; err != nil {
				t.Errorf("the answer: %v", err)
			}
			if code := p.Wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			ledger, err := os.ReadFile(filepath.Join(dir, "ledger.jsonl"))
			if err != nil || !strings.Contains(string(ledger), `"outcome":"cancelled"`) {
				t.Errorf("the ledger: %s, %v", ledger, err)
			}
		})
	}
}
