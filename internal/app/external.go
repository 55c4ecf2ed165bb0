package app

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// ParseExternalURL reads --web.external-url. Its path has no slash at the end.
func ParseExternalURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%q is not a URL like https://pgbailiff.example/path", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q has more than a host and a path", u.Redacted())
	case u.EscapedPath() != u.Path:
		return nil, fmt.Errorf("%q has a path with characters that must be escaped", text)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.Host = originHost(u)
	return u, nil
}

// originHost is the host as a browser writes it in an origin: in small letters, and
// without the port that the scheme has anyway.
func originHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port, known := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; known {
		host = strings.TrimSuffix(host, port)
	}
	return host
}

// externalURL is how people reach this program. Without the flag it is the name
// of the host and the port of the first listener.
func externalURL(o Options, main listener) *url.URL {
	if o.ExternalURL != nil {
		return o.ExternalURL
	}
	name := hostName()
	u := &url.URL{Scheme: main.scheme(), Host: name}
	if addresses := o.Web.WebListenAddresses; addresses != nil && len(*addresses) > 0 {
		if _, port, err := net.SplitHostPort((*addresses)[0]); err == nil && port != "" {
			u.Host = net.JoinHostPort(name, port)
		}
	}
	u.Host = originHost(u)
	return u
}

// under serves everything at the path of the external URL as well: a proxy may
// pass the path on, or take it away.
func under(path string, next http.Handler) http.Handler {
	if path == "" {
		return next
	}
	stripped := http.StripPrefix(path, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == path:
			http.Redirect(w, r, path+"/", http.StatusMovedPermanently)
		case strings.HasPrefix(r.URL.Path, path+"/"):
			stripped.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
