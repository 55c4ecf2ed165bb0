package collector

import (
	"math"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// backend is a session that has a series. The labels of its ID are formatted
// once for all of its series.
type backend struct {
	*session.Session
	pid, backendStart string
}

// sessions adds the series of single backends, family by family, and then
// pgbailiff_query_info for each backend that has one.
func (c *Collector) sessions(snapshot *session.Snapshot, opts session.SnapshotOptions, to *series) {
	backends := map[int32]backend{}
	for i, f := range session.Families() {
		members, more := snapshot.Top(i, opts)
		for _, m := range members {
			b, known := backends[m.PID]
			if !known || !b.BackendStart.Equal(m.BackendStart) {
				b = backend{m.Session, strconv.Itoa(int(m.PID)), session.FormatTime(m.BackendStart)}
			}
			if !known {
				backends[m.PID] = b
			}
			to.gauge(c.metrics.families[i], milliseconds(m.Value),
				m.Server, b.pid, b.backendStart, session.FormatTime(f.PeriodStart(&m.Activity)),
				m.Datname, m.Usename, m.ApplicationName, m.ClientAddr)
		}
		to.gauge(c.metrics.overLimit, float64(more), snapshot.Server, f.Name)
	}
	delete(backends, session.PreparedTransaction)
	for _, b := range backends {
		to.gauge(c.metrics.info, 1,
			b.Server, b.pid, b.backendStart, session.FormatTime(b.QueryStart),
			string(b.State), b.WaitEventType, b.WaitEvent, queryID(b.QueryID), b.LogID(), c.cfg.Text(b.Query))
	}
}

func queryID(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// milliseconds rounds seconds to milliseconds. Whole numbers stay as they are.
func milliseconds(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }
