package session

// A backend takes up the next statement in this order: it lets go of a pending
// cancel, and from here on a cancel counts; it reads the clock; it shows itself
// as active (PostgresMain and exec_simple_query of PostgreSQL 14–18). A process
// that loses its processor between the first step and the last still looks
// idle, and ends the statement that nobody has seen yet.

// Settling returns the condition to watch for after an Unsettled cancel. It
// must see every look, in their order. It holds as soon as something else has
// begun, and when the session is still between two statements in the look after
// one that saw it wait for its client: it has let go of the signal.
func (r Signalled) Settling() func(Observation) bool {
	waited := false
	return func(now Observation) bool {
		if !r.between(now) || waited {
			return true
		}
		waited = now.waits()
		return false
	}
}

// Settle tells what an Unsettled cancel met, from what was seen last. A session
// that has gone on, or away, may have had something else met.
func (r Signalled) Settle(last Observation) Encounter {
	switch {
	case r.between(last):
		return MetTarget
	case r.EndedBefore():
		return MetSuccessor
	default:
		return PerhapsSuccessor
	}
}

// between reports whether nothing has begun since what was signalled.
func (r Signalled) between(now Observation) bool {
	return now.Present && now.State == r.After.State &&
		now.QueryStart.Equal(r.QueryStart) &&
		now.StateChange.Equal(r.After.StateChange)
}

// waits reports whether the backend waited for its client.
func (s Observation) waits() bool { return s.WaitEventType == "Client" }
