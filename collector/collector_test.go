package collector_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a server with a fixed answer.
type fake struct {
	name     string
	snapshot session.Snapshot
	err      error
}

func (f fake) Name() string { return f.name }

func (f fake) Snapshot(context.Context, session.SnapshotOptions) (session.Snapshot, error) {
	return f.snapshot, f.err
}

// server returns a server that answers with the snapshot.
func server(s session.Snapshot) fake { return fake{name: s.Server, snapshot: s} }

// function is a server that answers with the result of a function.
type function func(context.Context, session.SnapshotOptions) (session.Snapshot, error)

func (function) Name() string { return "orders" }

func (f function) Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	return f(ctx, opts)
}

var errDown = errors.New("connection refused")

func config() collector.Config {
	return collector.Config{MinDuration: 10 * model.Second, MaxSessions: 50, QueryText: querytext.Full, QueryTextLength: 256}
}

// registry returns a registry with the collector of one scrape. It checks that
// every collected metric is described.
func registry(t testing.TB, cfg collector.Config, servers ...collector.Server) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(collector.New(t.Context(), cfg, servers, log.NewNopLogger())); err != nil {
		t.Fatal(err)
	}
	return reg
}

// scrape returns the metrics as text. It runs on a fake clock, so that
// pgbailiff_scrape_duration_seconds is 0.
func scrape(t *testing.T, cfg collector.Config, servers ...collector.Server) string {
	t.Helper()
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		families, err := registry(t, cfg, servers...).Gather()
		if err != nil {
			t.Error(err)
		}
		for _, family := range families {
			if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
				t.Fatal(err)
			}
		}
	})
	return text.String()
}
