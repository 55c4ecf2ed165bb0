// Package app is everything that runs: it builds the program once from its
// configuration, reloads it, serves it over HTTP, and stops it in reverse order.
package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// connectionAttempts is how many connections to servers may be on the way in
// at a time.
const connectionAttempts = 16

// app is everything that runs.
type app struct {
	options  Options
	logger   log.Logger
	registry *prometheus.Registry
	dials    *postgres.Dials
	ledger   *ledger.Ledger
	shared   *remediation.Shared
	messages *webhook.Metrics
	web      webServers

	// reloading makes it one reload at a time, from reading the file to the swap.
	// A reload may hang, so nothing else takes it.
	reloading   sync.Mutex
	generations generations

	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge
}

// newApp builds everything from the configuration, or says in one sentence why
// it cannot be.
func newApp(o Options, logger log.Logger) (*app, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	a := &app{
		options: o, logger: logger,
		registry: prometheus.NewRegistry(),
		dials:    postgres.NewDials(connectionAttempts),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_successful",
			Help: "1 when the last attempt to load the configuration succeeded.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded.",
		}),
	}
	a.generations.logger = logger
	a.registry.MustRegister(
		collectors.NewGoCollector(),
		collector.NewProcess(),
		versioncollector.NewCollector("pgbailiff"),
		a.reloadOK, a.reloadTime,
	)
	if _, err := checkAuth(cfg, o.ConfigFile, *o.Web.WebConfigFile); err != nil {
		return nil, err
	}
	a.ledger, err = ledger.Open(cfg.Remediation.Ledger, logger, a.registry)
	if err != nil {
		return nil, err
	}
	a.shared = remediation.NewShared(logger, a.ledger, a.registry)
	a.messages = webhook.NewMetrics(a.registry)
	if err := a.apply(cfg); err != nil {
		return nil, errors.Join(err, a.ledger.Close())
	}
	return a, nil
}

// How long a stop waits, beside what the orders under way may take.
const (
	orderPatience = 10 * time.Second // to find and to signal, and to write it down
	closePatience = 5 * time.Second  // to take leave of servers that may hang
)

// stop is the reverse of newApp. What has begun ends: the messages that are
// being dealt with, and their answers. Nothing that a client, a server or a
// reload does not do is waited for.
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
	if err := a.ledger.Close(); err != nil {
		level.Error(a.logger).Log("msg", "Closing the ledger failed", "err", err)
	}
}
