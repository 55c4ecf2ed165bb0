package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// result is the answer to an order: the object of the webhook's answer, with who
// ordered it, the detail, and the id that the lines of the ledger have as their
// decision. All keys are always there.
type result struct {
	Fingerprint string             `json:"fingerprint"`
	Server      string             `json:"server"`
	PID         int32              `json:"pid"`
	Action      remediation.Action `json:"action"`
	Outcome     ledger.Outcome     `json:"outcome"`
	Reason      remediation.Reason `json:"reason"`
	Rule        string             `json:"rule"`
	By          string             `json:"by"`
	Detail      string             `json:"detail"`
	ID          string             `json:"id"`
}

func newResult(r remediation.Result) result {
	return result{
		Fingerprint: r.Fingerprint, Server: r.Server, PID: r.PID, Action: r.Action, Outcome: r.Outcome,
		Reason: r.Reason, Rule: r.Rule, By: r.By, Detail: r.Detail, ID: r.Decision,
	}
}

// statusOf is the status of an answer: an order that was not carried out is no
// success. What is approved in the mode dry-run has been carried out as far as that
// goes.
func statusOf(r remediation.Result) int {
	switch {
	case r.Retry:
		return http.StatusServiceUnavailable
	case r.Outcome == ledger.Cancelled, r.Outcome == ledger.Terminated, r.Outcome == ledger.DryRun:
		return http.StatusOK
	case r.Outcome == ledger.Gone:
		return http.StatusNotFound
	case r.Outcome == ledger.Refused:
		return http.StatusConflict
	default:
		return http.StatusBadGateway
	}
}

// Actions serves POST /api/v1/actions: an operator's order by hand. Person tells
// who makes the request. The order is carried out even if the client hangs up.
func Actions(
	remediate func(context.Context, remediation.Request) remediation.Result,
	person func(*http.Request) auth.Person, logger log.Logger,
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, denial := operator(r, person)
		if denial != nil {
			denial.Write(w, r, logger)
			return
		}
		request, denial := readOrder(w, r, who.Name)
		if denial != nil {
			denial.Write(w, r, logger)
			return
		}
		// While it arrived, a reload may have taken the right to it.
		if _, denial = operator(r, person); denial != nil {
			denial.Write(w, r, logger)
			return
		}
		got := remediate(context.WithoutCancel(r.Context()), request)
		write(w, statusOf(got), newResult(got), logger)
	})
}

// readOrder reads what a person orders. What does not name a session is an order
// all the same, which is refused and recorded.
func readOrder(w http.ResponseWriter, r *http.Request, by string) (remediation.Request, *auth.Denial) {
	var (
		f         session.Fence
		o         remediation.Order
		said      string
		noSession error
	)
	denial := readObject(w, r, fields{
		session.LabelServer:       text(&f.Server),
		session.LabelPID:          pid(&f.PID),
		session.LabelBackendStart: moment(&f.BackendStart),
		session.LabelQueryStart:   moment(&f.QueryStart),
		session.LabelXactStart:    moment(&f.XactStart),
		session.LabelStateChange:  moment(&f.StateChange),
		"action":                  action(&o.Action),
		"lift":                    lift(&o.Lift),
		"comment":                 comment(&said),
	})
	switch {
	case denial != nil:
		return remediation.Request{}, denial
	case o.Action == "":
		return remediation.Request{}, badRequest("action is missing")
	case f.PID == 0:
		noSession = session.ErrNoPID
	}
	return remediation.Manual(by, said, o, f, noSession), nil
}

// action reads one of the actions that do something.
func action(to *remediation.Action) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if err := unmarshal(value, to, "a string"); err != nil {
			return err
		}
		if to.Validate() != nil || *to == remediation.None {
			return errors.New("is not cancel, terminate or cancel-then-terminate")
		}
		return nil
	}
}

// lift reads the reasons that a person sets aside.
func lift(to *[]remediation.Reason) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if err := unmarshal(value, to, "a list of reasons"); err != nil {
			return err
		}
		for _, reason := range *to {
			if !slices.Contains(remediation.Liftable(), reason) {
				return errors.New("names a reason that cannot be lifted: " + short(string(reason)))
			}
		}
		return nil
	}
}
