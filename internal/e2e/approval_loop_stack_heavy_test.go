//go:build heavy

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// asking is the four programs of the loop, where a rule wants a person for each
// order, and Alertmanager repeats an alert every second.
type asking struct {
	loop

	t       *testing.T
	port    int
	program *proctest.Process
}

// startAsking starts all but Prometheus. The timeout is how long an order waits.
func startAsking(t *testing.T, timeout string) *asking {
	t.Helper()
	a := &asking{t: t, port: proctest.FreePort(t), loop: loop{t: t, dir: t.TempDir(), orders: pgtest.Start(t)}}
	a.bailiffURL = fmt.Sprintf("http://127.0.0.1:%d", a.port)
	write(t, a.dir, "token", loopToken+"\n")
	write(t, a.dir, "pgbailiff.yml", fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s}
webhook: {credentials_file: token}
people: {operators: ["*"], user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]}
remediation:
  mode: enforce
  verify_timeout: 1m
  approval_timeout: %s
  limits: {actions: 1000, suspend_after: 1000}
  rules: [{name: ask first, matchers: ['application_name=~"report.*"'], action: cancel, approval: required}]
  ledger: {file: ledger.jsonl}
`, a.orders.DSN("monsig"), timeout))
	a.serve()
	return a
}

// serve starts pgbailiff, again on the same port, and waits until it answers.
func (a *asking) serve() {
	a.t.Helper()
	a.program = startPgbailiff(a.t, a.dir, "--config.file=pgbailiff.yml", "--web.listen-address=127.0.0.1:"+strconv.Itoa(a.port))
	proctest.Eventually(a.t, "pgbailiff to be ready", func() error {
		select {
		case <-a.program.Exited():
			return proctest.Final(errors.New(a.program.Output()))
		default:
		}
		_, err := proctest.Get(a.t, a.bailiffURL+"/-/ready")
		return err
	})
}

// kill ends pgbailiff as kill -9 does.
func (a *asking) kill() {
	a.t.Helper()
	if err := a.program.Signal(os.Kill); err != nil {
		a.t.Fatal(err)
	}
	a.program.Wait()
}

// startRepeating starts an Alertmanager that repeats every second, and Prometheus.
func (a *asking) startRepeating() {
	a.t.Helper()
	write(a.t, a.dir, "alertmanager.yml", fmt.Sprintf(`
route:
  receiver: pgbailiff
  group_by: ['...']
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: pgbailiff
    webhook_configs:
      - url: %s/webhook
        send_resolved: false
        max_alerts: 0
        http_config:
          authorization:
            credentials_file: token
`, a.bailiffURL))
	a.alertmanager = proctest.Alertmanager(a.t, a.dir).URL
	a.startPrometheus()
}

// waiting returns the IDs of what waits for a person about a session.
func (a *asking) waiting(c *pgtest.Client) []string {
	a.t.Helper()
	text, err := proctest.Get(a.t, a.bailiffURL+"/api/v1/approvals")
	if err != nil {
		a.t.Fatal(err)
	}
	var answer struct {
		Approvals []struct {
			ID  string
			PID int
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		a.t.Fatal(err)
	}
	var ids []string
	for _, approval := range answer.Approvals {
		if approval.PID == c.PID() {
			ids = append(ids, approval.ID)
		}
	}
	return ids
}

// awaitQuestion waits until a person is asked about a session, with another ID
// than those before, and returns the ID.
func (a *asking) awaitQuestion(c *pgtest.Client, before ...string) (id string) {
	a.t.Helper()
	proctest.Eventually(a.t, fmt.Sprintf("a question about %s", c), func() error {
		ids := a.waiting(c)
		if len(ids) != 1 || slices.Contains(before, ids[0]) {
			return fmt.Errorf("what waits about it is %q", ids)
		}
		id = ids[0]
		return nil
	})
	return id
}

// messages is how many messages Alertmanager has sent.
func (a *asking) messages() int {
	a.t.Helper()
	text, err := proctest.Get(a.t, a.bailiffURL+"/metrics")
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, `pgbailiff_webhook_requests_total{code="200"} `)
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(value)
	if err != nil {
		a.t.Fatalf("how many messages there were: %v", err)
	}
	return n
}

// awaitMessages waits until Alertmanager has sent this many.
func (a *asking) awaitMessages(n int) {
	a.t.Helper()
	proctest.Eventually(a.t, "the alerts to be repeated", func() error {
		if got := a.messages(); got < n {
			return fmt.Errorf("%d messages of %d", got, n)
		}
		return nil
	})
}

// answer is a person's answer to a question, by the API.
func (a *asking) answer(person, id, decision string) (proctest.Reply, error) {
	return proctest.Fetch(a.t.Context(), http.MethodPost, a.bailiffURL+"/api/v1/approvals/"+id,
		strings.NewReader(fmt.Sprintf(`{"decision":%q}`, decision)), "Content-Type: application/json", "X-Forwarded-User: "+person)
}

// expectAnswer gives an answer and compares what comes back.
func (a *asking) expectAnswer(id, decision string, status int, part string) {
	a.t.Helper()
	reply, err := a.answer("ann", id, decision)
	if err != nil || reply.Status != status || !strings.Contains(reply.Body, part) {
		a.t.Errorf("%s is answered %d %s, %v; want %d and %s", decision, reply.Status, reply.Body, err, status, part)
	}
}

// count is how many lines of the ledger about a session begin with this.
func (a *asking) count(c *pgtest.Client, what string) (n int) {
	a.t.Helper()
	for _, r := range about(a.t, a.dir, c) {
		if strings.HasPrefix(r.String(), what) {
			n++
		}
	}
	return n
}

// awaitLine waits until the ledger has a line about a session that begins with
// this.
func (a *asking) awaitLine(c *pgtest.Client, what string) {
	a.t.Helper()
	proctest.Eventually(a.t, fmt.Sprintf("the ledger to say %q of %s", what, c), func() error {
		if a.count(c, what) == 0 {
			return fmt.Errorf("it says %v", about(a.t, a.dir, c))
		}
		return nil
	})
}

// expectCount compares how many lines about a session begin with this.
func (a *asking) expectCount(c *pgtest.Client, what string, want int) {
	a.t.Helper()
	if got := a.count(c, what); got != want {
		a.t.Errorf("the ledger says %q of %s %d times, want %d: %v", what, c, got, want, about(a.t, a.dir, c))
	}
}
