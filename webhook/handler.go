package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// maxConcurrent bounds how many alerts of one message and server are dealt with
// at the same time: more than a message holds that was not made up. They share
// one connection, so this bounds memory, not the server.
const maxConcurrent = 4096

// Handler serves the webhook and the endpoints that need its token. Apply must
// have been called once before the first request.
type Handler struct {
	logger  log.Logger
	ledger  *ledger.Ledger
	metrics *metrics

	applying sync.Mutex // one Apply at a time
	settings atomic.Pointer[Settings]
	busy     keyedLocks
	running  sync.WaitGroup
}

// New makes a handler and registers its metrics.
func New(logger log.Logger, reg prometheus.Registerer, l *ledger.Ledger) *Handler {
	return &Handler{logger: logger, ledger: l, metrics: newMetrics(reg)}
}

// Apply swaps the settings. Alerts that are being dealt with keep the ones
// that they began with, but that they send nothing more when the new mode does
// not enforce.
func (h *Handler) Apply(s *Settings) {
	h.applying.Lock()
	defer h.applying.Unlock()
	h.settings.Store(s)
	h.metrics.apply(s)
	for server := range s.Servers {
		h.showSuspension(server)
	}
}

// Wait returns when no alert is being dealt with, or the context ends.
func (h *Handler) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ServeHTTP takes a message of Alertmanager. It answers 200 when every firing
// alert has a final decision, and 503 when a repeat can help.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Done()
	status := h.serve(w, r)
	h.metrics.requests.WithLabelValues(strconv.Itoa(status)).Inc()
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) int {
	set := h.settings.Load()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return h.deny(w, r, &denial{status: http.StatusMethodNotAllowed, answer: "the webhook takes POST"})
	}
	if d := set.authorize(r, true); d != nil {
		return h.deny(w, r, d)
	}
	if !isJSON(r) {
		return h.deny(w, r, &denial{
			status: http.StatusUnsupportedMediaType, answer: "the webhook takes Content-Type: application/json",
		})
	}
	m, status, err := decode(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return h.deny(w, r, &denial{status: status, answer: err.Error()})
	}
	// The work goes on when the client hangs up.
	results, retry := h.takeMessage(context.WithoutCancel(r.Context()), set, m)
	status = http.StatusOK
	if retry {
		status = http.StatusServiceUnavailable
	}
	h.writeJSON(w, status, answer{Results: results})
	return status
}

// takeMessage deals with every firing alert, side by side, and returns the
// results in the order of the message.
func (h *Handler) takeMessage(ctx context.Context, set *Settings, m *message) (_ []Result, retry bool) {
	if m.TruncatedAlerts > 0 {
		h.metrics.truncated.Add(float64(m.TruncatedAlerts))
		level.Warn(h.logger).Log("msg", "Alertmanager left alerts out of its message; they are lost. Set max_alerts to 0",
			"truncated", m.TruncatedAlerts)
	}
	received := time.Now()
	var orders []*order
	for _, alert := range m.Alerts {
		status := "resolved"
		if alert.Status == "firing" {
			status = alert.Status
			orders = append(orders, newOrder(h, set, alert, received))
		}
		h.metrics.alerts.WithLabelValues(status).Inc()
	}
	return dealWith(ctx, orders)
}

// dealWith runs the orders of each server beside those of the others, so that
// none waits for a server that is not its own.
func dealWith(ctx context.Context, orders []*order) (_ []Result, retry bool) {
	ofServer := map[string][]int{} // "": of none that we know
	for i, o := range orders {
		name := o.name
		if o.server == nil {
			name = ""
		}
		ofServer[name] = append(ofServer[name], i)
	}
	results := make([]Result, len(orders))
	var again atomic.Bool
	var all sync.WaitGroup
	for _, mine := range ofServer {
		var next atomic.Int64
		for range min(len(mine), maxConcurrent) {
			all.Go(func() {
				for n := next.Add(1); n <= int64(len(mine)); n = next.Add(1) {
					i := mine[n-1]
					result, retry := orders[i].run(ctx)
					results[i] = result
					if retry {
						again.Store(true)
					}
				}
			})
		}
	}
	all.Wait()
	return results, again.Load()
}

// deny answers with one plain sentence, which Alertmanager writes into its log.
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, d *denial) int {
	logger := log.With(level.Warn(h.logger), "path", short(r.URL.Path), "remote", r.RemoteAddr, "status", d.status, "why", d.answer)
	if d.cause != nil {
		logger = log.With(logger, "err", d.cause)
	}
	_ = logger.Log("msg", "Refused a request")
	if d.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, d.answer, d.status)
	return d.status
}

func (h *Handler) writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		level.Debug(h.logger).Log("msg", "Sending the answer failed", "err", err)
	}
}

func (h *Handler) showSuspension(server string) {
	h.metrics.setSuspended(server, h.ledger.Suspended)
}
