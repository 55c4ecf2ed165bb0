package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// approval is an order of an alert that waits for a person. The identity is the
// one that was asked about. Of the alert's labels no others are shown, and of
// the session no text: query_text may have changed since it was written.
type approval struct {
	ID     string `json:"id"`
	Server string `json:"server"`
	PID    int32  `json:"pid"`
	periods
	Action      remediation.Action `json:"action"`
	Rule        string             `json:"rule"`
	Alertname   string             `json:"alertname"`
	Severity    string             `json:"severity"`
	Fingerprint string             `json:"fingerprint"`
	AskedAt     time.Time          `json:"asked_at"`
	Until       time.Time          `json:"until"`
	facts
	SessionID string `json:"session_id"`
}

func newApproval(e ledger.Entry) approval {
	return approval{
		ID: e.ID, Server: e.Server, PID: e.PID,
		periods: newPeriods(e.BackendStart.Time, session.Activity{
			QueryStart: e.QueryStart.Time, XactStart: e.XactStart.Time, StateChange: e.StateChange.Time,
		}),
		Action: e.Action, Rule: e.Rule, Alertname: e.Alertname, Severity: e.Severity, Fingerprint: e.Fingerprint,
		AskedAt: e.Time.UTC(), Until: e.Until.UTC(),
		facts: facts{
			Datname: e.Datname, Usename: e.Usename, ApplicationName: e.ApplicationName, ClientAddr: e.ClientAddr,
			State: e.State, WaitEventType: e.WaitEventType, WaitEvent: e.WaitEvent,
		},
		SessionID: e.SessionID,
	}
}

// Approvals serves GET /api/v1/approvals: what waits for a person, oldest first.
func Approvals(list func() []ledger.Entry, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all := []approval{}
		for _, asked := range list() {
			all = append(all, newApproval(asked))
		}
		write(w, http.StatusOK, struct {
			Approvals []approval `json:"approvals"`
		}{all}, logger)
	})
}

// Answer serves POST /api/v1/approvals/{id}: an operator approves or denies what
// waits. An approved order is carried out even if the client hangs up.
func Answer(
	approve, deny func(ctx context.Context, id, by, comment string) (remediation.Result, error),
	person func(*http.Request) auth.Person, logger log.Logger,
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, denial := operator(r, person)
		if denial != nil {
			denial.Write(w, r, logger)
			return
		}
		approved, said, denial := readAnswer(w, r)
		if denial != nil {
			denial.Write(w, r, logger)
			return
		}
		// While it arrived, a reload may have taken the right to it.
		if _, denial = operator(r, person); denial != nil {
			denial.Write(w, r, logger)
			return
		}
		give := deny
		if approved {
			give = approve
		}
		id := r.PathValue("id")
		got, err := give(context.WithoutCancel(r.Context()), id, who.Name, said)
		if err != nil {
			notAnswered(err).Write(w, r, logger)
			return
		}
		level.Info(logger).Log("msg", "An operator answered what an alert had asked", "approved", approved,
			"id", id, "by", who.Name, "server", got.Server, "pid", got.PID)
		status := http.StatusOK // a denial does what it is meant to
		if approved {
			status = statusOf(got)
		}
		write(w, status, newResult(got), logger)
	})
}

// notAnswered says why an answer was not taken.
func notAnswered(err error) *auth.Denial {
	switch {
	case errors.Is(err, ledger.ErrNoApproval):
		return &auth.Denial{Status: http.StatusNotFound, Answer: ledger.ErrNoApproval.Error()}
	case errors.Is(err, ledger.ErrAnswered):
		return &auth.Denial{Status: http.StatusConflict, Answer: ledger.ErrAnswered.Error()}
	default:
		return &auth.Denial{
			Status: http.StatusServiceUnavailable, Answer: "it still waits: the ledger could not be written", Cause: err,
		}
	}
}

// readAnswer reads a person's answer.
func readAnswer(w http.ResponseWriter, r *http.Request) (approved bool, said string, _ *auth.Denial) {
	decision := ""
	denial := readObject(w, r, fields{
		"decision": func(value json.RawMessage) error {
			if err := unmarshal(value, &decision, "a string"); err != nil {
				return err
			}
			if decision != "approve" && decision != "deny" {
				return errors.New("is not approve or deny")
			}
			return nil
		},
		"comment": comment(&said),
	})
	if denial == nil && decision == "" {
		denial = badRequest("decision is missing")
	}
	return decision == "approve", said, denial
}
