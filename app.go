package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
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
func newApp(f flags, logger log.Logger) (*app, error) {
	cfg, err := config.Load(f.configFile)
	if err != nil {
		return nil, err
	}
	a := &app{
		flags: f, logger: logger,
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
	a.reloading.Lock()
	defer a.reloading.Unlock()
	return a.reloadLocked()
}

func (a *app) reloadLocked() error {
	cfg, err := config.Load(a.flags.configFile)
	if err == nil {
		err = a.apply(cfg)
	}
	if err != nil {
		a.reloadOK.Set(0)
		level.Error(a.logger).Log("msg", "Keeping the old configuration", "err", err)
		return err
	}
	level.Info(a.logger).Log("msg", "Loaded the configuration", "file", a.flags.configFile)
	return nil
}

// rotateAndReload is SIGHUP: the ledger may have been renamed, the
// configuration may have changed.
func (a *app) rotateAndReload() {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	file := a.generations.current.Load().cfg.Remediation.Ledger.File
	if err := a.ledger.Reopen(context.Background(), file); err != nil {
		level.Error(a.logger).Log("msg", "Going on with the old ledger file", "err", err)
	}
	_ = a.reloadLocked() // says itself what went wrong
}

// apply makes the configuration the one in force. Servers that did not change
// keep their connections: with max_connections exhausted, a new one could not
// be had.
func (a *app) apply(cfg *config.Config) error {
	certificates, err := checkAuth(cfg, a.flags.configFile, *a.flags.web.WebConfigFile)
	if err != nil {
		return err
	}
	before := a.generations.current.Load()
	if err := checkUnchangeable(before, cfg); err != nil {
		return err
	}
	decide, err := policy.New(cfg.Remediation.Policy)
	if err != nil {
		return err
	}
	next := &generation{
		cfg: cfg, policy: decide, servers: map[string]*postgres.Server{}, certificates: certificates,
		scrape: collector.Settings{Config: cfg.Collector},
	}
	var fresh []*postgres.Server
	for i, sc := range cfg.Servers {
		if old := before.server(sc.Name); old != nil && old.Config() == sc {
			next.servers[sc.Name] = old
			continue
		}
		server, err := postgres.New(sc, a.dials, a.logger)
		if err != nil {
			return fmt.Errorf("servers[%d]: %w", i, err)
		}
		next.servers[sc.Name] = server
		fresh = append(fresh, server)
	}
	if before != nil && cfg.Remediation.Ledger != before.cfg.Remediation.Ledger {
		if err := a.ledger.Reopen(context.Background(), cfg.Remediation.Ledger.File); err != nil {
			return err
		}
	}
	act := &webhook.Settings{
		Config: cfg.Webhook, Remediation: cfg.Remediation.Config, Policy: decide,
		Servers: map[string]webhook.Server{}, Text: cfg.Collector.Text, ClientCertificates: certificates,
	}
	for _, sc := range cfg.Servers {
		next.scrape.Servers = append(next.scrape.Servers, next.servers[sc.Name])
		act.Servers[sc.Name] = next.servers[sc.Name]
	}
	if err := a.generations.swap(next, func() {
		for _, server := range fresh {
			server.Start()
		}
		a.webhook.Apply(act)
	}); err != nil {
		return err
	}
	a.reloadOK.Set(1)
	a.reloadTime.SetToCurrentTime()
	return nil
}

// pageData is what the page shows: it reads every server, as a scrape does, but
// with the statements' texts, which the policy needs to judge.
func (a *app) pageData(ctx context.Context) (page.Data, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	g := a.generations.current.Load()
	cfg, limits, now := g.cfg, g.cfg.Remediation.Limits, time.Now()
	data := page.Data{
		Servers:       make([]page.Server, len(cfg.Servers)),
		Mode:          string(cfg.Remediation.Mode),
		Judge:         g.judge(ctx),
		SeverityLabel: cfg.Remediation.Policy.SeverityLabel,
		Severities:    ladder(cfg.Remediation.Policy.Severities),
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
			snapshot, err := g.servers[sc.Name].Snapshot(ctx, session.SnapshotOptions{
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

// judge asks the policy about sessions, each as Find reads it.
func (g *generation) judge(ctx context.Context) func(session.Session, map[string]string) policy.Decision {
	return func(s session.Session, alert map[string]string) policy.Decision {
		found, _, err := g.servers[s.Server].Find(ctx, s.PID)
		if err != nil || found.ID != s.ID {
			found = session.Found{}
		}
		return g.policy.Decide(alert, policy.NewSubject(found))
	}
}

// ladder returns the severities from the mildest action to the hardest.
func ladder(severities map[string]policy.Action) []string {
	hardness := func(severity string) int { return slices.Index(policy.Actions(), severities[severity]) }
	return slices.SortedFunc(maps.Keys(severities), func(a, b string) int {
		return cmp.Or(cmp.Compare(hardness(a), hardness(b)), cmp.Compare(a, b))
	})
}

// checkUnchangeable refuses what only a restart can change.
func checkUnchangeable(before *generation, cfg *config.Config) error {
	if before == nil {
		return nil
	}
	switch {
	case cfg.Webhook.ListenAddress != before.cfg.Webhook.ListenAddress:
		return errors.New("webhook.listen_address: a new address needs a restart")
	case (cfg.Remediation.Ledger.File == "") != (before.cfg.Remediation.Ledger.File == ""):
		return errors.New("remediation.ledger.file: with or without a file needs a restart")
	}
	return nil
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
