package collector

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The time limit of a scrape: the timeout that Prometheus sends, or else its
// default, minus the time that the answer needs on the network.
const (
	timeoutHeader  = "X-Prometheus-Scrape-Timeout-Seconds"
	defaultTimeout = 10 * time.Second
	longestTimeout = 60 * time.Second
	answerTime     = 500 * time.Millisecond
)

// Settings are what one generation of the configuration says about scrapes.
type Settings struct {
	Config  Config
	Servers []Server
}

// Handler serves /metrics: the registered metrics and, unless the settings leave
// them to /probe, those of the servers. It answers 200 even when a server is down.
func Handler(registered prometheus.Gatherer, settings Settings, logger log.Logger) http.Handler {
	metrics, compress := newMetrics(), newCompressor()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		compress.serve(w, r, func(w http.ResponseWriter, r *http.Request) {
			if settings.Config.Targets == TargetsProbe {
				families, err := registered.Gather()
				expose(w, r, families, err, logger)
				return
			}
			scrapeServers(w, r, metrics, settings, registered, logger)
		})
	})
}

// scrapeServers answers with the series of the servers, and with what is registered
// for good, if anything is. The two have no metric in common.
func scrapeServers(w http.ResponseWriter, r *http.Request, m *metrics, settings Settings, registered prometheus.Gatherer, logger log.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout(r.Header))
	defer cancel()
	var families []*dto.MetricFamily
	var err error
	if registered != nil {
		families, err = registered.Gather()
	}
	series := m.kept.get(m.all)
	defer m.kept.put(series)
	m.collector(ctx, settings, logger).read(series)
	ofServers, err2 := series.gather()
	if families = append(families, ofServers...); registered != nil {
		slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	}
	expose(w, r, families, errors.Join(err, err2), logger)
}

// timeout returns the time limit of a scrape with these headers.
func timeout(header http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(header.Get(timeoutHeader), 64)
	limit := time.Duration(seconds * float64(time.Second))
	switch {
	case err != nil || seconds <= 0 || seconds != seconds:
		limit = defaultTimeout
	case seconds > longestTimeout.Seconds():
		limit = longestTimeout
	}
	return max(limit-answerTime, limit/2)
}
