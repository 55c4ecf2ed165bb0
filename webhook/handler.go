package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// maxConcurrent bounds how many alerts of one message and server are dealt with
// at the same time. No real message holds more. They share one connection, so
// this bounds memory, not the load of the server.
const maxConcurrent = 4096

// Remediator carries out the requests.
type Remediator interface {
	// Resolve returns the configured name of a server; false: there is none.
	Resolve(server string) (string, bool)
	Remediate(ctx context.Context, req remediation.Request) remediation.Result
}

// Handler serves POST /webhook under one generation of the configuration. It
// does not check the method, which the pattern of the route does.
type Handler struct {
	remediator Remediator
	auth       auth.Authenticator
	metrics    *Metrics
	logger     log.Logger
}

// New makes a handler.
func New(r Remediator, a auth.Authenticator, m *Metrics, logger log.Logger) *Handler {
	return &Handler{remediator: r, auth: a, metrics: m, logger: logger}
}

// ServeHTTP takes a message of Alertmanager. It answers 200 when every firing
// alert has a final decision, and 503 when a repeat can help.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, denial := h.auth.Check(r); denial != nil {
		denial.Write(w, r, h.logger)
		return
	}
	m, denial := decode(w, r)
	if denial != nil {
		denial.Write(w, r, h.logger)
		return
	}
	requests := h.requests(m, time.Now())
	// The work goes on when the client hangs up.
	results := h.remediateAll(context.WithoutCancel(r.Context()), requests)
	status, body := answerOf(requests, results)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		level.Debug(h.logger).Log("msg", "Sending the answer failed", "err", err)
	}
}

// requests makes a request of every firing alert, in the order of the message.
// The status of each alert counts, never the group's.
func (h *Handler) requests(m *message, received time.Time) []remediation.Request {
	if m.TruncatedAlerts > 0 {
		h.metrics.truncated.Add(float64(m.TruncatedAlerts))
		level.Warn(h.logger).Log("msg", "Alertmanager left alerts out of its message; they are lost",
			"truncated", m.TruncatedAlerts, "hint", "set max_alerts to 0")
	}
	var requests []remediation.Request
	for _, alert := range m.Alerts {
		status := "resolved"
		if alert.Status == "firing" {
			status = alert.Status
			requests = append(requests, newRequest(alert, received))
		}
		h.metrics.alerts.WithLabelValues(status).Inc()
	}
	return requests
}

// remediateAll carries out the requests of each server beside those of the
// others, so that none waits for a server that is not its own. The results are in
// the order of the requests.
func (h *Handler) remediateAll(ctx context.Context, requests []remediation.Request) []remediation.Result {
	ofServer := map[string][]int{} // "": of none that is configured
	for i, request := range requests {
		server, known := h.remediator.Resolve(request.Fence.Server)
		if !known {
			server = ""
		}
		ofServer[server] = append(ofServer[server], i)
	}
	results := make([]remediation.Result, len(requests))
	var all sync.WaitGroup
	for _, mine := range ofServer {
		var next atomic.Int64
		for range min(len(mine), maxConcurrent) {
			all.Go(func() {
				for n := next.Add(1); n <= int64(len(mine)); n = next.Add(1) {
					i := mine[n-1]
					results[i] = h.remediator.Remediate(ctx, requests[i])
				}
			})
		}
	}
	all.Wait()
	return results
}
