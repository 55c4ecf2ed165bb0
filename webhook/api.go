package webhook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// shown is how many lines of the ledger /api/v1/decisions returns.
const shown = 200

// Decisions serves the last lines of the ledger as JSON, newest first.
func (h *Handler) Decisions() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d := h.settings.Load().authorize(r, false); d != nil {
			h.deny(w, r, d)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			h.deny(w, r, &denial{status: http.StatusMethodNotAllowed, answer: "this takes GET"})
			return
		}
		h.writeJSON(w, http.StatusOK, struct {
			Decisions []ledger.Entry `json:"decisions"`
		}{h.ledger.Recent(shown)})
	})
}

// Resume serves POST /-/resume?server=NAME: an operator ends a suspension.
func (h *Handler) Resume() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := h.settings.Load()
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			h.deny(w, r, &denial{status: http.StatusMethodNotAllowed, answer: "this takes POST"})
			return
		}
		if d := set.authorize(r, false); d != nil {
			h.deny(w, r, d)
			return
		}
		server := r.URL.Query().Get("server")
		if _, known := set.Servers[server]; !known {
			h.deny(w, r, &denial{status: http.StatusNotFound, answer: "no server of this name is configured"})
			return
		}
		if err := h.ledger.Resume(r.Context(), server, time.Now()); err != nil {
			h.deny(w, r, &denial{
				status: http.StatusServiceUnavailable,
				answer: "still suspended: the ledger could not be written", cause: err,
			})
			return
		}
		h.showSuspension(server)
		level.Info(h.logger).Log("msg", "An operator resumed remediation", "server", server, "remote", r.RemoteAddr)
		_, _ = fmt.Fprintln(w, "resumed")
	})
}
