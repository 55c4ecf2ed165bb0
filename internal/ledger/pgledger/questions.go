package pgledger

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

var (
	//go:embed sql/questions_lock.sql
	questionsLockSQL string
	//go:embed sql/ask.sql
	askSQL string
	//go:embed sql/standing.sql
	standingSQL string
	//go:embed sql/answer.sql
	answerSQL string
	//go:embed sql/known.sql
	knownSQL string
	//go:embed sql/expire.sql
	expireSQL string
	//go:embed sql/unacted.sql
	unactedSQL string
)

// Ask is ledger.Ledger's. A question waits by the database's clock, for as long as
// from asked.Time to asked.Until. If nobody can know whether one is asked, the next
// Expire ends it.
func (s *Store) Ask(ctx context.Context, asked ledger.Entry) (ledger.Standing, ledger.Entry, error) {
	asked.Replica = s.options.Replica
	asked, err := asked.AsQuestion()
	if err != nil {
		return 0, ledger.Entry{}, err
	}
	standing, known := ledger.TooMany, ledger.Entry{}
	b := &pgx.Batch{}
	b.Queue(questionsLockSQL)
	s.queueExpiry(b)
	args := pgx.NamedArgs{
		"id": asked.ID, "server": asked.Server, "target": targetOf(asked), "action": string(asked.Action),
		"line": encode(asked), "waits": asked.Until.Sub(asked.Time), "most": ledger.MaxWaiting,
	}
	b.Queue(askSQL, args)
	b.Queue(standingSQL, args).Query(func(rows pgx.Rows) error {
		var denied bool
		var at time.Time
		var line []byte
		_, err := pgx.ForEachRow(rows, []any{&denied, &at, &line}, func() (err error) {
			if standing != ledger.TooMany { // a denial comes first
				return nil
			}
			if standing = ledger.Waiting; denied {
				standing = ledger.Denied
			}
			known, err = decode(at, line)
			return err
		})
		return err
	})
	if err := s.write(ctx, b); err != nil {
		if perhapsDone(err) {
			s.withdrawn.add(asked.ID, time.Now())
		}
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.ConstraintName == "questions_pkey" {
			return 0, ledger.Entry{}, fmt.Errorf("write the ledger: a question needs its own ID, not %q", asked.ID)
		}
		return 0, ledger.Entry{}, s.failed(err, asked)
	}
	s.mirror.catchUp(ctx)
	return standing, known, nil
}

// Answer is ledger.Ledger's. Of all callers with one ID, at any replica, exactly one
// succeeds. If nobody can know whether an approval counts and it does, it has the
// outcome failed after the patience.
func (s *Store) Answer(ctx context.Context, id string, answer ledger.Event, by, comment string, now time.Time) (ledger.Entry, error) {
	line := change{Event: answer, Reason: policy.ReasonApproval, Replica: s.options.Replica}
	switch answer {
	case ledger.EventApproved:
	case ledger.EventDenied:
		line.Reason = policy.ReasonDenied
	default:
		return ledger.Entry{}, fmt.Errorf("write the ledger: %q is no answer", answer)
	}
	e := ledger.Entry{ID: id, Origin: ledger.Origin{By: by, Comment: comment}}.Normalized(answer)
	line.By, line.Comment = e.By, e.Comment

	var asked ledger.Entry
	var ours, known bool
	b := &pgx.Batch{}
	b.Queue(answerSQL, pgx.NamedArgs{"id": withoutNULs(id), "answer": string(answer), "line": line.encode()}).Query(func(rows pgx.Rows) error {
		var at time.Time
		var line []byte
		_, err := pgx.ForEachRow(rows, []any{&at, &line}, func() (err error) {
			ours = true
			asked, err = decode(at, line)
			return err
		})
		return err
	})
	b.Queue(knownSQL, pgx.NamedArgs{"id": withoutNULs(id)}).QueryRow(func(row pgx.Row) error { return row.Scan(&known) })
	err := s.write(ctx, b)
	switch {
	case err != nil:
		return ledger.Entry{}, s.failed(err, e)
	case ours:
		s.mirror.catchUp(ctx)
		return asked, nil
	case known:
		_ = s.Expire(ctx, now) // its time may be over
		return ledger.Entry{}, ledger.ErrAnswered
	default:
		return ledger.Entry{}, ledger.ErrNoApproval
	}
}

// Expire is ledger.Ledger's, by the database's clock, for the questions of all
// replicas. It also ends the approvals whose process has ended. It logs its first
// error after a success.
func (s *Store) Expire(ctx context.Context, _ time.Time) error {
	lines := int64(0)
	count := func(ct pgconn.CommandTag) error { lines += ct.RowsAffected(); return nil }
	b, began := &pgx.Batch{}, time.Now()
	s.queueExpiry(b)
	b.Queue(unactedSQL, pgx.NamedArgs{
		"patience": s.options.Patience(),
		"line":     change{Event: ledger.EventOutcome, Outcome: ledger.Failed, Detail: ledger.UnactedDetail, Replica: s.options.Replica}.encode(),
	})
	for _, q := range b.QueuedQueries {
		q.Exec(count)
	}
	err := s.change(ctx, b)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // a stop
		return fmt.Errorf("write the ledger: %w", err)
	}
	switch before := s.expiryFails.Swap(err != nil); {
	case err != nil && !before:
		_ = level.Error(s.options.Logger).Log("msg", "Orders that have waited for a person too long cannot be ended", "err", err)
	case err == nil && before:
		_ = level.Info(s.options.Logger).Log("msg", "Orders that have waited for a person too long can be ended again")
	}
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	s.withdrawn.forget(time.Now().Add(-inDoubt))
	if lines > 0 {
		s.options.Metrics.Writes.Observe(time.Since(began).Seconds())
		s.mirror.catchUp(ctx)
	}
	return nil
}

// queueExpiry adds the statement that ends questions.
func (s *Store) queueExpiry(b *pgx.Batch) {
	b.Queue(expireSQL, pgx.NamedArgs{
		"withdrawn": s.withdrawn.all(), "detail": ledger.NotAskedDetail,
		"line": change{Event: ledger.EventExpired, Reason: policy.ReasonApproval, Replica: s.options.Replica}.encode(),
	})
}

// change are the keys that a later line about a question has instead of the asked
// one's.
type change struct {
	Event   ledger.Event   `json:"event"`
	Outcome ledger.Outcome `json:"outcome,omitempty"`
	Reason  policy.Reason  `json:"reason,omitempty"`
	Detail  string         `json:"detail,omitempty"`
	By      string         `json:"by,omitempty"`
	Comment string         `json:"comment,omitempty"`
	Replica string         `json:"replica,omitempty"`
}

func (c change) encode() []byte {
	c.By, c.Comment, c.Replica = withoutNULs(c.By), withoutNULs(c.Comment), withoutNULs(c.Replica)
	return marshal(c)
}

// withoutNULs is a text that PostgreSQL can store.
func withoutNULs(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

// targetOf is what a denial is about: the server and what the order names there, in
// the precision of the database.
func targetOf(e ledger.Entry) string {
	return string(marshal([]any{
		e.Server, e.PID, e.BackendStart.UnixMicro(), e.QueryStart.UnixMicro(), e.XactStart.UnixMicro(), e.StateChange.UnixMicro(),
	}))
}

// inDoubt is how long a transaction may still end that nobody waits for.
const inDoubt = time.Minute

// withdrawals are the questions whose caller was told that it failed, although they
// may have been asked or may still be, and when that was.
type withdrawals struct {
	mu  sync.Mutex // guards ids
	ids map[string]time.Time
}

func (w *withdrawals) add(id string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ids == nil {
		w.ids = map[string]time.Time{}
	}
	w.ids[id] = now
}

func (w *withdrawals) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.AppendSeq([]string{}, maps.Keys(w.ids))
}

// forget forgets those from before an instant.
func (w *withdrawals) forget(before time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.ids, func(_ string, at time.Time) bool { return at.Before(before) })
}
