package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// webServers are the HTTP servers that listen.
type webServers []*http.Server

func (w webServers) shutdown(ctx context.Context) error {
	var errs []error
	for _, server := range w {
		errs = append(errs, server.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// listen starts the servers; the channel takes the first error of any.
func (a *app) listen(slogger *slog.Logger) <-chan error {
	failed := make(chan error, 2)
	main, own := http.NewServeMux(), http.NewServeMux()
	a.routes(main)
	actOn := main
	if a.cfg.Webhook.ListenAddress != "" {
		actOn = own
	}
	actOn.Handle("/webhook", a.webhook)
	actOn.Handle("/-/resume", a.webhook.Resume())
	actOn.Handle("/api/v1/decisions", a.webhook.Decisions())

	server := newHTTPServer(main)
	a.web = append(a.web, server)
	go func() {
		if err := web.ListenAndServe(server, a.flags.web, slogger); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	if actOn == own {
		server := newHTTPServer(own)
		a.web = append(a.web, server)
		go func() {
			if err := a.serveWebhook(server); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("webhook.listen_address: %w", err)
			}
		}()
	}
	return failed
}

// newHTTPServer has no write timeout: an answer may wait for a verification.
func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
}

// serveWebhook serves the webhook's own listener: with the TLS of
// --web.config.file, without its basic auth, for it has its token.
func (a *app) serveWebhook(server *http.Server) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", a.cfg.Webhook.ListenAddress)
	if err != nil {
		return err
	}
	file := *a.flags.web.WebConfigFile
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

func (a *app) routes(mux *http.ServeMux) {
	mux.Handle("/metrics", collector.Handler(a.registry, func() collector.Settings { return *a.scrape.Load() }, a.logger))
	mux.Handle("/-/healthy", sentence("pgbailiff is healthy."))
	mux.Handle("/-/ready", sentence("pgbailiff is ready."))
	mux.HandleFunc("/-/reload", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			w.Header().Set("Allow", "POST, PUT")
			http.Error(w, "this takes POST", http.StatusMethodNotAllowed)
			return
		}
		if err := a.reload(); err != nil {
			http.Error(w, "kept the old configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "loaded the configuration")
	})
	mux.Handle("/", page.Handler(a.pageData, a.logger))
}

func sentence(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, text) })
}

// checkAuth refuses to enforce for everybody who asks. The first result says
// whether the listener lets nobody in without a client certificate.
func checkAuth(cfg *config.Config, file, webConfigFile string) (certificates bool, _ error) {
	webConfig, err := readWebConfig(webConfigFile)
	if err != nil {
		return false, fmt.Errorf("--web.config.file: %w", err)
	}
	certificates = webConfig.TLSConfig.ClientAuth == "RequireAndVerifyClientCert"
	if cfg.Remediation.Mode != webhook.ModeEnforce {
		return certificates, nil
	}
	switch token := cfg.Webhook.CredentialsFile; {
	case token == "" && !certificates:
		return false, config.At(file, "remediation.mode", errNoAuth)
	case token == "":
		return certificates, nil
	case len(webConfig.Users) > 0 && cfg.Webhook.ListenAddress == "":
		return false, config.At(file, "webhook.credentials_file", errBasicAuth)
	default:
		if _, err := webhook.ReadToken(token); err != nil {
			return false, config.At(file, "webhook.credentials_file", err)
		}
		return certificates, nil
	}
}

// Why pgbailiff refuses to enforce.
var (
	errNoAuth    = errors.New("to enforce, and everybody could order a signal: set webhook.credentials_file (or ask for client certificates in --web.config.file)")
	errBasicAuth = errors.New("basic_auth_users of --web.config.file ask for the header that this token needs; give the webhook a listener of its own with webhook.listen_address")
)

// readWebConfig reads the toolkit's configuration file; no file is an empty
// one. Its paths are relative to the file.
func readWebConfig(path string) (*web.Config, error) {
	cfg := &web.Config{}
	if path == "" {
		return cfg, nil
	}
	if err := web.Validate(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, cfg); err != nil {
		return nil, err
	}
	cfg.TLSConfig.SetDirectory(filepath.Dir(path))
	return cfg, nil
}
