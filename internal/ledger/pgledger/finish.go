package pgledger

import (
	"context"
	"fmt"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Finish writes the one outcome of the intent with the same ID and server. If
// Signalled is set, the signal stays spent and may bring a suspension; otherwise it
// no longer counts. A signal counts by the time of its intent.
//
// An outcome that could not be written is written again until that succeeds, or
// until Close. Finish waits for it as long as the context allows.
func (s *Store) Finish(ctx context.Context, outcome ledger.Entry) error {
	outcome = s.line(outcome, ledger.EventOutcome)
	switch ended, _, err := s.finish(ctx, outcome); {
	case err != nil:
		late := s.late(outcome)
		s.again.add(late)
		err = s.failed(err, outcome)
		if late.wait(ctx) != nil {
			return err
		}
		return nil
	case !ended:
		return fmt.Errorf("write the ledger: %w: %q", ledger.ErrNoIntent, outcome.ID)
	}
	s.waiters.wake(outcome.ID)
	return nil
}

// holds reports whether nobody may begin the step again: it was signalled, or what
// it is about is over.
func holds(outcome ledger.Entry) bool {
	return outcome.Outcome == ledger.Gone || outcome.Signalled && outcome.Outcome != ledger.Failed
}

// finish reports whether an intent has waited for the outcome, and whether it has
// this very one already.
func (s *Store) finish(ctx context.Context, outcome ledger.Entry) (ended, already bool, _ error) {
	suspends := false
	err := s.writeAbout(ctx, outcome.Server, true, func(b *pgx.Batch) {
		b.Queue(finishSQL, pgx.NamedArgs{
			"id": outcome.ID, "server": outcome.Server, "owner": s.owner,
			"signalled": outcome.Signalled, "holds": holds(outcome),
			"outcome": encode(outcome), "suspended": s.suspendedLine(outcome.Server),
		}).QueryRow(func(row pgx.Row) error { return row.Scan(&ended, &already, &suspends) })
	})
	if err != nil {
		return false, false, err
	}
	if suspends {
		s.suspended(outcome.Server)
	}
	return ended, already, nil
}

// Append writes a decision without a signal: a refusal, a dry run, a session that
// is gone. After an error the line is not in the ledger.
func (s *Store) Append(ctx context.Context, e ledger.Entry) error {
	e.ID, e.Signalled = "", false
	e = s.line(e, ledger.EventOutcome)
	return s.failed(s.append(ctx, e), e)
}

// Resume ends a suspension. By is the person who did it; empty: somebody with the
// token.
func (s *Store) Resume(ctx context.Context, server, by string, _ time.Time) error {
	e := s.line(ledger.Entry{Server: server, Origin: ledger.Origin{By: by}}, ledger.EventResumed)
	err := s.writeAbout(ctx, e.Server, true, func(b *pgx.Batch) {
		b.Queue(resumeSQL, pgx.NamedArgs{"server": e.Server, "line": encode(e)})
	})
	if err != nil {
		return s.failed(err, e)
	}
	s.mirror.tell(e.Server, false)
	_ = level.Info(s.options.Logger).Log("msg", "Remediation resumed", "server", e.Server, "by", by)
	return nil
}

// Reloaded writes that a person loaded the configuration anew.
func (s *Store) Reloaded(ctx context.Context, by string, _ time.Time) error {
	e := s.line(ledger.Entry{Origin: ledger.Origin{By: by}}, ledger.EventReloaded)
	return s.failed(s.append(ctx, e), e)
}

// append writes a line that is not about a signal.
func (s *Store) append(ctx context.Context, e ledger.Entry) error {
	b := &pgx.Batch{}
	b.Queue(appendSQL, pgx.NamedArgs{"line": encode(e), "decision": e.Decision})
	return s.write(ctx, b)
}
