package postgres

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	b := newBackoff()
	const refused = "refused"
	now := t0
	if err := b.wait(now); err != nil {
		t.Errorf("before the first attempt: %v", err)
	}
	for i, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		pause := b.failed(refused, now)
		if pause > most || pause <= most*3/4 {
			t.Errorf("after failure %d: a pause of %s, want at most %s", i+1, pause, most)
		}
		if err := b.wait(now.Add(pause - time.Nanosecond)); !errors.Is(err, session.ErrUnreachable) || !strings.Contains(err.Error(), refused) || !strings.Contains(err.Error(), "the next attempt") {
			t.Errorf("in the pause: %v", err)
		}
		now = now.Add(pause)
		if err := b.wait(now); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	}
	b.failed(refused, now)
	b.reset()
	if err := b.wait(now); err != nil {
		t.Errorf("after a success: %v", err)
	}
	if pause := b.failed(refused, now); pause > minRetryPause {
		t.Errorf("the first pause after a success is %s", pause)
	}
}

// refusing returns a server whose connection attempts are all refused, at once.
func refusing(t *testing.T) *Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Name: "orders", DSN: fmt.Sprintf("postgresql://monsig@%s/postgres?sslmode=disable", listener.Addr())},
		NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// While a server is down, a scrape gets the last error at once and seldom makes an
// attempt; a caller that wants to act always makes one.
func TestScrapesBackOffAndActionsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := refusing(t)
		s.Start()
		defer s.Close()
		attempts, last := 0, time.Now()
		for began := time.Now(); time.Since(began) < 10*time.Minute; <-time.After(500 * time.Millisecond) {
			_, err := s.Snapshot(t.Context(), session.SnapshotOptions{})
			if !errors.Is(err, session.ErrUnreachable) {
				t.Fatal(err)
			}
			if !strings.Contains(err.Error(), "the next attempt") {
				attempts++
				if pause := time.Since(last); pause > maxRetryPause+time.Second {
					t.Errorf("%s between two attempts", pause)
				}
				last = time.Now()
			}
		}
		if attempts < 20 || attempts > 60 {
			t.Errorf("%d attempts in ten minutes", attempts)
		}
		for range 10 {
			if _, _, err := s.Find(t.Context(), 42); !errors.Is(err, session.ErrNotSent) || strings.Contains(err.Error(), "the next attempt") {
				t.Errorf("find: %v", err)
			}
		}
	})
}
