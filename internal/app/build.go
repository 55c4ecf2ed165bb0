package app

import (
	"fmt"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// build makes a generation of the configuration. Servers whose configuration
// did not change are passed on from the one before, with their connections:
// while max_connections is exhausted, there would be no new ones. The others
// are also returned; they are not started yet.
func (a *app) build(cfg *config.Config, access access, before *generation) (_ *generation, fresh []*postgres.Server, _ error) {
	decide, err := policy.New(cfg.Remediation.Policy)
	if err != nil {
		return nil, nil, err
	}
	g := &generation{cfg: cfg, access: access, policy: decide, servers: map[string]*postgres.Server{}, readers: map[string]*reader{}}
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
	servers, readers := map[string]remediation.Server{}, map[string]remediation.Server{}
	for name, server := range g.servers {
		g.readers[name] = newReader(server)
		servers[name], readers[name] = server, g.readers[name]
	}
	g.remediation = a.remediationOf(g, servers)
	g.remediator = remediation.New(g.remediation, a.shared)
	g.previews = remediation.New(a.remediationOf(g, readers), a.shared)
	g.people = auth.NewPeople(cfg.People.Config, *a.options.Web.WebConfigFile, a.logger)
	g.nameless = len(cfg.People.Operators) > 0 && cfg.People.UserHeader == "" && !access.main.names
	g.handlers = a.handlers(g, access)
	return g, fresh, nil
}

// remediationOf is what a generation's requests are carried out under.
func (a *app) remediationOf(g *generation, servers map[string]remediation.Server) remediation.Settings {
	return remediation.Settings{
		Config: g.cfg.Remediation.Config, Policy: g.policy, Servers: servers, Text: g.cfg.Collector.Text, ModeNow: a.modeNow,
		ServersFromFiles: len(g.cfg.ServersFiles) > 0,
		SeriesOnDemand:   g.cfg.Collector.Targets == collector.TargetsProbe,
	}
}

// modeNow is the mode of the current generation. An order of an older one sends
// nothing more when the current one does not enforce.
func (a *app) modeNow() remediation.Mode { return a.generations.current.Load().cfg.Remediation.Mode }

// handlers are made anew for each generation, with its settings.
func (a *app) handlers(g *generation, access access) handlers {
	scrape := collector.Settings{Config: g.cfg.Collector}
	for _, sc := range g.cfg.Servers {
		scrape.Servers = append(scrape.Servers, g.servers[sc.Name])
	}
	orders := auth.Authenticator{
		CredentialsFile: g.cfg.Webhook.CredentialsFile, ClientCertificates: access.webhook.clientCertificates,
	}
	alertmanager := orders
	alertmanager.Open = g.cfg.Remediation.Mode != remediation.ModeEnforce
	reload, main := g.accessOf(access.main)
	resume := api.Resume(g.remediator.Resume, g.people.By, a.logger)
	decisions := a.known(api.Decisions(a.ledger.Recent, a.logger))
	return handlers{
		pages:        a.pageHandlers(g, access),
		metrics:      collector.Handler(a.registry, scrape, a.logger),
		probe:        collector.Probe(scrape, a.logger),
		reload:       a.reloadHandler(g, reload),
		webhook:      webhook.New(g.remediator, alertmanager, a.messages, a.logger),
		resume:       main.RequireOr(g.people, resume, a.logger),
		decisions:    main.RequireOr(g.people, decisions, a.logger),
		ownResume:    orders.Require(api.Resume(g.remediator.Resume, nobody, a.logger), a.logger),
		ownDecisions: orders.Require(decisions, a.logger),
		api:          a.apiHandlers(g),
	}
}
