package api

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// targetGroup is one server, in the form of Prometheus's HTTP service discovery.
type targetGroup struct {
	Targets [1]string    `json:"targets"`
	Labels  targetLabels `json:"labels"`
}

// targetLabels make Prometheus ask for /probe?server=NAME.
type targetLabels struct {
	Path   string `json:"__metrics_path__"`
	Scheme string `json:"__scheme__,omitempty"` // empty: http, or what the scrape configuration says
	Param  string `json:"__param_server"`
	Server string `json:"server"`
}

// Targets serves GET /api/v1/targets: for each server where a Prometheus finds its
// series. That is at the external URL, whose path has no slash at the end; where it
// is nil, at the address that the request was sent to. Names is sorted.
func Targets(names []string, external *url.URL, logger log.Logger) http.Handler {
	var last atomic.Pointer[targetsBody] // nearly all requests come from one Prometheus
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := address(external, r)
		if at.host == "" {
			denial := auth.Denial{
				Status: http.StatusBadRequest, Answer: "the request says no Host; start with --web.external-url",
			}
			denial.Write(w, r, logger)
			return
		}
		body := last.Load()
		if body == nil || body.at != at {
			body = newTargetsBody(names, at)
			last.Store(body)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(body.text); err != nil {
			level.Debug(logger).Log("msg", "Sending the answer failed", "err", err)
		}
	})
}

// targetsAt is where the targets are.
type targetsAt struct{ scheme, host, path string }

// targetsBody is the answer for one address.
type targetsBody struct {
	at   targetsAt
	text []byte
}

func newTargetsBody(names []string, at targetsAt) *targetsBody {
	groups := make([]targetGroup, len(names))
	for i, name := range names {
		groups[i] = targetGroup{
			Targets: [1]string{at.host},
			Labels:  targetLabels{Path: at.path, Scheme: at.scheme, Param: name, Server: name},
		}
	}
	text, _ := json.Marshal(groups) // strings always can be
	return &targetsBody{at, append(text, '\n')}
}

// address is where Prometheus reaches us. Where the scheme is known, it has a port,
// which not every version adds.
func address(external *url.URL, r *http.Request) targetsAt {
	at, port := targetsAt{host: r.Host, path: "/probe"}, ""
	switch {
	case external != nil && external.Scheme == "http":
		at, port = targetsAt{"", external.Host, external.Path + "/probe"}, "80"
	case external != nil:
		at, port = targetsAt{"https", external.Host, external.Path + "/probe"}, "443"
	case r.TLS != nil:
		at.scheme, port = "https", "443"
	}
	if u := (url.URL{Host: at.host}); at.host != "" && u.Port() == "" && port != "" {
		at.host = net.JoinHostPort(u.Hostname(), port)
	}
	return at
}
