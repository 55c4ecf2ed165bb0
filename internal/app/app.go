// Package app is everything that runs: it builds the program from its
// configuration, serves it over HTTP, reloads it, and stops it in reverse
// order.
package app

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// connectionAttempts is how many connections to servers may be in the making
// at a time.
const connectionAttempts = 16

// app is what lasts from the start to the stop. What a reload changes is in its
// generations.
type app struct {
	options  Options
	logger   log.Logger
	registry *prometheus.Registry
	metrics  *Metrics
	dials    *postgres.Dials
	ledger   record
	file     *ledger.Ledger // the ledger, unless it is a database
	shared   *remediation.Shared
	messages *webhook.Metrics
	web      webServers
	thinking thinking
	external *url.URL // how people reach this program

	stopExpiring func()

	// Of the goroutine that reloads: the configuration file as it was loaded, and
	// what was read of servers_files.
	loaded *config.Config
	files  *config.ServersFiles

	generations generations
	reloads     chan reloadRequest // to the goroutine of reloadOnRequest
}

// newApp builds everything from the configuration, or says in one sentence why
// it cannot.
func newApp(o Options, logger log.Logger) (*app, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	// The ledger is opened for a configuration that is good in every respect.
	access, err := checkAccess(cfg, o)
	if err == nil {
		err = checkLedger(cfg, o.ConfigFile)
	}
	if err != nil {
		return nil, err
	}
	a := &app{
		options: o, logger: logger, external: externalURL(o, access.main),
		registry:    prometheus.NewRegistry(),
		dials:       postgres.NewDials(connectionAttempts),
		generations: generations{logger: logger},
		reloads:     make(chan reloadRequest),
		thinking:    make(thinking, placesToThink),
	}
	a.metrics = NewMetrics(a.registry)
	a.metrics.externalURL.WithLabelValues(a.external.String()).Set(1)
	a.ledger, a.file, err = openLedger(cfg.Remediation.Ledger, a.ownerPatience, logger, a.registry)
	if err != nil {
		return nil, err
	}
	a.shared = remediation.NewShared(logger, a.ledger, a.registry)
	a.messages = webhook.NewMetrics(a.registry)
	if err := a.apply(cfg); err != nil {
		return nil, errors.Join(err, a.ledger.Close())
	}
	a.stopExpiring = a.startExpiring()
	return a, nil
}

// How long a stop waits, beside what the orders under way may take.
const (
	orderPatience = 10 * time.Second // to find the session, to signal, and to write it down
	closePatience = 5 * time.Second  // to close connections to servers that may hang
)

// stop is the reverse of newApp. The orders under way end and are answered. It
// does not wait for a client that neither sends nor reads, for a server that
// hangs, or for a reload.
func (a *app) stop() {
	a.generations.stop()
	ctx, cancel := context.WithTimeout(context.Background(), a.generations.current.Load().patience())
	defer cancel()
	answered := a.web.stopListening(ctx)
	if err := errors.Join(a.generations.drain(ctx), a.web.close(answered)); err != nil {
		level.Warn(a.logger).Log("msg", "Stopping before everything has ended", "err", err)
	}

	ctx, cancel = context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if err := a.generations.close(ctx); err != nil {
		level.Warn(a.logger).Log("msg", "Stopping before every connection is closed", "err", err)
	}
	a.stopExpiring()
	if err := a.ledger.Close(); err != nil {
		level.Error(a.logger).Log("msg", "Closing the ledger failed", "err", err)
	}
}
