package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/pgbailiff/pgbailiff/internal/api"
)

// listen starts the servers; the channel takes the first error of any.
func (a *app) listen(l loggers) <-chan error {
	failed := make(chan error, 2)
	main, own := http.NewServeMux(), http.NewServeMux()
	a.routes(main)
	actOn, address := main, a.generations.current.Load().cfg.Webhook.ListenAddress
	if address != "" {
		actOn = own
	}
	message := http.NewServeMux()
	message.Handle("POST /webhook", a.inGeneration())
	actOn.Handle("/webhook", a.messages.CountRequests(message))
	actOn.Handle("/-/resume", onlyFor("POST /-/resume", a.authorized(api.Resume(a.resume, a.logger))))
	actOn.Handle("/api/v1/decisions", onlyFor("GET /api/v1/decisions", a.authorized(api.Decisions(a.ledger.Recent, a.logger))))

	server := a.web.add(a.notCrossSite(main))
	go func() {
		if err := web.ListenAndServe(server, a.options.Web, l.slog); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	if actOn == own {
		server := a.web.add(a.notCrossSite(own))
		go func() {
			if err := a.serveWebhook(server, address); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("webhook.listen_address: %w", err)
			}
		}()
	}
	return failed
}

// serveWebhook serves the webhook's own listener: with the TLS of
// --web.config.file, without its basic auth, for it has its token.
func (a *app) serveWebhook(server *http.Server, address string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	file := *a.options.Web.WebConfigFile
	cfg, err := readWebConfig(file)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if cfg.TLSConfig.IsEnabled() {
		current := func() (*tls.Config, error) {
			cfg, err := readWebConfig(file)
			if err != nil {
				return nil, err
			}
			return web.ConfigToTLSConfig(&cfg.TLSConfig)
		}
		tlsConfig, err := current()
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		// Certificates are read anew for each connection, as the toolkit does.
		tlsConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current() }
		listener = tls.NewListener(listener, tlsConfig)
	}
	level.Info(a.logger).Log("msg", "Listening for the webhook", "address", listener.Addr())
	return server.Serve(listener)
}
