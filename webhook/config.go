// Package webhook turns a message of Alertmanager into remediation requests, one
// for each firing alert, and their results into the answer.
package webhook

// Config is "webhook" of the configuration.
type Config struct {
	// CredentialsFile holds the bearer token; it is read at each request.
	CredentialsFile string `yaml:"credentials_file"`
	// ListenAddress gives the webhook a listener of its own.
	ListenAddress string `yaml:"listen_address"`
}
