package app

import (
	"net/url"

	"github.com/prometheus/exporter-toolkit/web"
)

// Options are what the command line says about serving.
type Options struct {
	ConfigFile string // none: one server from the libpq environment, in dry run
	LogLevel   string
	LogFormat  string          // logfmt or json
	Lifecycle  bool            // reload without the webhook's token
	Web        *web.FlagConfig // listeners and the toolkit's configuration file
	// ExternalURL is how people reach this program; nil: by the host's name and
	// the port of the first listener.
	ExternalURL *url.URL
}
