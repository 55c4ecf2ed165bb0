package app

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// record is the ledger, wherever its lines are: in memory, in a file of this process
// alone, or in a database that other replicas use too.
type record interface {
	remediation.Ledger
	// Recent returns at most n of the last lines, newest first.
	Recent(n int) []ledger.Entry
	// Spent returns how many signals count against the budget of the window.
	Spent(server string, window time.Duration, now time.Time) int
	// Reloaded writes down who loaded the configuration anew.
	Reloaded(ctx context.Context, by string, now time.Time) error
	// Up is false while the ledger cannot be read or written: nothing is signalled.
	Up() bool
	// Known is false while lists of the ledger may lack lines of other replicas.
	Known() bool
	// Close writes what is queued.
	Close() error
}

const (
	// ledgerPatience is how long a start waits for a database that hangs. It goes on
	// without it.
	ledgerPatience = 10 * time.Second
	// ownerMargin is how much longer than the steps of an order its owner has before
	// another replica may take it over.
	ownerMargin = 30 * time.Second
)

// openLedger opens what the configuration names. The file is nil unless the lines
// are in memory or in a file. Patience is how long the owner of a signal has.
func openLedger(cfg ledger.Config, patience func() time.Duration, logger log.Logger, reg prometheus.Registerer) (record, *ledger.Ledger, error) {
	if cfg.Postgres.DSN == "" {
		file, err := ledger.Open(cfg, logger, reg)
		return file, file, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), ledgerPatience)
	defer cancel()
	store, err := pgledger.Open(ctx, pgledger.Options{
		Config: cfg, Replica: hostName(), Patience: patience, Logger: logger, Metrics: ledger.NewMetrics(reg),
	})
	return store, nil, err
}

// checkLedger checks the connection string of the ledger's database. It does not
// connect.
func checkLedger(cfg *config.Config, file string) error {
	if to := cfg.Remediation.Ledger.Postgres; to.DSN != "" {
		return config.At(file, "remediation.ledger.postgres.dsn", pgledger.Validate(to))
	}
	return nil
}

// known answers a request about the ledger only while it is known what it has.
func (a *app) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.ledger.Known() {
			next.ServeHTTP(w, r)
			return
		}
		auth.Refuse(w, r, http.StatusServiceUnavailable, "the ledger cannot be read now; the log of pgbailiff says why")
	})
}

// ownerPatience is how long after its intent a signal's outcome may come, under the
// generation in force and those before it that have orders under way. An order looks
// for the effect of a cancel for grace, and for that of the last signal for
// verify_timeout.
func (a *app) ownerPatience() time.Duration {
	g := a.generations.current.Load()
	own := time.Duration(max(g.cfg.Remediation.Grace, g.cfg.Remediation.VerifyTimeout)) + ownerMargin
	select {
	case <-g.earlier:
		return own
	default:
		return max(own, g.before+ownerMargin)
	}
}

// hostName is the name of this host: in Kubernetes that of the pod.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
