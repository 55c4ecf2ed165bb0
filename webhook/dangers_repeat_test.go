package webhook_test

// In this file: the alert comes twice, from a client that does not wait, or
// from anybody.

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// outcomes counts how the results ended.
func outcomes(results []webhook.Result) map[string]int {
	n := map[string]int{}
	for _, r := range results {
		n[r.Outcome]++
	}
	return n
}

// intents counts the signals that were meant.
func intents(lines []ledger.Entry) (n int) {
	for _, line := range lines {
		if line.Event == ledger.EventIntent {
			n++
		}
	}
	return n
}

func TestTwoAlertsForOneSession(t *testing.T) {
	srv := pgtest.Start(t)
	b := newBailiff(t, srv, "monsig")
	for range 10 {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		results, lines := b.tell(t, time.Now(), identity(t, c, "warning", "query_start"), identity(t, c, "critical", "xact_start"))
		n := outcomes(results)
		if n["gone"] != 1 || n["cancelled"]+n["terminated"] != 1 || len(lines) != 3 || intents(lines) != 1 {
			t.Errorf("results %+v, ledger %+v", results, lines)
		}
	}
}

// Alertmanager repeats a message that takes long, and every replica of it
// sends its own.
func TestRepeatedMessage(t *testing.T) {
	srv := pgtest.Start(t)
	b := newBailiff(t, srv, "monsig")
	for range 5 {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		alert := identity(t, c, "warning", "query_start")
		answers := make([][]webhook.Result, 8)
		before := len(b.ledger.Recent(1000))
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { _, answers[i] = b.post(t, message(time.Now(), alert)) })
		}
		all.Wait()
		var results []webhook.Result
		for _, r := range answers {
			results = append(results, r...)
		}
		lines := b.ledger.Recent(len(b.ledger.Recent(1000)) - before)
		if n := outcomes(results); n["cancelled"] != 1 || n["gone"] != 7 || len(lines) != 9 || intents(lines) != 1 {
			t.Errorf("results %+v, ledger %+v", results, lines)
		}
		// And 200 more, one after the other, to the session's next query.
		c.Start(t, "select pg_sleep(60)")
		stays := untouched(t, srv, c.PID())
		for range 40 {
			check(t, b.alert(t, alert), policy.None, ledger.Gone, "")
		}
		stays()
	}
}

// held is a real server that ends nobody before the client has hung up.
type held struct {
	webhook.Server
	hungUp <-chan struct{}
}

func (h held) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	if verb == session.Terminate {
		<-h.hungUp
	}
	return h.Server.Signal(ctx, verb, f)
}

func TestClientHangsUpInTheMiddle(t *testing.T) {
	srv := pgtest.Start(t)
	hungUp := make(chan struct{})
	b := newBailiff(t, srv, "monsig", everything(t, policy.CancelThenTerminate), func(s *webhook.Settings) {
		s.Remediation.Grace = 300 * model.Millisecond
		s.Servers["orders"] = held{s.Servers["orders"], hungUp}
	})
	listener := httptest.NewServer(b)
	defer listener.Close()
	goOn := sync.OnceFunc(func() { close(hungUp) })
	defer goOn()
	stubborn := deaf(t, srv)
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, listener.URL,
		strings.NewReader(message(time.Now(), identity(t, stubborn, "warning", "query_start"))))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer secret")
	request.Header.Set("Content-Type", "application/json")
	done := make(chan error)
	go func() {
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		done <- err
	}()
	soon(t, "the first intent", func() bool { return len(b.ledger.Recent(10)) >= 1 })
	hangUp()
	if <-done == nil {
		t.Error("the answer came before the client hung up")
	}
	goOn()
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := b.ledger.Recent(10)
	if len(lines) != 4 || lines[0].Outcome != ledger.Terminated || stubborn.Exists(t) {
		t.Errorf("the ledger says %+v", lines)
	}
}

func TestWebhookIsNotOpenToEverybody(t *testing.T) {
	srv := pgtest.Start(t)
	b := newBailiff(t, srv, "monsig")
	locked := newBailiff(t, srv, "monsig", func(s *webhook.Settings) { s.Config.CredentialsFile = "" })
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	for _, tc := range []struct {
		b      *bailiff
		header string
		status int
	}{
		{b, "", http.StatusUnauthorized},
		{b, "Bearer", http.StatusUnauthorized},
		{b, "Bearer secre", http.StatusUnauthorized},
		{b, "Bearer secret2", http.StatusUnauthorized},
		{b, "Basic c2VjcmV0OnNlY3JldA==", http.StatusUnauthorized},
		{b, "secret", http.StatusUnauthorized},
		{locked, "Bearer secret", http.StatusForbidden},
		{locked, "Bearer ", http.StatusForbidden},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook",
			strings.NewReader(message(time.Now(), identity(t, c, "critical", "query_start"))))
		r.Header.Set("Authorization", tc.header)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		tc.b.ServeHTTP(w, r)
		if w.Code != tc.status || len(tc.b.ledger.Recent(1)) != 0 {
			t.Errorf("%q: status %d, ledger %+v", tc.header, w.Code, tc.b.ledger.Recent(1))
		}
	}
	stays()
}
