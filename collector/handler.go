package collector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	descs, compress := newDescs(), newCompressor()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		compress.serve(w, r, func(w http.ResponseWriter, r *http.Request) {
			if settings.Config.Targets == TargetsProbe {
				expose(w, r, registered, logger)
				return
			}
			scrapeServers(w, r, descs, settings, registered, logger)
		})
	})
}

// scrapeServers answers with the series of the servers, and with what is registered
// for good, if anything is.
func scrapeServers(w http.ResponseWriter, r *http.Request, d *descs, settings Settings, registered prometheus.Gatherer, logger log.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout(r.Header))
	defer cancel()
	scrape := prometheus.NewRegistry()
	if err := scrape.Register(d.collector(ctx, settings, logger)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if registered == nil {
		expose(w, r, scrape, logger)
		return
	}
	expose(w, r, both(registered, scrape), logger)
}

// expose writes the metrics in the format that the client asks for.
func expose(w http.ResponseWriter, r *http.Request, from prometheus.Gatherer, logger log.Logger) {
	promhttp.HandlerFor(from, promhttp.HandlerOpts{
		EnableOpenMetrics:  true,
		DisableCompression: true, // see compressor
		ErrorLog:           errorLog{logger},
		ErrorHandling:      promhttp.ContinueOnError,
	}).ServeHTTP(w, r)
}

// both merges two gatherers that have no metric in common. Unlike
// prometheus.Gatherers it does not check every series again.
func both(registered, scrape prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := registered.Gather()
		more, err2 := scrape.Gather()
		families = append(families, more...)
		slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return families, errors.Join(err, err2)
	})
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

// errorLog is a logger for promhttp.
type errorLog struct{ logger log.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) {
	level.Error(l.logger).Log("msg", "Gathering metrics failed", "err", fmt.Sprint(v...))
}
