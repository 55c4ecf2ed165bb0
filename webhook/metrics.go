package webhook

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics count what Alertmanager sends. The handlers of all generations share
// them. Every combination of labels is there from the start.
type Metrics struct {
	requests  *prometheus.CounterVec
	alerts    *prometheus.CounterVec
	truncated prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pgbailiff_webhook_requests_total",
			Help: "Requests to the webhook by the HTTP status code of the answer.",
		}, []string{"code"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pgbailiff_webhook_alerts_total",
			Help: "Alerts in the messages that were taken, by the status of the alert.",
		}, []string{"status"}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pgbailiff_webhook_truncated_alerts_total",
			Help: "Alerts that Alertmanager left out of its messages; they are lost. Set max_alerts to 0.",
		}),
	}
	reg.MustRegister(m.requests, m.alerts, m.truncated)
	for _, code := range []int{200, 400, 401, 403, 405, 413, 415, 503} {
		m.requests.WithLabelValues(strconv.Itoa(code))
	}
	for _, status := range []string{"firing", "resolved"} {
		m.alerts.WithLabelValues(status)
	}
	return m
}

// CountRequests counts the answers of next. It goes around the pattern that
// decides about the method, so that a 405 counts too.
func (m *Metrics) CountRequests(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerCounter(m.requests, next)
}
