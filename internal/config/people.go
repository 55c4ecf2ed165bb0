package config

import (
	"net/url"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

// People is "people": who may act by hand, and what the page leads them to.
type People struct {
	auth.Config `yaml:",inline"`
	// AlertmanagerURL is where a person silences alerts about a session.
	AlertmanagerURL string `yaml:"alertmanager_url"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (p People) Validate() error {
	if err := p.Config.Validate(); err != nil {
		return err
	}
	if p.AlertmanagerURL == "" {
		return nil
	}
	u, err := url.Parse(p.AlertmanagerURL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return field.Errorf("alertmanager_url", "this is not a URL like https://alertmanager.example:9093")
	case u.User != nil:
		return field.Errorf("alertmanager_url", "everybody who opens the page can read this; leave out the user and the password")
	case u.RawQuery != "" || u.Fragment != "":
		return field.Errorf("alertmanager_url", "this is Alertmanager's own address; leave out what follows ? and #")
	}
	return nil
}
