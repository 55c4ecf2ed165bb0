package policy

import (
	"maps"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// fact is a label of the live session that matchers see.
type fact struct {
	label string
	// ofStatement: the value changes with the statement that the session runs.
	ofStatement bool
	value       func(Subject) string
}

var sessionFacts = []fact{
	{"datname", false, func(s Subject) string { return s.Datname }},
	{"usename", false, func(s Subject) string { return s.Usename }},
	{"application_name", false, func(s Subject) string { return s.ApplicationName }},
	{"client_addr", false, func(s Subject) string { return s.ClientAddr }},
	{"state", true, func(s Subject) string { return string(s.State) }},
	{"wait_event_type", true, func(s Subject) string { return s.WaitEventType }},
	{"wait_event", true, func(s Subject) string { return s.WaitEvent }},
	{"query_id", true, queryID},
	{"command", true, func(s Subject) string { return s.text.command }},
	{"query", true, func(s Subject) string { return s.Query }},
}

func queryID(s Subject) string {
	if s.QueryID == 0 {
		return ""
	}
	return strconv.FormatInt(s.QueryID, 10)
}

// facts are the labels that matchers see: the alert's, and over them the live
// session's. An alert need not name the server if there is only one.
func facts(alert map[string]string, s Subject) map[string]string {
	f := maps.Clone(alert)
	if f == nil {
		f = map[string]string{}
	}
	if s.Server != "" {
		f[session.LabelServer] = s.Server
	}
	for _, fact := range sessionFacts {
		f[fact.label] = fact.value(s)
	}
	return f
}

// changesWithStatement reports whether a label says something about the
// statement, and not only about the session.
func changesWithStatement(label string) bool {
	for _, fact := range sessionFacts {
		if fact.label == label {
			return fact.ofStatement
		}
	}
	return false
}

// values are what a rule must name of the label. The commands are those of all
// maintenance in the text; there are none if the text does not tell.
func (s Subject) values(label string) []string {
	if label == "command" {
		return s.text.keywords
	}
	for _, fact := range sessionFacts {
		if fact.label == label {
			return []string{fact.value(s)}
		}
	}
	return nil
}
