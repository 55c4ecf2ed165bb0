package page

import (
	"cmp"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// decisionView is a line of the ledger. It never shows the line's text of a
// statement: that was allowed when it was written, and may not be now.
type decisionView struct {
	backend
	Time, Day, Iso               string
	Outcome, Class               string
	Action, Reason, Rule, Detail string
	Alert, Severity              string
	By, Comment, Replica         string
	Event                        bool // about no session
}

// newDecisions keeps outcomes, what people were asked and said, and what
// happened to a server. It also keeps intents whose outcome is not known,
// because a signal may have been sent.
func (p *Pages) newDecisions(entries []ledger.Entry) []decisionView {
	type target struct {
		server, fingerprint string
		pid                 int32
		start               time.Time
	}
	known := map[target]bool{}
	var all []decisionView
	for _, e := range entries { // newest first
		if len(all) == rows {
			break
		}
		v := p.newDecision(e)
		t := target{e.Server, e.Fingerprint, e.PID, e.BackendStart.UTC()}
		switch e.Event {
		case ledger.EventOutcome:
			known[t] = true
			v.Outcome, v.Class = outcome(e.Outcome)
		case ledger.EventIntent:
			if known[t] {
				continue
			}
			known[t] = true
			v.Outcome, v.Class = "no outcome yet", "note"
			v.Detail = "a signal was about to be sent; what became of it is not on record"
		case ledger.EventAsked:
			v.Outcome, v.Class, v.Detail = "asked", "note", "a person, until "+e.Until.UTC().Format(time.TimeOnly)
		case ledger.EventApproved:
			v.Outcome, v.Class = "approved", "good"
		case ledger.EventDenied:
			v.Outcome, v.Class = "denied", "quiet"
		case ledger.EventExpired:
			v.Outcome, v.Class, v.Detail = "expired", "quiet", cmp.Or(v.Detail, "nobody answered in time")
		case ledger.EventSuspended:
			v.Event, v.Outcome, v.Class, v.Detail = true, "suspended", "bad", "too many signals"
		case ledger.EventResumed:
			v.Event, v.Outcome, v.Class = true, "resumed", "good"
			if v.By == "" {
				v.Detail = "with the webhook's token"
			}
		case ledger.EventReloaded:
			v.Event, v.Outcome, v.Class, v.Detail, v.Server = true, "reloaded", "good", "the configuration", "pgbailiff"
		default:
			continue
		}
		all = append(all, v)
	}
	return all
}

func (p *Pages) newDecision(e ledger.Entry) decisionView {
	v := decisionView{
		Time: e.Time.UTC().Format(time.TimeOnly), Day: e.Time.UTC().Format(time.DateOnly), Iso: e.Time.UTC().Format(time.RFC3339),
		Action: name(string(e.Action)), Reason: name(string(e.Reason)), Rule: name(e.Rule), Detail: sentence(e.Detail),
		Alert: name(e.Alertname), Severity: name(e.Severity), By: name(e.By), Comment: sentence(e.Comment),
		Replica: name(e.Replica),
		backend: p.newBackend(entrySession(e)),
	}
	if e.PID == 0 {
		v.PID = ""
	}
	if !p.source.Known(e.Server) { // an alert may name whatever it likes
		v.Link = ""
	}
	if v.Action == "none" {
		v.Action = ""
	}
	return v
}

// outcome names an outcome and its colour.
func outcome(o ledger.Outcome) (text, class string) {
	text = strings.ReplaceAll(string(o), "_", " ")
	switch o {
	case ledger.Cancelled, ledger.Terminated:
		return text, "good"
	case ledger.Ignored, ledger.Superseded, ledger.Failed:
		return text, "bad"
	case ledger.DryRun, ledger.Pending:
		return text, "note"
	case ledger.Gone, ledger.Refused:
		return text, "quiet"
	}
	return "unknown", "bad"
}
