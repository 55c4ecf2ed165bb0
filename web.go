package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"
	sloggokit "github.com/tjhop/slog-gokit"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// listen starts the servers; the channel takes the first error of any.
func (a *app) listen(slogger *slog.Logger) <-chan error {
	failed := make(chan error, 2)
	main, own := http.NewServeMux(), http.NewServeMux()
	a.routes(main)
	actOn, address := main, a.generations.current.Load().cfg.Webhook.ListenAddress
	if address != "" {
		actOn = own
	}
	actOn.Handle("/webhook", a.inGeneration(a.webhook))
	actOn.Handle("/-/resume", a.webhook.Resume())
	actOn.Handle("/api/v1/decisions", a.webhook.Decisions())

	server := a.web.add(a.notCrossSite(main))
	go func() {
		if err := web.ListenAndServe(server, a.flags.web, slogger); !errors.Is(err, http.ErrServerClosed) {
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

// notCrossSite refuses what a page of another site makes a browser send: where
// basic auth or a client certificate lets a person in, it would come with those.
func (a *app) notCrossSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		level.Warn(a.logger).Log("msg", "Refused what a page of another site has sent", "path", r.URL.Path, "remote", r.RemoteAddr)
		http.Error(w, "this is not for the pages of other sites", http.StatusForbidden)
	}))
	return protection.Handler(next)
}

// inGeneration keeps the servers open that a message may use. A message that
// comes after the stop is for the next pgbailiff.
func (a *app) inGeneration(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, ok := a.generations.enter()
		if !ok {
			http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
			return
		}
		defer g.messages.exit()
		next.ServeHTTP(w, r)
	})
}

// serveWebhook serves the webhook's own listener: with the TLS of
// --web.config.file, without its basic auth, for it has its token.
func (a *app) serveWebhook(server *http.Server, address string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
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
	mux.Handle("/metrics", collector.Handler(a.registry, func() collector.Settings { return a.generations.current.Load().scrape }, a.logger))
	mux.Handle("/-/healthy", sentence("pgbailiff is healthy."))
	mux.Handle("/-/ready", sentence("pgbailiff is ready."))
	mux.Handle("/-/reload", a.reloadHandler())
	mux.Handle("/", page.Handler(a.pageData, a.logger))
}

// reloadHandler is for whoever may give orders, or with --web.enable-lifecycle
// for everybody who can reach us.
func (a *app) reloadHandler() http.Handler {
	load := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := a.reload(); err != nil {
			http.Error(w, "kept the old configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "loaded the configuration")
	}))
	authorized := a.webhook.Authorized(load)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := a.generations.current.Load()
		switch {
		case r.Method != http.MethodPost && r.Method != http.MethodPut:
			w.Header().Set("Allow", "POST, PUT")
			http.Error(w, "this takes POST", http.StatusMethodNotAllowed)
		case a.flags.lifecycle:
			load.ServeHTTP(w, r)
		case g.cfg.Webhook.CredentialsFile == "" && !g.certificates:
			http.Error(w, "to reload like this, set webhook.credentials_file and send its token, or start with --web.enable-lifecycle; SIGHUP always does it",
				http.StatusForbidden)
		default:
			authorized.ServeHTTP(w, r)
		}
	})
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
	if cfg.Remediation.Mode != remediation.ModeEnforce {
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

// newLoggers returns the logger of the whole program, and the same for
// libraries that want slog. The bridge gets the logger without time and
// caller, which it adds itself, and with slog's own level out of the way; what
// it calls time is called ts here.
func newLoggers(f flags, w io.Writer) (log.Logger, *slog.Logger) {
	base := log.NewLogfmtLogger(log.NewSyncWriter(w))
	if f.logFormat == "json" {
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	}
	filtered := level.NewFilter(base, level.Allow(level.ParseDefault(f.logLevel, level.InfoValue())))
	return log.With(filtered, "ts", log.DefaultTimestampUTC, "caller", log.DefaultCaller),
		slog.New(sloggokit.NewGoKitHandler(timeAsTS(filtered), slog.LevelDebug))
}

func timeAsTS(next log.Logger) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		for i := 0; i < len(keyvals); i += 2 {
			if keyvals[i] == "time" {
				keyvals[i] = "ts"
			}
		}
		return next.Log(keyvals...)
	})
}
