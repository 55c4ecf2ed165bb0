package pgledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Begin claims the step of an intent, reserves one signal of the server's budget
// and makes the intent durable, in one round trip. The time of all that is the
// database's. If another request has this step, or another one of that backend,
// under way, Begin waits for what becomes of it, at most until its owner is gone.
//
// If the answer is not Allowed, no intent was written and nothing is reserved. After
// an error no signal may be sent; an intent that became durable all the same is
// ended as failed as soon as the database can be reached.
//
// The intent of an order by hand (SourceManual) takes nothing out of the budget, and
// may begin a step again that was ignored.
func (s *Store) Begin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (ledger.Begun, error) {
	if intent.ID == "" {
		return ledger.Begun{}, errors.New("write the ledger: an intent needs an ID")
	}
	if intent.Decision == "" {
		intent.Decision = intent.ID
	}
	intent.Outcome, intent.Signalled = "", false
	intent = s.line(intent, ledger.EventIntent)
	for {
		a, err := s.tryBegin(ctx, intent, limits)
		if err != nil {
			if perhapsDone(err) {
				s.again.add(s.abandoned(intent))
			}
			return ledger.Begun{}, s.failed(err, intent)
		}
		switch {
		case a.says == saysAllowed && a.id != nil:
			return ledger.Begun{Allowance: ledger.Allowed, ID: *a.id}, nil
		case a.says == saysSuspended:
			return ledger.Begun{Allowance: ledger.Suspended}, nil
		case a.says == saysOverBudget:
			return ledger.Begun{Allowance: ledger.OverBudget}, nil
		case a.says == saysLapsed:
			return ledger.Begun{}, fmt.Errorf("write the ledger: the approval %s came to nothing for so long that its outcome is failed: ask again", intent.Decision)
		case a.holder.used:
			return ledger.Begun{}, fmt.Errorf("write the ledger: an intent needs its own ID, not %q", intent.ID)
		}
		if begun, ended, err := s.become(ctx, intent, a.holder); ended {
			return begun, err
		}
	}
}

// What begin.sql says.
const (
	saysAllowed    = "allowed"
	saysSuspended  = "suspended"
	saysOverBudget = "over_budget"
	saysLapsed     = "lapsed"
)

// answer is the one of begin.sql and holder.sql.
type answer struct {
	says     string
	id       *string
	suspends bool
	holder   holder
}

// holder is the intent that is in the way.
type holder struct {
	used            bool // the asker's ID is that of an intent
	id              *string
	intent, outcome []byte
	endedAt         *time.Time
}

func (s *Store) tryBegin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (a answer, _ error) {
	args := stepArgs(intent)
	maps.Copy(args, pgx.NamedArgs{
		"server": intent.Server, "decision": intent.Decision, "manual": intent.Source == ledger.SourceManual,
		"owner": s.owner, "patience": s.options.Patience(),
		"actions": int64(limits.Actions), "window": time.Duration(limits.Window),
		"suspend_after": int64(limits.SuspendAfter), "suspend_window": time.Duration(limits.SuspendWindow),
		"intent": encode(intent), "suspended": s.suspendedLine(intent.Server), "interrupted": s.overlay(true, interruptedDetail),
	})
	err := s.writeAbout(ctx, intent.Server, false, func(b *pgx.Batch) {
		b.Queue(clearSQL, args)
		if intent.Source == ledger.SourceManual {
			b.Queue(releaseSQL, args)
		}
		b.Queue(beginSQL, args).QueryRow(func(row pgx.Row) error { return row.Scan(&a.says, &a.id, &a.suspends) })
		b.Queue(holderSQL, args).QueryRow(a.holder.scan)
	})
	if err != nil {
		return answer{}, err
	}
	switch {
	case a.suspends:
		s.suspended(intent.Server)
	case a.says == saysSuspended:
		s.mirror.tell(intent.Server, true)
	}
	return a, nil
}

func (h *holder) scan(row pgx.Row) error {
	return row.Scan(&h.used, &h.id, &h.intent, &h.outcome, &h.endedAt)
}

// stepArgs are the parameters that all statements about a step have.
func stepArgs(intent ledger.Entry) pgx.NamedArgs {
	step := intent.Step()
	return pgx.NamedArgs{
		"id": intent.ID, "system": step.System, "pid": step.PID, "backend_start": step.BackendStart,
		"doing": step.Doing, "verb": string(step.Verb),
	}
}

// become tells what became of the intent that is in the way, or waits for that. If
// it has not ended, Begin must ask again.
func (s *Store) become(ctx context.Context, intent ledger.Entry, h holder) (_ ledger.Begun, ended bool, _ error) {
	if h.id == nil { // it was out of the way in between
		return ledger.Begun{}, ctx.Err() != nil, context.Cause(ctx)
	}
	if h.outcome != nil && h.endedAt != nil {
		became, err := decode(*h.endedAt, h.outcome)
		return ledger.Begun{Allowance: ledger.Taken, Became: became}, true, err
	}
	if err := s.waiters.wait(ctx, *h.id); err != nil {
		other, _ := decode(time.Time{}, h.intent)
		return ledger.Begun{}, true, fmt.Errorf("%w: %s of pid %d on %s, at %s: %w",
			ledger.ErrUnderWay, other.Action, intent.PID, intent.Server, other.Replica, err)
	}
	return ledger.Begun{}, false, nil
}

// Repin says that the signal of an intent goes to another statement of the same
// transaction than the intent tells. Nothing was sent if the answer is not Allowed;
// an intent that is not ours any more is an error.
func (s *Store) Repin(ctx context.Context, intent ledger.Entry) (ledger.Begun, error) {
	intent = s.line(intent, ledger.EventIntent)
	args := stepArgs(intent)
	args["owner"], args["patience"] = s.owner, s.options.Patience()
	moved, h := false, holder{}
	err := s.writeAbout(ctx, intent.Server, true, func(b *pgx.Batch) {
		if intent.Source == ledger.SourceManual {
			b.Queue(releaseSQL, args)
		}
		b.Queue(repinSQL, args).QueryRow(func(row pgx.Row) error { return row.Scan(&moved) })
		b.Queue(holderSQL, args).QueryRow(h.scan)
	})
	switch {
	case err != nil:
		return ledger.Begun{}, s.failed(err, intent)
	case moved:
		return ledger.Begun{Allowance: ledger.Allowed, ID: intent.ID}, nil
	case h.outcome != nil && h.endedAt != nil:
		became, err := decode(*h.endedAt, h.outcome)
		return ledger.Begun{Allowance: ledger.Taken, Became: became}, err
	default:
		return ledger.Begun{}, s.failed(fmt.Errorf("%w: another replica has taken it over: %q", ledger.ErrNoIntent, intent.ID), intent)
	}
}

// suspended logs a suspension and tells the copy.
func (s *Store) suspended(server string) {
	_ = level.Error(s.options.Logger).Log("msg", "Remediation suspended after too many signals",
		"server", server, "hint", "POST /-/resume?server="+server)
	s.mirror.tell(server, true)
}

// suspendedLine says that a server is suspended.
func (s *Store) suspendedLine(server string) []byte {
	return encode(s.line(ledger.Entry{Server: server}, ledger.EventSuspended))
}

// The details of outcomes that the ledger writes itself.
const (
	interruptedDetail = "its owner was gone before it told what became of the signal, which counts as sent"
	abandonedDetail   = "the ledger was too slow; nothing was signalled"
)

// overlay is what a failed outcome has that its intent has not.
func (s *Store) overlay(signalled bool, detail string) []byte {
	return marshal(map[string]any{
		"event": ledger.EventOutcome, "outcome": ledger.Failed, "signalled": signalled, "detail": detail, "replica": s.options.Replica,
	})
}
