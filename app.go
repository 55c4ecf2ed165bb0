package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// What the page may cost, and how many of the last decisions it shows.
const (
	pageTimeout   = 5 * time.Second
	pageDecisions = 200 // lines of the ledger
)

// connectionAttempts is how many connections to servers may be on the way in
// at a time.
const connectionAttempts = 16

// app is everything that runs.
type app struct {
	flags    flags
	logger   log.Logger
	registry *prometheus.Registry
	dials    *postgres.Dials
	ledger   *ledger.Ledger
	webhook  *webhook.Handler
	scrape   atomic.Pointer[collector.Settings]
	web      webServers

	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge

	mu      sync.Mutex // guards the rest: one reload at a time
	cfg     *config.Config
	policy  *policy.Policy
	servers map[string]*postgres.Server
}

// newApp builds everything from the configuration, or says in one sentence why
// it cannot be.
func newApp(f flags, logger log.Logger) (*app, error) {
	cfg, err := config.Load(f.configFile)
	if err != nil {
		return nil, err
	}
	a := &app{
		flags: f, logger: logger,
		registry: prometheus.NewRegistry(),
		dials:    postgres.NewDials(connectionAttempts),
		servers:  map[string]*postgres.Server{},
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_successful",
			Help: "1 when the last attempt to load the configuration succeeded.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pgbailiff_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded.",
		}),
	}
	a.registry.MustRegister(
		collectors.NewGoCollector(),
		collector.NewProcess(),
		versioncollector.NewCollector("pgbailiff"),
		a.reloadOK, a.reloadTime,
	)
	if _, err := checkAuth(cfg, f.configFile, *f.web.WebConfigFile); err != nil {
		return nil, err
	}
	a.ledger, err = ledger.Open(cfg.Remediation.Ledger, logger, a.registry)
	if err != nil {
		return nil, err
	}
	a.webhook = webhook.New(logger, a.registry, a.ledger)
	if err := a.apply(cfg); err != nil {
		return nil, errors.Join(err, a.ledger.Close())
	}
	return a, nil
}

// reload swaps the whole configuration, or keeps the old one.
func (a *app) reload() error {
	err := a.tryReload()
	if err != nil {
		a.reloadOK.Set(0)
		level.Error(a.logger).Log("msg", "Keeping the old configuration", "err", err)
		return err
	}
	level.Info(a.logger).Log("msg", "Loaded the configuration", "file", a.flags.configFile)
	return nil
}

func (a *app) tryReload() error {
	cfg, err := config.Load(a.flags.configFile)
	if err != nil {
		return err
	}
	return a.apply(cfg)
}

// rotateAndReload is SIGHUP: the ledger may have been renamed, the
// configuration may have changed.
func (a *app) rotateAndReload() {
	a.mu.Lock()
	file := a.cfg.Remediation.Ledger.File
	a.mu.Unlock()
	if err := a.ledger.Reopen(context.Background(), file); err != nil {
		level.Error(a.logger).Log("msg", "Going on with the old ledger file", "err", err)
	}
	_ = a.reload() // says itself what went wrong
}

// apply makes the configuration the one in force. Servers that did not change
// keep their connections: with max_connections exhausted, a new one could not
// be had.
func (a *app) apply(cfg *config.Config) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	certificates, err := checkAuth(cfg, a.flags.configFile, *a.flags.web.WebConfigFile)
	if err != nil {
		return err
	}
	if err := a.checkUnchangeable(cfg); err != nil {
		return err
	}
	decide, err := policy.New(cfg.Remediation.Config)
	if err != nil {
		return err
	}
	servers := map[string]*postgres.Server{}
	var fresh []*postgres.Server
	for i, sc := range cfg.Servers {
		if old := a.servers[sc.Name]; old != nil && old.Config() == sc {
			servers[sc.Name] = old
			continue
		}
		server, err := postgres.New(sc, a.dials, a.logger)
		if err != nil {
			return fmt.Errorf("servers[%d]: %w", i, err)
		}
		servers[sc.Name] = server
		fresh = append(fresh, server)
	}
	if a.cfg != nil && cfg.Remediation.Ledger != a.cfg.Remediation.Ledger {
		if err := a.ledger.Reopen(context.Background(), cfg.Remediation.Ledger.File); err != nil {
			return err
		}
	}
	for _, server := range fresh {
		server.Start()
	}
	before := a.servers
	a.cfg, a.policy, a.servers = cfg, decide, servers

	scrape := &collector.Settings{Config: cfg.Collector}
	act := &webhook.Settings{
		Config: cfg.Webhook, Remediation: cfg.Remediation.RemediationConfig, Policy: decide,
		Servers: map[string]webhook.Server{}, Text: cfg.Collector.Text, ClientCertificates: certificates,
	}
	for _, sc := range cfg.Servers {
		scrape.Servers = append(scrape.Servers, servers[sc.Name])
		act.Servers[sc.Name] = servers[sc.Name]
	}
	a.scrape.Store(scrape)
	a.webhook.Apply(act)
	a.reloadOK.Set(1)
	a.reloadTime.SetToCurrentTime()
	for name, server := range before {
		if servers[name] != server {
			server.Close()
		}
	}
	return nil
}

// pageData is what the page shows: it reads every server, as a scrape does, but
// with the statements' texts, which the policy needs to judge.
func (a *app) pageData(ctx context.Context) (page.Data, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	a.mu.Lock()
	cfg, servers, decide := a.cfg, maps.Clone(a.servers), a.policy
	a.mu.Unlock()
	limits, now := cfg.Remediation.Limits, time.Now()
	data := page.Data{
		Servers:       make([]page.Server, len(cfg.Servers)),
		Mode:          string(cfg.Remediation.Mode),
		Policy:        decide,
		SeverityLabel: cfg.Remediation.SeverityLabel,
		Severities:    ladder(cfg.Remediation.Severities),
		Decisions:     a.ledger.Recent(pageDecisions),
		MinDuration:   cfg.Collector.MinDuration.Seconds(),
		Limit:         limits.Actions,
		Window:        limits.Window,
		Text:          cfg.Collector.Text,
		Version:       version.Version,
		Now:           now,
	}
	if cfg.Webhook.ListenAddress != "" {
		data.WebhookURL = "http://" + cfg.Webhook.ListenAddress
	}
	var all sync.WaitGroup
	for i, sc := range cfg.Servers {
		all.Go(func() {
			snapshot, err := servers[sc.Name].Snapshot(ctx, session.SnapshotOptions{
				MinAge: data.MinDuration, MaxSessions: cfg.Collector.MaxSessions, Text: true,
			})
			data.Servers[i] = page.Server{
				Name: sc.Name, Snapshot: snapshot, Err: err,
				Suspended: a.ledger.Suspended(sc.Name), Spent: a.ledger.Spent(sc.Name, limits.Window, now),
			}
		})
	}
	all.Wait()
	return data, nil
}

// ladder returns the severities from the mildest action to the hardest.
func ladder(severities map[string]policy.Action) []string {
	hardness := func(severity string) int { return slices.Index(policy.Actions(), severities[severity]) }
	return slices.SortedFunc(maps.Keys(severities), func(a, b string) int {
		return cmp.Or(cmp.Compare(hardness(a), hardness(b)), cmp.Compare(a, b))
	})
}

// checkUnchangeable refuses what only a restart can change.
func (a *app) checkUnchangeable(cfg *config.Config) error {
	if a.cfg == nil {
		return nil
	}
	switch {
	case cfg.Webhook.ListenAddress != a.cfg.Webhook.ListenAddress:
		return errors.New("webhook.listen_address: a new address needs a restart")
	case (cfg.Remediation.Ledger.File == "") != (a.cfg.Remediation.Ledger.File == ""):
		return errors.New("remediation.ledger.file: with or without a file needs a restart")
	}
	return nil
}

// shutdown lets what has begun end: requests, then the alerts behind them.
func (a *app) shutdown() {
	a.mu.Lock()
	r := a.cfg.Remediation
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), r.Grace+r.VerifyTimeout+10*time.Second)
	defer cancel()
	if err := errors.Join(a.web.shutdown(ctx), a.webhook.Wait(ctx)); err != nil {
		level.Warn(a.logger).Log("msg", "Stopping before everything has ended", "err", err)
	}
}

// close is the reverse of newApp.
func (a *app) close() {
	for _, server := range a.servers {
		server.Close()
	}
	if err := a.ledger.Close(); err != nil {
		level.Error(a.logger).Log("msg", "Closing the ledger failed", "err", err)
	}
}
