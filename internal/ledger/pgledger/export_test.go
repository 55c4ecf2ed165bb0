package pgledger

import (
	"context"
	"strconv"
	"time"
)

// EndOrphans is what every replica does now and then.
func (s *Store) EndOrphans(ctx context.Context) { s.endOrphans(ctx) }

// CheckSchema is, too.
func (s *Store) CheckSchema(ctx context.Context) { s.checkSchema(ctx) }

// Connecting reports whether a connection is being opened.
func (s *Store) Connecting() bool { return s.pool.Stat().ConstructingConns() > 0 }

// PingAfter sets how long a connection must have been idle to be asked whether it is
// alive.
func PingAfter(o *Options, idle time.Duration) { o.pingAfter = idle }

// OpenConnections opens so many connections, and leaves them idle.
func (s *Store) OpenConnections(ctx context.Context, n int) error {
	for range n {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
	}
	return nil
}

// LockOf is the advisory lock of a server.
func LockOf(server string) string { return strconv.FormatInt(lockOf(server), 10) }
