package app

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
)

// apiTimeout: the JSON API tells within 5 seconds that a server hangs.
const apiTimeout = snapshotTimeout - snapshotTimeout/10

// accessOf says what the main listener takes instead of a person: the token, and
// where the webhook has no listener of its own, a certificate. With operators a
// certificate is a person's.
func (g *generation) accessOf(main listener) (reload, rest auth.Authenticator) {
	token := g.cfg.Webhook.CredentialsFile
	certificates := main.clientCertificates && len(g.cfg.People.Operators) == 0
	return auth.Authenticator{CredentialsFile: token, ClientCertificates: certificates},
		auth.Authenticator{CredentialsFile: token, ClientCertificates: certificates && g.cfg.Webhook.ListenAddress == ""}
}

// apiHandlers serves the JSON API of a generation.
func (a *app) apiHandlers(g *generation) apiHandlers {
	shown := api.SessionsSettings{
		MinDuration: time.Duration(g.cfg.Collector.MinDuration), MaxSessions: g.cfg.Collector.MaxSessions,
		SeverityLabel: g.cfg.Remediation.Policy.SeverityLabel, Severities: ladder(g.cfg.Remediation.Policy.Severities),
		Preview: g.previews.Preview, Timeout: apiTimeout,
		MostServers: mostServers, Each: eachServer, Think: a.thinking.enter,
	}
	if g.cfg.Collector.QueryText != querytext.None {
		shown.Text = g.cfg.Collector.Text
	}
	for _, sc := range g.cfg.Servers {
		shown.Servers = append(shown.Servers, g.readers[sc.Name])
	}
	names := slices.Sorted(maps.Keys(g.servers))
	return apiHandlers{
		sessions:  api.Sessions(shown, a.logger),
		actions:   api.Actions(g.remediator.Remediate, a.person, a.logger),
		approvals: a.known(api.Approvals(g.remediator.Approvals, a.logger)),
		answer:    api.Answer(g.remediator.Approve, g.remediator.Deny, a.person, a.logger),
		targets:   api.Targets(names, a.options.ExternalURL, a.logger),
	}
}

// person tells who makes a request, by the generation in force at the call.
func (a *app) person(r *http.Request) auth.Person {
	return a.generations.current.Load().people.Person(r)
}

// nobody is the person of every request on the webhook's own listener.
func nobody(*http.Request) string { return "" }
