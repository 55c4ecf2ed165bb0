// Package webhook turns a message of Alertmanager into remediation requests, one
// for each firing alert, and their results into the answer.
package webhook

import "github.com/pgbailiff/pgbailiff/internal/config/field"

// Config is "webhook" of the configuration.
type Config struct {
	// CredentialsFile holds the bearer token; it is read at each request.
	CredentialsFile string `yaml:"credentials_file"`
	// ListenAddress gives the webhook a listener of its own.
	ListenAddress string `yaml:"listen_address"`
	// WebConfigFile is for that listener: TLS and more, in the format of
	// exporter-toolkit. Without one it is plain HTTP.
	WebConfigFile string `yaml:"web_config_file"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (c Config) Validate() error {
	if c.WebConfigFile != "" && c.ListenAddress == "" {
		return field.Errorf("web_config_file", "this is for the webhook's own listener; set webhook.listen_address too")
	}
	return nil
}
