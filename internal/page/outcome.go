package page

import (
	"net/http"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// outcomeView says what became of an order.
type outcomeView struct {
	frame
	backend
	Class, Outcome, Sentence     string
	Action, Reason, Rule, Detail string
	Liftable                     bool // the same order may set the reason aside
	Retry                        bool
	Comment                      string // of the person
	ID                           string // of its lines in the ledger
}

func (p *Pages) outcome(r *http.Request, person Person, result remediation.Result) outcomeView {
	title, said := ending(result)
	v := outcomeView{
		frame: p.frame(r, person, title), Sentence: said, Action: string(result.Action),
		backend: backend{Server: name(result.Server), PID: strconv.FormatInt(int64(result.PID), 10)},
		Reason:  string(result.Reason), Rule: name(result.Rule), Detail: sentence(result.Detail),
		Liftable: liftable(remediation.Preview{Reason: result.Reason}) && result.Outcome == ledger.Refused,
		Retry:    result.Retry, ID: name(result.Decision),
	}
	v.Outcome, v.Class = outcome(result.Outcome)
	return v
}

// ending is the title and the sentence of an outcome.
func ending(r remediation.Result) (title, said string) {
	switch r.Outcome {
	case ledger.Cancelled:
		return "Cancelled", "The statement is not running any more: PostgreSQL cancelled it."
	case ledger.Terminated:
		return "Terminated", "The session has ended: PostgreSQL terminated it."
	case ledger.Gone:
		return "Gone", "Nothing was left to do: what you saw had ended by itself. Nothing that runs now was touched."
	case ledger.Refused:
		if r.Reason == policy.ReasonDenied && r.By != "" {
			return "Denied", "Nothing is done. Repeats of the alert about the same are refused."
		}
		return "Refused", "Nothing was done to the session."
	case ledger.Ignored:
		return "Still there", "The signal was sent, and what you named is still there."
	case ledger.Superseded:
		return "Too late", "What you named ended by itself just before the signal, which may have met what the session did next."
	case ledger.DryRun:
		return "Dry run", "No signal was sent: remediation.mode is dry-run. It is only written down."
	case ledger.Pending:
		return "It waits", "It waits for a person again."
	case ledger.Failed:
		if r.Signalled {
			return "It is not known what became of it", "A signal was sent, or may have been. Look at the session before you order anything again."
		}
		return "Not done", "Nobody was signalled."
	}
	return "Not done", "The outcome is not known."
}
