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
		if _, err := auth.ReadToken(token); err != nil {
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

// Check loads a configuration and says whether Run would take it.
func Check(o Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	_, err = checkAuth(cfg, o.ConfigFile, *o.Web.WebConfigFile)
	return cfg, err
}
