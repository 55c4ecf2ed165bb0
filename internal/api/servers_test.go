package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// server is a server with fixed answers, which remembers what it was asked. With
// hangs it answers to nothing.
type server struct {
	name     string
	snapshot session.Snapshot
	found    map[int32]session.Found
	err      error // of Snapshot
	findErr  error
	hangs    bool

	asked []session.SnapshotOptions
}

func (s *server) Name() string { return s.name }

func (s *server) Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	s.asked = append(s.asked, opts)
	if s.hangs {
		<-ctx.Done()
		return session.Snapshot{}, fmt.Errorf("read the activity on db1.internal: %w", context.Cause(ctx))
	}
	return s.snapshot, s.err
}

func (s *server) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	if s.hangs {
		<-ctx.Done()
		return session.Found{}, false, ctx.Err()
	}
	found, ok := s.found[pid]
	return found, ok, s.findErr
}

var seenAt = at("2026-11-22T13:00:00.000000Z")

func ago(seconds float64) time.Time {
	return seenAt.Add(-time.Duration(seconds * float64(time.Second)))
}

// client is a session that has begun its query, or has been idle, so many seconds
// ago, and its transaction a second before.
func client(name string, pid int32, state session.State, seconds float64) session.Session {
	s := session.Session{
		ID: session.ID{Server: name, PID: pid, BackendStart: at(backendStart)}, BackendType: session.BackendTypeClient,
		Datname: "shop", Usename: "app", ApplicationName: "<web>", ClientAddr: "10.0.0.1", Query: "SELECT secret",
	}
	s.State, s.QueryStart, s.XactStart, s.StateChange = state, ago(seconds), ago(seconds+1), ago(seconds)
	return s
}

func aged(s session.Session, all session.Ages) session.Aged {
	return session.Aged{Session: s, Ages: all}
}

// previews remembers what was asked, and refuses everything.
type previews struct {
	mu    sync.Mutex
	asked []remediation.Request
}

func (p *previews) preview(_ context.Context, req remediation.Request) remediation.Preview {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, req)
	return remediation.Preview{
		Action: "terminate", First: session.Terminate, Outcome: ledger.DryRun, Reason: "severity", Rule: "r", Detail: "d", Approval: true,
	}
}

func settings(servers ...api.Server) api.SessionsSettings {
	return api.SessionsSettings{
		Servers: servers, MinDuration: 10 * time.Second, MaxSessions: 50, Text: strings.ToLower,
		SeverityLabel: "severity", Severities: []string{"warning", "critical"}, Preview: (&previews{}).preview, Timeout: 5 * time.Second,
		MostServers: 100, Each: together,
		Think: func(context.Context) func() { return func() {} },
	}
}

// together reads all at once.
func together(n int, read func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { read(i) })
	}
	all.Wait()
}

const path = "/api/v1/sessions"

func sessions(t *testing.T, s api.SessionsSettings, query string) string {
	t.Helper()
	status, body := get(t.Context(), api.Sessions(s, log.NewLogfmtLogger(t.Output())), path+query)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	return body
}

// list is the answer in short: server and pid of each session, and the errors.
func list(t *testing.T, body string) []string {
	t.Helper()
	var answer struct {
		Sessions []struct {
			Server string
			PID    int32
		}
		Errors []struct{ Server, Error string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, s := range answer.Sessions {
		all = append(all, fmt.Sprint(s.Server, " ", s.PID))
	}
	for _, e := range answer.Errors {
		all = append(all, e.Server+": "+e.Error)
	}
	return all
}

const verdictJSON = `{"action":"terminate","first":"terminate","outcome":"pending","reason":"severity","rule":"r","detail":"d","approval":true}`
