package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

// Config is the part of "people" that says who may act by hand.
type Config struct {
	// Operators are the names of those who may; "*" is everybody who has a name.
	Operators []string `yaml:"operators"`
	// UserHeader is a header with the person's name. It is believed only from the
	// TrustedProxies: addresses, or networks like 10.1.0.0/16.
	UserHeader     string   `yaml:"user_header"`
	TrustedProxies []string `yaml:"trusted_proxies"`
}

// everybody among the operators is everybody who has a name.
const everybody = "*"

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// notNames are headers that hold secrets. A name is written into the log and into
// the ledger.
var notNames = []string{"authorization", "proxy-authorization", "cookie"}

// Validate returns a *field.Error for the first value that is not allowed.
func (c Config) Validate() error {
	for i, operator := range c.Operators {
		path := fmt.Sprintf("operators.%d", i)
		switch {
		case !isName(operator):
			return field.Errorf(path, "%q is no name: it is empty, longer than %d bytes, or has control characters", operator, maxName)
		case slices.Contains(c.Operators[:i], operator):
			return field.Errorf(path, "%q is there twice", operator)
		}
	}
	switch {
	case c.UserHeader != "" && !headerName.MatchString(c.UserHeader):
		return field.Errorf("user_header", "%q is not the name of a header like X-Forwarded-User", c.UserHeader)
	case slices.Contains(notNames, strings.ToLower(c.UserHeader)):
		return field.Errorf("user_header", "%s holds a secret, not a name", c.UserHeader)
	}
	for i, proxy := range c.TrustedProxies {
		if _, err := parseNetwork(proxy); err != nil {
			return field.Under(fmt.Sprintf("trusted_proxies.%d", i), err)
		}
	}
	switch {
	case c.UserHeader != "" && len(c.TrustedProxies) == 0:
		return field.Errorf("user_header", "everybody could send this header; set people.trusted_proxies to the addresses that it is believed from")
	case c.UserHeader == "" && len(c.TrustedProxies) > 0:
		return field.Errorf("trusted_proxies", "it is not known which header of theirs has the name; set people.user_header")
	}
	return nil
}

// parseNetwork reads an address or a network. An IPv4 address may be written as
// IPv6 has it.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network like 10.1.0.0/16", text)
	case network.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s: write it as a network of IPv4", text)
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%s is an address with a mask; write the address alone, or the network %s", text, network.Masked())
	case network.Bits() == 0:
		return netip.Prefix{}, errors.New("this is every address, so everybody could choose a name")
	}
	return network, nil
}
