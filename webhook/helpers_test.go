package webhook_test

import (
	"net/http"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
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
