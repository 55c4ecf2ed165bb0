package cli

import (
	"github.com/pgbailiff/pgbailiff/internal/app"
)

// externalURL is the flag --web.external-url. Empty: the default.
type externalURL struct{ options *app.Options }

func (e externalURL) String() string {
	if e.options.ExternalURL == nil {
		return ""
	}
	return e.options.ExternalURL.String()
}

// Set reads what somebody has written.
func (e externalURL) Set(text string) (err error) {
	e.options.ExternalURL = nil
	if text != "" {
		e.options.ExternalURL, err = app.ParseExternalURL(text)
	}
	return err
}
