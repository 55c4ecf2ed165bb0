package webhook_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// withoutServers is a handler of a configuration without servers, in dry run, for
// everybody unless the authenticator says otherwise.
func withoutServers(t testing.TB, a auth.Authenticator, logger log.Logger) (http.Handler, *ledger.Ledger, *prometheus.Registry) {
	t.Helper()
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	a.Open = true
	settings := remediation.Settings{
		Config: remediation.Config{Mode: remediation.ModeDryRun},
		Policy: compile(t), Text: func(q string) string { return q },
	}
	return newHandler(settings, a, l, registry, logger), l, registry
}

// metric is the value of one series, written as name{label=value,…} with the
// labels in order.
func metric(t testing.TB, registry *prometheus.Registry, series string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(series, "{")
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				pairs = append(pairs, l.GetName()+"="+l.GetValue())
			}
			if series == name+"{"+strings.Join(pairs, ",")+"}" {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no series %s", series)
	return 0
}

// soon waits until something is true.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	proctest.Eventually(t, what, func() error {
		if !is() {
			return errors.New("not yet")
		}
		return nil
	})
}
