package page

import (
	"context"
	"slices"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// verdict is what would be done, and why. Severities for which it would be the
// same share one.
type verdict struct {
	Severities, Action, Class, After, Reason, Rule, Detail string
}

// refusal is the class of a verdict that nothing may be done.
const refusal = "quiet"

// severities are the ones that the policy is asked about.
func (p *Pages) severities() []string {
	if len(p.site.Severities) == 0 {
		return []string{""}
	}
	return p.site.Severities
}

// verdicts are what alerts about the session would lead to.
func (p *Pages) verdicts(ctx context.Context, s session.Session) []verdict {
	severities := p.severities()
	each := make([]verdict, len(severities))
	var done sync.WaitGroup // all at once, so that they share the statement that finds the session
	for i, severity := range severities {
		done.Go(func() {
			each[i] = newVerdict(p.source.Preview(ctx, p.alertAbout(s, severity)))
			each[i].Severities = name(severity)
		})
	}
	done.Wait()
	var all []verdict
	for _, v := range each {
		if i := slices.IndexFunc(all, v.sameAs); i >= 0 {
			all[i].Severities += ", " + v.Severities
			continue
		}
		all = append(all, v)
	}
	return all
}

// alertAbout is what an alert of this severity would ask for. It names the
// session by its transaction or, without one, by its query.
func (p *Pages) alertAbout(s session.Session, severity string) remediation.Request {
	labels := map[string]string{session.LabelServer: s.Server}
	if severity != "" {
		labels[p.site.SeverityLabel] = severity
	}
	fence := session.Fence{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart, XactStart: s.XactStart}
	if s.XactStart.IsZero() {
		fence.QueryStart = s.QueryStart
	}
	return remediation.Request{Source: remediation.SourceAlert, Labels: labels, Fence: fence}
}

// obstacle says why nothing that the policy orders would be done on the server
// now. Empty: it would be done, or the policy orders nothing.
func obstacle(server Server, verdicts []verdict) string {
	switch {
	case !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.Class != refusal }):
		return ""
	case server.Suspended:
		return "refused until somebody resumes: the server is suspended"
	case !server.Snapshot.Facts.CanSignal:
		return "refused by PostgreSQL: our role may not signal"
	}
	return ""
}

func (v verdict) sameAs(other verdict) bool {
	v.Severities, other.Severities = "", ""
	return v == other
}

func newVerdict(p remediation.Preview) verdict {
	v := verdict{Reason: string(p.Reason), Rule: name(p.Rule), Detail: sentence(p.Detail)}
	escalates := p.Action == policy.CancelThenTerminate
	if p.First != "" && p.Approval {
		v.After = "after a person approves"
	}
	switch p.First {
	case session.Cancel:
		v.Action, v.Class = "cancel", "note"
		if escalates {
			v.Action, v.Class = "cancel, then terminate", "stop"
		}
	case session.Terminate:
		v.Action, v.Class = "terminate", "stop"
		if escalates {
			v.Detail = "at once, because a cancel does nothing here"
		}
	default:
		v.Action, v.Class = "leave alone", refusal
		switch p.Outcome {
		case ledger.Gone:
			v.Reason = string(ledger.Gone)
		case ledger.Failed:
			v.Reason, v.Detail = string(ledger.Failed), "it could not be read"
		default:
		}
	}
	return v
}
