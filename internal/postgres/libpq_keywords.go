package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
)

// keyword is how a keyword of libpq's connection strings is treated that pgx does
// not know. pgx would send it to the server as a setting, and the server would
// refuse the connection.
type keyword struct {
	// env is libpq's environment variable for it, if pgx does not read that.
	env string
	// refuse says why it cannot be honoured, unless its value is one of
	// harmless. A keyword with neither refuse nor honour does not matter here and
	// is dropped.
	refuse   string
	harmless []string
	// honour applies its value.
	honour func(*destination, string) error
}

// keywords are all that pgx does not know. The refused ones cannot be dropped: the
// connection would be less safe than its author expects, or another one.
var keywords = map[string]keyword{
	// pgbailiff sets these itself.
	"application_name":          {},
	"fallback_application_name": {},
	"client_encoding":           {env: "PGCLIENTENCODING"},
	"keepalives":                {},
	"keepalives_idle":           {},
	"keepalives_interval":       {},
	"keepalives_count":          {},
	"tcp_user_timeout":          {},
	// pgbailiff reads times in a form that does not depend on it.
	"timezone": {},
	// These have no effect in libpq either, or on Windows only.
	"sslcompression": {env: "PGSSLCOMPRESSION"},
	"gsslib":         {env: "PGGSSLIB"},

	"hostaddr":                 {env: "PGHOSTADDR", honour: (*destination).setAddresses},
	"load_balance_hosts":       {env: "PGLOADBALANCEHOSTS", honour: (*destination).setOrder},
	"ssl_min_protocol_version": {env: "PGSSLMINPROTOCOLVERSION", honour: (*destination).setMinTLS},
	"ssl_max_protocol_version": {env: "PGSSLMAXPROTOCOLVERSION", honour: (*destination).setMaxTLS},
	"options":                  {honour: (*destination).setOptions},

	"gssencmode": {
		env: "PGGSSENCMODE", harmless: []string{"disable", "prefer"},
		refuse: "encryption by GSSAPI is not supported; use sslmode",
	},
	"gssdelegation": {
		env: "PGGSSDELEGATION", harmless: []string{"0"},
		refuse: "GSSAPI is not supported",
	},
	"replication": {
		harmless: []string{"false", "off", "no", "0"},
		refuse:   "pgbailiff needs an ordinary connection",
	},
	"requirepeer":         {env: "PGREQUIREPEER", refuse: "the server's user cannot be checked; use TCP with sslmode=verify-full"},
	"sslcrl":              {env: "PGSSLCRL", refuse: "lists of revoked certificates cannot be checked"},
	"sslcrldir":           {env: "PGSSLCRLDIR", refuse: "lists of revoked certificates cannot be checked"},
	"sslkeylogfile":       {refuse: "the keys of connections are never written down"},
	"scram_client_key":    {refuse: "keys for SCRAM are not supported; use password_file"},
	"scram_server_key":    {refuse: "keys for SCRAM are not supported; use password_file"},
	"oauth_issuer":        {refuse: "OAuth is not supported"},
	"oauth_client_id":     {refuse: "OAuth is not supported"},
	"oauth_client_secret": {refuse: "OAuth is not supported"},
	"oauth_scope":         {refuse: "OAuth is not supported"},
}

// applyKeywords takes the keywords out of what pgx would send to the server as
// settings, and applies them. An error never repeats a name that is not in the
// table: in a broken connection string it may be a piece of a password.
func (t *destination) applyKeywords() error {
	given := maps.Clone(t.RuntimeParams)
	clear(t.RuntimeParams)
	for name, k := range keywords {
		if _, written := given[name]; !written && k.env != "" {
			given[name] = os.Getenv(k.env)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		k, known := keywords[name]
		value := given[name]
		switch {
		case !known:
			return errors.New("a keyword is not one of libpq's; a setting of the server is written as options=-c name=value")
		case value == "" || slices.Contains(k.harmless, value):
		case k.refuse != "":
			return fmt.Errorf("%s: %s", name, k.refuse)
		case k.honour != nil:
			if err := k.honour(t, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// setAddresses pairs each host with the address to use instead of looking the
// host up. The host stays the name in the server's certificate.
func (t *destination) setAddresses(list string) error {
	addresses := strings.Split(list, ",")
	hosts := t.hosts()
	if len(addresses) != len(hosts) {
		return errors.New("it needs as many addresses as there are hosts")
	}
	t.addresses = map[string]string{}
	for i, address := range addresses {
		if address == "" {
			continue
		}
		host := hosts[i][0].Host
		if strings.HasPrefix(host, "/") {
			return errors.New("it needs the name of a host for each address; without one, write the address as host")
		}
		if net.ParseIP(address) == nil {
			return errors.New("it is not a numeric address")
		}
		if other, twice := t.addresses[host]; twice && other != address {
			return errors.New("one host has two addresses")
		}
		t.addresses[host] = address
	}
	return nil
}

func (t *destination) setOrder(value string) error {
	switch value {
	case "disable":
	case "random":
		t.random = true
	default:
		return errors.New("it is disable or random")
	}
	return nil
}

func (t *destination) setOptions(value string) error {
	t.RuntimeParams["options"] = value
	return nil
}

func (t *destination) setMinTLS(value string) error {
	return t.eachTLS(value, func(c *tls.Config, version uint16) { c.MinVersion = version })
}

func (t *destination) setMaxTLS(value string) error {
	return t.eachTLS(value, func(c *tls.Config, version uint16) { c.MaxVersion = version })
}

func (t *destination) eachTLS(value string, set func(*tls.Config, uint16)) error {
	versions := map[string]uint16{
		"tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13,
	}
	version, ok := versions[strings.ToLower(value)]
	if !ok {
		return errors.New("it is TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3")
	}
	for _, tries := range t.hosts() {
		for _, try := range tries {
			if try.TLSConfig != nil {
				set(try.TLSConfig, version)
			}
		}
	}
	return nil
}
