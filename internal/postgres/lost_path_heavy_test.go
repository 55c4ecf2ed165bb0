//go:build heavy

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The network path is lost silently: sent data vanishes. Once the action connection
// was opened anew, a scrape fails long before its statement's deadline, which is a
// minute away. This holds for an idle connection and for one in a scrape.
func TestScrapingRecoversFromASilentLoss(t *testing.T) {
	for name, first := range map[string]bool{"idle": false, "in a scrape": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := pgtest.Start(t)
			p := newProxy(t, pg)
			s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", p.port())
			mustBeOn(t, s, pg)
			p.lose()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			scraped := make(chan error, 1)
			scrape := func() {
				_, err := s.Snapshot(ctx, session.SnapshotOptions{})
				scraped <- err
			}
			if first {
				go scrape()
			}
			if _, _, err := s.Find(ctx, 1); err != nil {
				t.Error(err)
			}
			if !first {
				go scrape()
			}
			if err := <-scraped; err != nil {
				t.Error(err)
			}
		})
	}
}
