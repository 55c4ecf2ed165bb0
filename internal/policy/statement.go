package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// statement is what a session's text says about what it runs.
type statement struct {
	command string // first keyword, upper case; empty where the text does not tell

	maintenance bool
	keywords    []string // of the maintenance, as a rule must name it; none: no rule can
	why         string
}

// unreadable is a text that may be anything.
func unreadable() statement {
	return statement{maintenance: true, why: "its text does not tell what it is"}
}

// parseStatement reads the text of a session. Only a running statement is
// maintenance: in the other states the text is the previous one's. pg_repack's
// sessions are, whatever they run.
func parseStatement(s session.Session) statement {
	st := readText(s.Query, s.QueryTruncated)
	if strings.HasPrefix(strings.ToLower(s.ApplicationName), "pg_repack") {
		st.maintenance, st.keywords, st.why = true, []string{st.command}, "pg_repack; ended halfway it leaves a trigger behind"
	} else if s.State != session.StateActive {
		st.maintenance = false
	}
	return st
}

// readText reads a text, which may hold several statements; each that is
// maintenance counts. Where PostgreSQL may have read it in two ways, both count.
// A text that cannot be read at all, or that is cut off before it tells, may be
// anything.
func readText(text string, truncated bool) statement {
	readings := querytext.Read(text, truncated)
	if len(readings) == 0 {
		return unreadable()
	}
	st := judge(readings[0], truncated)
	for _, other := range readings[1:] {
		st.add(judge(other, truncated))
	}
	if st.command == "" && strings.TrimSpace(text) != "" {
		return unreadable()
	}
	return st
}

// judge says what one reading of a text runs.
func judge(r querytext.Reading, truncated bool) statement {
	st := statement{command: r.Command()}
	for _, each := range r.Statements {
		if why := maintenance(each.Words); why != "" {
			st.add(statement{maintenance: true, keywords: each.Words[:1], why: why})
		}
	}
	last := r.Statements[len(r.Statements)-1]
	if truncated && maintenance(last.Words) == "" && mayBecomeMaintenance(last) {
		return unreadable()
	}
	return st
}

// add adds what else a text may be.
func (st *statement) add(also statement) {
	if !also.maintenance {
		return
	}
	if also.keywords == nil || st.maintenance && st.keywords == nil {
		st.maintenance, st.keywords, st.why = true, nil, unreadable().why
		return
	}
	st.maintenance = true
	st.why = cmp.Or(st.why, also.why)
	for _, keyword := range also.keywords {
		if !slices.Contains(st.keywords, keyword) {
			st.keywords = append(st.keywords, keyword)
		}
	}
}

// mayBecomeMaintenance reports whether a statement that is cut off, perhaps
// within its last word, may have been maintenance.
func mayBecomeMaintenance(cut querytext.Statement) bool {
	words := cut.Words
	if !cut.Others && len(words) > 0 && words[0] == "ALTER" {
		return len(words) < querytext.MaxWords // DETACH PARTITION CONCURRENTLY has names before it
	}
	if cut.Names || cut.Others {
		return false
	}
	for _, phrase := range [][]string{
		{"VACUUM"},
		{"REINDEX"},
		{"CLUSTER"},
		{"REPACK"},
		{"CREATE", "INDEX", "CONCURRENTLY"},
		{"CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"},
		{"DROP", "INDEX", "CONCURRENTLY"},
		{"ALTER"},
	} {
		if strings.HasPrefix(strings.Join(phrase, " "), strings.Join(words, " ")) {
			return true
		}
	}
	return false
}

// maintenance says what the first words of a statement are, if a signal would
// leave something broken or undone behind.
func maintenance(words []string) string {
	if len(words) == 0 {
		return ""
	}
	switch words[0] {
	case "VACUUM", "REINDEX", "CLUSTER", "REPACK":
		return words[0]
	case "CREATE":
		i := 1
		if len(words) > i && words[i] == "UNIQUE" {
			i++
		}
		if len(words) > i+1 && words[i] == "INDEX" && words[i+1] == "CONCURRENTLY" {
			return "CREATE INDEX CONCURRENTLY; ended halfway it leaves an invalid index behind"
		}
	case "DROP":
		if len(words) > 2 && words[1] == "INDEX" && words[2] == "CONCURRENTLY" {
			return "DROP INDEX CONCURRENTLY; ended halfway it leaves an invalid index behind"
		}
	case "ALTER":
		if slices.Contains(words, "DETACH") && slices.Contains(words, "CONCURRENTLY") {
			return "DETACH PARTITION CONCURRENTLY; ended halfway it leaves a partition half detached"
		}
	}
	return ""
}
