package policytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// sessionKeys are the keys of a session in a file. A pointer is nil where the
// default is not the zero value.
type sessionKeys struct {
	Server          string  `yaml:"server"`
	PID             int32   `yaml:"pid"`
	Datname         *string `yaml:"datname"`
	Usename         *string `yaml:"usename"`
	ApplicationName string  `yaml:"application_name"`
	ClientAddr      string  `yaml:"client_addr"`
	BackendType     *string `yaml:"backend_type"`
	LeaderPID       int32   `yaml:"leader_pid"`
	Superuser       bool    `yaml:"superuser"`
	Own             bool    `yaml:"own"`
	State           *string `yaml:"state"`
	WaitEventType   string  `yaml:"wait_event_type"`
	WaitEvent       string  `yaml:"wait_event"`
	QueryID         int64   `yaml:"query_id"`
	Query           *string `yaml:"query"`
	QueryTruncated  bool    `yaml:"query_truncated"`
}

// session fills in the defaults: a client of an ordinary role that has been
// running a SELECT for a minute.
func (k sessionKeys) session(server string) (session.Found, error) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := session.Found{LeaderPID: k.LeaderPID, Superuser: session.FactOf(k.Superuser), Own: session.FactOf(k.Own)}
	s.Session = session.Session{
		ID:              session.ID{Server: server, PID: 4711, BackendStart: begin},
		Datname:         or(k.Datname, "postgres"),
		Usename:         or(k.Usename, "app"),
		ApplicationName: k.ApplicationName,
		ClientAddr:      k.ClientAddr,
		BackendType:     or(k.BackendType, session.BackendTypeClient),
		Activity: session.Activity{
			State:         session.State(or(k.State, string(session.StateActive))),
			QueryStart:    begin.Add(time.Minute),
			XactStart:     begin.Add(time.Minute),
			StateChange:   begin.Add(time.Minute),
			WaitEventType: k.WaitEventType,
		},
		WaitEvent:      k.WaitEvent,
		QueryID:        k.QueryID,
		Query:          or(k.Query, "SELECT 1"),
		QueryTruncated: k.QueryTruncated,
	}
	if k.Server != "" {
		s.Server = k.Server
	}
	if k.PID != 0 {
		s.PID = k.PID
	}
	if states := session.States(); s.State != "" && !slices.Contains(states, s.State) {
		return s, fmt.Errorf("PostgreSQL has no state %q; it has %q", s.State, states)
	}
	return s, nil
}

func or(value *string, otherwise string) string {
	if value == nil {
		return otherwise
	}
	return *value
}
