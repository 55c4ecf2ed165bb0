package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// Person is who makes a request. The zero Person is nobody.
type Person struct {
	Name     string
	Operator bool // may act by hand
}

// People tells which person makes a request, and whether that is an operator.
type People struct {
	config  Config
	proxies []netip.Prefix
	basic   basicAuth
	logger  log.Logger

	untrusted, repeated sync.Once // each is logged once
}

// NewPeople takes a valid Config. The file is the toolkit's configuration of the
// listener; empty: the listener asks nobody for a password.
func NewPeople(cfg Config, webConfigFile string, logger log.Logger) *People {
	p := &People{config: cfg, basic: basicAuth{file: webConfigFile}, logger: logger}
	for _, text := range cfg.TrustedProxies {
		if network, err := parseNetwork(text); err == nil {
			p.proxies = append(p.proxies, network)
		}
	}
	return p
}

// Person tells who makes the request. A name is, in this order: the header, from
// a trusted proxy; the user of basic auth; the common name of a verified client
// certificate. What cannot be a name makes the request nobody's.
func (p *People) Person(r *http.Request) Person {
	name := p.name(r)
	if !isName(name) {
		return Person{}
	}
	return Person{
		Name:     name,
		Operator: slices.Contains(p.config.Operators, name) || slices.Contains(p.config.Operators, everybody),
	}
}

// By returns the name of the operator who makes the request, or nothing.
func (p *People) By(r *http.Request) string {
	if person := p.Person(r); person.Operator {
		return person.Name
	}
	return ""
}

func (p *People) name(r *http.Request) string {
	proxied := p.trusts(r.RemoteAddr)
	if name := p.header(r, proxied); name != "" {
		return name
	}
	if user := p.basic.user(r); user != "" {
		return user
	}
	if proxied {
		return "" // a certificate on this connection is the proxy's, not the person's
	}
	return commonName(r)
}

// header returns the value of the header from a trusted proxy. A second value may
// be what the proxy's client has sent, so then no value is believed.
func (p *People) header(r *http.Request, proxied bool) string {
	if p.config.UserHeader == "" {
		return ""
	}
	values := r.Header.Values(p.config.UserHeader)
	switch {
	case len(values) == 0:
		return ""
	case !proxied:
		p.untrusted.Do(func() { p.ignored(r, "it does not come from one of people.trusted_proxies") })
		return ""
	case len(values) > 1:
		p.repeated.Do(func() { p.ignored(r, "it is there more than once; the proxy must replace what its client sends") })
		return ""
	}
	return strings.TrimSpace(values[0])
}

func (p *People) ignored(r *http.Request, why string) {
	level.Warn(p.logger).Log("msg", "Ignored the header with a person's name; this is logged once",
		"header", p.config.UserHeader, "remote", r.RemoteAddr, "why", why)
}

// trusts reports whether the address is that of a trusted proxy. That of a unix
// socket is no address, and one with a zone is in no network.
func (p *People) trusts(remote string) bool {
	address, err := netip.ParseAddrPort(remote)
	return err == nil && slices.ContainsFunc(p.proxies, func(network netip.Prefix) bool {
		return network.Contains(address.Addr().Unmap())
	})
}

// commonName returns that of a client certificate that the listener has verified.
func commonName(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.CommonName
}

// maxName bounds a name, in bytes. The ledger keeps it whole.
const maxName = 256

func isName(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, unicode.IsControl)
}
