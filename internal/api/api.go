// Package api serves the JSON API for people and their tools. Its handlers do not
// check the method, which the pattern of the route does. Those that let somebody
// act, Actions and Answer, take orders of operators only; Sessions and Approvals
// are for everybody who may read the metrics; Decisions and Resume are for those
// who may give orders, which the caller checks.
package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// maxDecisions is how many lines of the ledger Decisions returns.
const maxDecisions = 200

// Decisions serves GET /api/v1/decisions: the last lines of the ledger, newest
// first. Recent returns at most n of them.
func Decisions(recent func(n int) []ledger.Entry, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, struct {
			Decisions []ledger.Entry `json:"decisions"`
		}{recent(maxDecisions)}, logger)
	})
}

// Resume serves POST /-/resume?server=NAME: an operator ends a suspension. By
// tells the name of the person who does it; empty: somebody with the token.
func Resume(resume func(ctx context.Context, server, by string) error, by func(*http.Request) string, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server, who := r.URL.Query().Get("server"), by(r)
		switch err := resume(r.Context(), server, who); {
		case errors.Is(err, remediation.ErrUnknownServer):
			denial := auth.Denial{Status: http.StatusNotFound, Answer: err.Error()}
			denial.Write(w, r, logger)
		case err != nil:
			denial := auth.Denial{
				Status: http.StatusServiceUnavailable, Answer: "still suspended: the ledger could not be written", Cause: err,
			}
			denial.Write(w, r, logger)
		default:
			level.Info(logger).Log("msg", "An operator resumed remediation", "server", server, "by", who, "remote", r.RemoteAddr)
			_, _ = fmt.Fprintln(w, "resumed")
		}
	})
}
