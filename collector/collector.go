package collector

import (
	"context"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Collector reads every server once per Collect, all at the same time. It is
// made for one scrape, and holds the context of that request.
type Collector struct {
	ctx     context.Context
	cfg     Config
	servers []Server
	logger  log.Logger
	metrics *metrics
}

// New makes the collector of one scrape. A server that does not answer before
// the context ends loses its own series only. With no servers it serves as the
// catalogue of metrics: see Describe.
func New(ctx context.Context, cfg Config, servers []Server, logger log.Logger) *Collector {
	return newMetrics().collector(ctx, Settings{Config: cfg, Servers: servers}, logger)
}

// collector is New with metrics that are shared by all scrapes.
func (m *metrics) collector(ctx context.Context, set Settings, logger log.Logger) *Collector {
	return &Collector{ctx: ctx, cfg: set.Config, servers: set.Servers, logger: logger, metrics: m}
}

// Describe implements prometheus.Collector. It sends the desc of every metric
// that a scrape can have.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics.all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	to := newSeries(c.metrics.all)
	c.read(to)
	for _, m := range c.metrics.all {
		for _, one := range to.families[m.place].Metric {
			ch <- collected{m.desc, one}
		}
	}
}

// read reads the servers, all at the same time.
func (c *Collector) read(to *series) {
	if len(c.servers) == 1 { // without the cost of another goroutine
		c.readServer(c.servers[0], to)
		return
	}
	var all sync.WaitGroup
	for _, server := range c.servers {
		all.Go(func() { c.readServer(server, to) })
	}
	all.Wait()
}

func (c *Collector) readServer(server Server, to *series) {
	start := time.Now()
	opts := session.SnapshotOptions{
		MinAge:      time.Duration(c.cfg.MinDuration).Seconds(),
		MaxSessions: c.cfg.MaxSessions,
		Text:        c.cfg.QueryText != querytext.None,
	}
	snapshot, err := server.Snapshot(c.ctx, opts)
	took, name := time.Since(start).Seconds(), server.Name()
	if err != nil {
		level.Warn(c.logger).Log("msg", "Reading a server failed", "server", name, "err", err)
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	to.gauge(c.metrics.scrapeDuration, took, name)
	if err != nil {
		to.gauge(c.metrics.up, 0, name)
		to.gauge(c.metrics.canSee, 0, name)
		to.gauge(c.metrics.canSignal, 0, name)
		return
	}
	to.gauge(c.metrics.up, 1, name)
	to.gauge(c.metrics.connections, float64(snapshot.Connections), name)
	to.gauge(c.metrics.hidden, float64(snapshot.Hidden), name)
	c.facts(&snapshot, to)
	c.sessions(&snapshot, opts, to)
	c.counts(&snapshot, to)
}

func (c *Collector) facts(snapshot *session.Snapshot, to *series) {
	name, f := snapshot.Server, snapshot.Facts
	to.gauge(c.metrics.maxConnections, float64(f.MaxConnections), name)
	to.gauge(c.metrics.canSee, oneIf(f.CanSee), name)
	to.gauge(c.metrics.canSignal, oneIf(f.CanSignal), name)
	to.gauge(c.metrics.inRecovery, oneIf(f.InRecovery), name)
	to.gauge(c.metrics.postmasterStart, float64(f.PostmasterStart.UnixMilli())/1000, name)
	to.gauge(c.metrics.serverInfo, 1, name, f.Version, f.SystemIdentifier)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
