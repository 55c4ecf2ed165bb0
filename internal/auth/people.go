package auth

import (
	"net/http"
	"net/netip"
)

// People tells which person makes a request.
type People struct {
	// Operators are the names of those who may act by hand; "*" is everybody who
	// has a name.
	Operators []string
	// UserHeader is a header with the person's name. It is believed only if the
	// request comes from one of the TrustedProxies.
	UserHeader     string
	TrustedProxies []netip.Prefix
	// WebConfigFile is the toolkit's configuration of the listener; it is read at
	// each request, to know whether the listener has checked the user of basic auth.
	WebConfigFile string
}

// Person is who makes a request. The zero Person is nobody.
type Person struct {
	Name     string
	Operator bool // may act by hand
}

// Person tells who makes the request. A name is, in this order: the header, from
// a trusted proxy; the user of basic auth; the common name of a verified client
// certificate.
func (p People) Person(r *http.Request) Person { return Person{} }
