package webhook_test

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
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// held is a real server that sends no terminate before the client has hung up.
type held struct {
	remediation.Server
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
	b := newTestHandler(t, srv, func(b *testHandler) {
		b.settings.Policy = compile(t, policy.RuleConfig{
			Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate,
		})
		b.settings.Config.Grace = 300 * model.Millisecond
		b.settings.Servers["orders"] = held{b.settings.Servers["orders"], hungUp}
	})
	listener := httptest.NewServer(b)
	defer listener.Close()
	goOn := sync.OnceFunc(func() { close(hungUp) })
	defer goOn()
	c := srv.Run(t, "app", `do $$ begin loop begin perform pg_sleep(60); exception when query_canceled then null; end; end loop; end $$`)
	c.Await(t, "wait_event = 'PgSleep'")
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, listener.URL+"/webhook",
		strings.NewReader(message(time.Now(), identity(t, c, "warning"))))
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
	proctest.Until(t, "the first intent", func() bool { return len(b.ledger.Recent(10)) >= 1 })
	hangUp()
	if <-done == nil {
		t.Error("the answer came before the client hung up")
	}
	goOn()
	proctest.Until(t, "the last outcome", func() bool { return len(b.ledger.Recent(10)) >= 4 })
	if lines := b.ledger.Recent(10); len(lines) != 4 || lines[0].Outcome != ledger.Terminated || c.Exists(t) {
		t.Errorf("the ledger says %+v", lines)
	}
}
