package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"
)

// listen starts the servers; the channel takes the first error of each.
func (a *app) listen(l loggers) <-chan error {
	failed := make(chan error, 2)
	serve := func(h http.Handler, where string, serve func(*http.Server) error) {
		server := a.web.add(secured(h))
		go func() {
			if err := serve(server); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s%w", where, err)
			}
		}()
	}
	main, own := a.routes()
	serve(main, "", func(server *http.Server) error {
		return web.ListenAndServe(server, a.options.Web, l.slog)
	})
	if own != nil {
		serve(own, "webhook.listen_address: ", func(server *http.Server) error { return a.serveWebhook(server, l) })
	}
	return failed
}

// serveWebhook serves the webhook's own listener, as webhook.web_config_file
// says.
func (a *app) serveWebhook(server *http.Server, l loggers) error {
	cfg := a.generations.current.Load().cfg.Webhook
	demands, err := readListener(cfg.WebConfigFile)
	if err != nil {
		return err
	}
	bound, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.ListenAddress)
	if err != nil {
		return err
	}
	address, isTCP := bound.Addr().(*net.TCPAddr)
	if loopback := isTCP && address.IP.IsLoopback(); !loopback && !demands.tls {
		level.Warn(a.logger).Log("msg", "The webhook's listener is plain HTTP", "address", bound.Addr(),
			"hint", "set tls_server_config in webhook.web_config_file")
	}
	return web.Serve(bound, server, &web.FlagConfig{WebConfigFile: &cfg.WebConfigFile}, l.slog.With("listener", "webhook"))
}
