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
	descs   *descs
}

// New makes the collector of one scrape. A server that does not answer before
// the context ends loses its own series only. With no servers it serves as the
// catalogue of metrics: see Describe.
func New(ctx context.Context, cfg Config, servers []Server, logger log.Logger) *Collector {
	return newDescs().collector(ctx, Settings{Config: cfg, Servers: servers}, logger)
}

// collector is New with descs that are shared by all scrapes.
func (d *descs) collector(ctx context.Context, set Settings, logger log.Logger) *Collector {
	return &Collector{ctx: ctx, cfg: set.Config, servers: set.Servers, logger: logger, descs: d}
}

// Describe implements prometheus.Collector. It sends the desc of every metric
// that a scrape can have.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs.all() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	var all sync.WaitGroup
	for _, server := range c.servers {
		all.Go(func() { c.collectServer(server, emitter{ch}) })
	}
	all.Wait()
}

func (c *Collector) collectServer(server Server, emit emitter) {
	start := time.Now()
	opts := session.SnapshotOptions{
		MinAge:      time.Duration(c.cfg.MinDuration).Seconds(),
		MaxSessions: c.cfg.MaxSessions,
		Text:        c.cfg.QueryText != querytext.None,
	}
	snapshot, err := server.Snapshot(c.ctx, opts)
	name := server.Name()
	emit.gauge(c.descs.scrapeDuration, time.Since(start).Seconds(), name)
	if err != nil {
		level.Warn(c.logger).Log("msg", "Reading a server failed", "server", name, "err", err)
		emit.gauge(c.descs.up, 0, name)
		emit.gauge(c.descs.canSee, 0, name)
		emit.gauge(c.descs.canSignal, 0, name)
		return
	}
	emit.gauge(c.descs.up, 1, name)
	emit.gauge(c.descs.connections, float64(snapshot.Connections), name)
	emit.gauge(c.descs.hidden, float64(snapshot.Hidden), name)
	c.facts(&snapshot, emit)
	c.sessions(&snapshot, opts, emit)
	c.counts(&snapshot, emit)
}

func (c *Collector) facts(snapshot *session.Snapshot, emit emitter) {
	name, f := snapshot.Server, snapshot.Facts
	emit.gauge(c.descs.maxConnections, float64(f.MaxConnections), name)
	emit.gauge(c.descs.canSee, oneIf(f.CanSee), name)
	emit.gauge(c.descs.canSignal, oneIf(f.CanSignal), name)
	emit.gauge(c.descs.inRecovery, oneIf(f.InRecovery), name)
	emit.gauge(c.descs.postmasterStart, float64(f.PostmasterStart.UnixMilli())/1000, name)
	emit.gauge(c.descs.serverInfo, 1, name, f.Version, f.SystemIdentifier)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
