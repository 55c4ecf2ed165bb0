package app

import (
	"context"
	"slices"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// mostServers is how many servers a page or a request of the API reads. Where there
// are more, people name the one that they mean.
const mostServers = 100

// findsAtATime is how many sessions people ask for in one statement.
const findsAtATime = 16

// reader reads a server for people. Everybody who may read the metrics may do that,
// as often as they like, so at any time one snapshot and one statement that finds
// sessions are theirs, for all of them together. A scrape and an alert wait for no
// more than that.
type reader struct {
	*postgres.Server
	snapshots turns[session.SnapshotOptions, snapshotRead]
	finds     turns[int32, findRead]
}

type snapshotRead struct {
	snapshot session.Snapshot
	err      error
}

type findRead struct {
	found session.Found
	ok    bool
	err   error
}

func newReader(server *postgres.Server) *reader {
	r := &reader{Server: server}
	r.snapshots = newTurns(func(ctx context.Context, all []session.SnapshotOptions, tell func(session.SnapshotOptions, snapshotRead)) {
		for _, opts := range all {
			snapshot, err := server.Snapshot(ctx, opts)
			tell(opts, snapshotRead{snapshot, err})
		}
	})
	r.finds = newTurns(func(ctx context.Context, pids []int32, tell func(int32, findRead)) {
		for few := range slices.Chunk(pids, findsAtATime) {
			var all sync.WaitGroup // at once, so that they share a statement
			for _, pid := range few {
				all.Go(func() {
					found, ok, err := server.Find(ctx, pid)
					tell(pid, findRead{found, ok, err})
				})
			}
			all.Wait()
		}
	})
	return r
}

// Snapshot is postgres.Server's, and shared by all who ask for it at the same time.
// None of them may change it.
func (r *reader) Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	read, err := r.snapshots.ask(ctx, opts)
	if err != nil {
		return session.Snapshot{}, err
	}
	return read.snapshot, read.err
}

// Find is postgres.Server's, shared as well.
func (r *reader) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	read, err := r.finds.ask(ctx, pid)
	if err != nil {
		return session.Found{}, false, err
	}
	return read.found, read.ok, read.err
}
