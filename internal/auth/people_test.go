package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// behindProxies believes X-Forwarded-User of a proxy and of a network.
func behindProxies(operators ...string) auth.Config {
	return auth.Config{
		Operators: operators, UserHeader: "X-Forwarded-User",
		TrustedProxies: []string{"10.0.0.1", "192.168.1.0/24", "fd00::/8", "::ffff:172.16.0.9"},
	}
}

const user = "X-Forwarded-User"

func TestTheHeaderIsBelievedFromATrustedProxyOnly(t *testing.T) {
	long := strings.Repeat("a", 256)
	for name, tc := range map[string]struct {
		remote  string
		headers []string // name, value, ...
		want    string
	}{
		"a trusted address":                {"10.0.0.1:4711", []string{user, "ann"}, "ann"},
		"another address":                  {"10.0.0.2:4711", []string{user, "ann"}, ""},
		"a trusted network":                {"192.168.1.250:1", []string{user, "ann"}, "ann"},
		"beside the network":               {"192.168.2.1:1", []string{user, "ann"}, ""},
		"a trusted network of IPv6":        {"[fd00::1]:1", []string{user, "ann"}, "ann"},
		"another address of IPv6":          {"[fe80::1]:1", []string{user, "ann"}, ""},
		"an address with a zone":           {"[fd00::1%eth0]:1", []string{user, "ann"}, ""},
		"IPv4 on a socket of IPv6":         {"[::ffff:10.0.0.1]:1", []string{user, "ann"}, "ann"},
		"another IPv4 on a socket of IPv6": {"[::ffff:10.0.0.2]:1", []string{user, "ann"}, ""},
		"configured as IPv4 in IPv6":       {"172.16.0.9:1", []string{user, "ann"}, "ann"},
		"a unix socket":                    {"@", []string{user, "ann"}, ""},
		"no address at all":                {"", []string{user, "ann"}, ""},
		"an address without a port":        {"10.0.0.1", []string{user, "ann"}, ""},
		"vsock":                            {"host(2):1024", []string{user, "ann"}, ""},

		"whose client says where it comes from": {"10.0.0.2:1", []string{user, "ann", "X-Forwarded-For", "10.0.0.1", "Forwarded", "for=10.0.0.1"}, ""},
		"another header":                        {"10.0.0.1:1", []string{"X-User", "ann"}, ""},
		"no header":                             {"10.0.0.1:1", nil, ""},
		"an empty header":                       {"10.0.0.1:1", []string{user, ""}, ""},
		"a blank header":                        {"10.0.0.1:1", []string{user, " \t "}, ""},
		"twice":                                 {"10.0.0.1:1", []string{user, "ann", user, "ben"}, ""},
		"twice the same":                        {"10.0.0.1:1", []string{user, "ann", user, "ann"}, ""},
		"once, and once empty":                  {"10.0.0.1:1", []string{user, "", user, "ann"}, ""},
		"in other letters":                      {"10.0.0.1:1", []string{"x-forwarded-user", "ann"}, "ann"},

		"a name with spaces":          {"10.0.0.1:1", []string{user, " Ann Ü. <ann@orders.example> "}, "Ann Ü. <ann@orders.example>"},
		"the longest name":            {"10.0.0.1:1", []string{user, long}, long},
		"a name that is too long":     {"10.0.0.1:1", []string{user, long + "a"}, ""},
		"a control character":         {"10.0.0.1:1", []string{user, "ann\x1b[2J"}, ""},
		"a control character, C1":     {"10.0.0.1:1", []string{user, "ann\u0085ben"}, ""},
		"a line break":                {"10.0.0.1:1", []string{user, "ann\nben"}, ""},
		"a name that is not UTF-8":    {"10.0.0.1:1", []string{user, "ann\xff"}, ""},
		"a tab":                       {"10.0.0.1:1", []string{user, "ann\tben"}, ""},
		"the name of everybody":       {"10.0.0.1:1", []string{user, "*"}, "*"},
		"the token":                   {"10.0.0.1:1", []string{"Authorization", "Bearer ann"}, ""},
		"basic auth that is not used": {"10.0.0.1:1", []string{"Authorization", "Basic YW5uOmFubg=="}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/actions", nil)
			r.RemoteAddr = tc.remote
			for i := 0; i < len(tc.headers); i += 2 {
				r.Header.Add(tc.headers[i], tc.headers[i+1])
			}
			people := auth.NewPeople(behindProxies("ann"), "", log.NewNopLogger())
			want := auth.Person{Name: tc.want, Operator: tc.want == "ann"}
			if got := people.Person(r); got != want {
				t.Errorf("the person is %+v, want %+v", got, want)
			}
		})
	}
}

func TestOperatorsAreNamedExactly(t *testing.T) {
	for name, tc := range map[string]struct {
		operators []string
		name      string
		want      bool
	}{
		"named":             {[]string{"ben", "ann"}, "ann", true},
		"not named":         {[]string{"ben", "ann"}, "eve", false},
		"in other letters":  {[]string{"ann"}, "Ann", false},
		"a part of a name":  {[]string{"ann@orders.example"}, "ann", false},
		"no operators":      {nil, "ann", false},
		"everybody":         {[]string{"*"}, "eve", true},
		"everybody, nobody": {[]string{"*"}, "", false},
		"nobody":            {[]string{"ann"}, "", false},
		"a person called *": {[]string{"ann"}, "*", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/resume", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set(user, tc.name)
			people := auth.NewPeople(behindProxies(tc.operators...), "", log.NewNopLogger())
			by := ""
			if tc.want {
				by = tc.name
			}
			if got := people.Person(r); got.Operator != tc.want || people.By(r) != by {
				t.Errorf("the person is %+v, done by %q", got, people.By(r))
			}
		})
	}
}

func TestAHeaderThatIsIgnoredIsLoggedOnce(t *testing.T) {
	for name, remote := range map[string]string{"does not come from": "10.0.0.2:1", "more than once": "10.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			people := auth.NewPeople(behindProxies(), "", log.NewLogfmtLogger(&out))
			for range 3 {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.RemoteAddr = remote
				r.Header.Add(user, "ann")
				r.Header.Add(user, "ben")
				people.Person(r)
			}
			if said := out.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, name) || strings.Contains(said, "ben") {
				t.Errorf("the log says %q", said)
			}
		})
	}
}

// Of a request without the header nothing is logged, wherever it comes from.
func TestAMissingHeaderIsNoNews(t *testing.T) {
	var out strings.Builder
	people := auth.NewPeople(behindProxies(), "", log.NewLogfmtLogger(&out))
	for _, remote := range []string{"10.0.0.1:1", "10.0.0.2:1"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		people.Person(r)
	}
	if out.String() != "" {
		t.Errorf("the log says %q", &out)
	}
}

// A proxy may have a client certificate of its own, which names the proxy and not
// the person who asks it.
func TestTheCertificateOfAProxyIsNotAPersons(t *testing.T) {
	of := func(name string) *tls.ConnectionState {
		leaf := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
		return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, {Subject: pkix.Name{CommonName: "the authority"}}}}}
	}
	for name, tc := range map[string]struct {
		remote, header string
		tls            *tls.ConnectionState
		want           string
	}{
		"a person's":                    {"10.9.9.9:1", "", of("ann"), "ann"},
		"a person's, forging a header":  {"10.9.9.9:1", "ben", of("ann"), "ann"},
		"the proxy's, for ann":          {"10.0.0.1:1", "ann", of("proxy"), "ann"},
		"the proxy's, for nobody":       {"10.0.0.1:1", "", of("proxy"), ""},
		"the proxy's, for a wrong name": {"10.0.0.1:1", "ann\x00", of("proxy"), ""},
		"without a common name":         {"10.9.9.9:1", "", of(""), ""},
		"with a wrong common name":      {"10.9.9.9:1", "", of("ann\r\n"), ""},
		"that was not verified":         {"10.9.9.9:1", "", &tls.ConnectionState{PeerCertificates: of("ann").VerifiedChains[0]}, ""},
		"of nobody":                     {"10.9.9.9:1", "", &tls.ConnectionState{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/actions", nil)
			r.RemoteAddr, r.TLS = tc.remote, tc.tls
			if tc.header != "" {
				r.Header.Set(user, tc.header)
			}
			if got := auth.NewPeople(behindProxies(), "", log.NewNopLogger()).Person(r); got.Name != tc.want {
				t.Errorf("the person is %q, want %q", got.Name, tc.want)
			}
		})
	}
}
