package app

import (
	"context"
	"fmt"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// build makes a generation of the configuration. Servers whose configuration
// did not change are passed on from the one before, with their connections:
// while max_connections is exhausted, there would be no new ones. The others
// are also returned; they are not started yet.
func (a *app) build(cfg *config.Config, before *generation) (_ *generation, fresh []*postgres.Server, _ error) {
	access, err := checkAccess(cfg, a.options)
	if err != nil {
		return nil, nil, err
	}
	decide, err := policy.New(cfg.Remediation.Policy)
	if err != nil {
		return nil, nil, err
	}
	g := &generation{cfg: cfg, policy: decide, servers: map[string]*postgres.Server{}}
	for i, sc := range cfg.Servers {
		if old := before.server(sc.Name); old != nil && old.Config() == sc {
			g.servers[sc.Name] = old
			continue
		}
		server, err := postgres.New(sc, a.dials, a.logger)
		if err != nil {
			return nil, nil, fmt.Errorf("servers[%d]: %w", i, err)
		}
		g.servers[sc.Name] = server
		fresh = append(fresh, server)
	}
	g.handlers = a.handlers(g, access)
	return g, fresh, nil
}

// handlers are made anew for each generation, with its settings.
func (a *app) handlers(g *generation, access access) handlers {
	scrape := collector.Settings{Config: g.cfg.Collector}
	orders := &webhook.Settings{
		Config: g.cfg.Webhook, Remediation: g.cfg.Remediation.Config, Policy: g.policy,
		Servers: map[string]webhook.Server{}, Text: g.cfg.Collector.Text, ClientCertificates: access.webhook.clientCertificates,
	}
	for _, sc := range g.cfg.Servers {
		scrape.Servers = append(scrape.Servers, g.servers[sc.Name])
		orders.Servers[sc.Name] = g.servers[sc.Name]
	}
	g.orderSettings = orders
	return handlers{
		page:      page.Handler(func(ctx context.Context) (page.Data, error) { return a.pageData(ctx, g, access), nil }, a.logger),
		metrics:   collector.Handler(a.registry, scrape, a.logger),
		reload:    a.reloadHandler(g.cfg, access),
		webhook:   a.webhook,
		resume:    a.webhook.Resume(),
		decisions: a.webhook.Decisions(),
	}
}
