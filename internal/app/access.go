package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// access is what the listeners demand. Without webhook.listen_address they are
// one and the same.
type access struct{ main, webhook listener }

// listener is what one listener demands of its clients.
type listener struct {
	tls                bool
	clientCertificates bool // nobody gets in without one
	basicAuth          bool
	names              bool // people can prove a name: by basic auth, or by a certificate
}

func (l listener) scheme() string {
	if l.tls {
		return "https"
	}
	return "http"
}

// checkAccess reads what the listeners demand. It refuses to enforce where
// everybody could give orders.
func checkAccess(cfg *config.Config, o Options) (access, error) {
	main, err := readListener(*o.Web.WebConfigFile)
	if err != nil {
		return access{}, fmt.Errorf("--web.config.file: %w", err)
	}
	demands := access{main: main, webhook: main}
	source, remedy := "--web.config.file", "give the webhook a listener of its own with webhook.listen_address"
	if cfg.Webhook.ListenAddress != "" {
		source, remedy = "webhook.web_config_file", "remove them"
		if demands.webhook, err = readListener(cfg.Webhook.WebConfigFile); err != nil {
			return access{}, config.At(o.ConfigFile, source, err)
		}
	}
	if cfg.Remediation.Mode != remediation.ModeEnforce {
		return demands, nil
	}
	switch token := cfg.Webhook.CredentialsFile; {
	case token == "" && demands.webhook.clientCertificates && cfg.Webhook.ListenAddress == "" && len(cfg.People.Operators) > 0:
		return access{}, config.At(o.ConfigFile, "people.operators", errors.New(
			"the certificate of a person would let in the webhook's messages: set webhook.credentials_file or webhook.listen_address"))
	case token == "" && demands.webhook.clientCertificates:
	case token == "":
		return access{}, config.At(o.ConfigFile, "remediation.mode", fmt.Errorf(
			"to enforce, and everybody could order a signal: set webhook.credentials_file (or ask for client certificates in %s)", source))
	case demands.webhook.basicAuth:
		return access{}, config.At(o.ConfigFile, "webhook.credentials_file", fmt.Errorf(
			"basic_auth_users of %s ask for the header that this token needs; %s", source, remedy))
	default:
		if _, err := auth.ReadToken(token); err != nil {
			return access{}, config.At(o.ConfigFile, "webhook.credentials_file", err)
		}
	}
	return demands, nil
}

// readListener reads the toolkit's configuration file of a listener. No file
// demands nothing.
func readListener(path string) (listener, error) {
	if path == "" {
		return listener{}, nil
	}
	if err := web.Validate(path); err != nil {
		return listener{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return listener{}, err
	}
	var cfg web.Config
	if err := yaml.Unmarshal(text, &cfg); err != nil {
		return listener{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	required := cfg.TLSConfig.ClientAuth == "RequireAndVerifyClientCert"
	return listener{
		tls:                cfg.TLSConfig.IsEnabled(),
		clientCertificates: required,
		basicAuth:          len(cfg.Users) > 0,
		names:              len(cfg.Users) > 0 || required || cfg.TLSConfig.ClientAuth == "VerifyClientCertIfGiven",
	}, nil
}

// Check loads a configuration and says whether Run would take it.
func Check(o Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	if _, err := checkAccess(cfg, o); err != nil {
		return nil, err
	}
	if err := checkLedger(cfg, o.ConfigFile); err != nil {
		return nil, err
	}
	files := cfg.ReadServersFiles(nil)
	return cfg.With(files), files.Err()
}
