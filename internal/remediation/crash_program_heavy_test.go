//go:build heavy

package remediation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// program is the whole of pgbailiff, as a process that can be killed.
type program struct {
	dir, path string
	dsn       string

	process *proctest.Process
	address string // while it runs
}

// newProgram builds it.
func newProgram(t *testing.T, srv *pgtest.Server) *program {
	t.Helper()
	p := &program{dir: t.TempDir(), dsn: srv.DSN("monsig")}
	p.path = proctest.Build(t, "github.com/pgbailiff/pgbailiff", "pgbailiff")
	writeFile(t, filepath.Join(p.dir, "token"), "secret\n")
	return p
}

func (p *program) ledger() string { return filepath.Join(p.dir, "ledger.jsonl") }

// start runs it with a budget, and returns when it listens.
func (p *program) start(t *testing.T, actions int) {
	t.Helper()
	writeFile(t, filepath.Join(p.dir, "pgbailiff.yml"), fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {query_text: full}
webhook: {credentials_file: token}
remediation:
  mode: enforce
  verify_timeout: 30ms
  limits: {actions: %d, window: 1h, suspend_after: 1000000000, suspend_window: 1h}
  ledger: {file: %q}
`, p.dsn, actions, p.ledger()))
	p.process = proctest.Start(t, proctest.Command{
		Path: p.path, Dir: p.dir, Args: []string{"--config.file=pgbailiff.yml", "--web.listen-address=127.0.0.1:0"},
	})
	p.address = p.process.Address()
}

// kill is kill -9. It may be called again.
func (p *program) kill() {
	_ = p.process.Signal(os.Kill) // it may have ended
	p.process.Wait()
}

// post sends the alerts in one message and returns the answers; none when the
// program died before it had sent them. It calls sent when the request is on
// its way.
func (p *program) post(ctx context.Context, alerts []labels, sent func()) []programAnswer {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.address+"/webhook", strings.NewReader(message(time.Now(), alerts...)))
	if err != nil {
		return nil
	}
	request.Header.Set("Authorization", "Bearer secret")
	request.Header.Set("Content-Type", "application/json")
	defer sent()
	transport := &http.Transport{DisableKeepAlives: true}
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }}
	response, err := transport.RoundTrip(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var got struct {
		Results []webhook.Result `json:"results"`
	}
	if json.NewDecoder(response.Body).Decode(&got) != nil || len(got.Results) != len(alerts) {
		return nil
	}
	var all []programAnswer
	for i, r := range got.Results {
		all = append(all, programAnswer{r, alerts[i]["alertname"]})
	}
	return all
}

// message is a webhook message with one firing alert for each set of labels.
func message(startsAt time.Time, alerts ...labels) string {
	type alert struct {
		Status      string    `json:"status"`
		Labels      labels    `json:"labels"`
		StartsAt    time.Time `json:"startsAt"`
		Fingerprint string    `json:"fingerprint"`
	}
	var all []alert
	for i, l := range alerts {
		all = append(all, alert{"firing", l, startsAt, fmt.Sprintf("%016x", i)})
	}
	text, _ := json.Marshal(map[string]any{"version": "4", "status": "firing", "alerts": all})
	return string(text)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines is the ledger's file.
func (p *program) lines(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(p.ledger())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// spent is the budget that a copy of the ledger counts as spent.
func (p *program) spent(t *testing.T) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "copy.jsonl")
	writeFile(t, file, string(p.lines(t)))
	l, err := ledger.Open(ledger.Config{File: file}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Spent("orders", time.Hour, time.Now())
}
