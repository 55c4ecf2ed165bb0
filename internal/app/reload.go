package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// reload swaps the whole configuration, or keeps the old one.
func (a *app) reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	return a.reloadLocked()
}

func (a *app) reloadLocked() error {
	cfg, err := config.Load(a.options.ConfigFile)
	if err == nil {
		err = a.apply(cfg)
	}
	if err != nil {
		a.reloadOK.Set(0)
		level.Error(a.logger).Log("msg", "Keeping the old configuration", "err", err)
		return err
	}
	level.Info(a.logger).Log("msg", "Loaded the configuration", "file", a.options.ConfigFile)
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
	certificates, err := checkAuth(cfg, a.options.ConfigFile, *a.options.Web.WebConfigFile)
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
	act := remediation.Settings{
		Config: cfg.Remediation.Config, Policy: decide,
		Servers: map[string]remediation.Server{}, Text: cfg.Collector.Text,
		ModeNow: func() remediation.Mode { return a.generations.current.Load().cfg.Remediation.Mode },
	}
	for _, sc := range cfg.Servers {
		next.scrape.Servers = append(next.scrape.Servers, next.servers[sc.Name])
		act.Servers[sc.Name] = next.servers[sc.Name]
	}
	next.remediator = remediation.New(act, a.shared)
	next.auth = auth.Authenticator{CredentialsFile: cfg.Webhook.CredentialsFile, ClientCertificates: certificates}
	senders := next.auth
	senders.Open = cfg.Remediation.Mode != remediation.ModeEnforce
	next.webhook = webhook.New(next.remediator, senders, a.messages, a.logger)
	if err := a.generations.swap(next, func() {
		for _, server := range fresh {
			server.Start()
		}
		a.shared.Serve(act)
	}); err != nil {
		return err
	}
	a.reloadOK.Set(1)
	a.reloadTime.SetToCurrentTime()
	return nil
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
