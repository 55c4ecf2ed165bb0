//go:build heavy

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The path is lost without a word: what is sent is swallowed. Once the acting
// connection was opened anew, the scraping one is not waited for until its
// statement's deadline, which is a minute away, neither when it is idle nor in
// the middle of a scrape.
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
