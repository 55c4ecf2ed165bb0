package policy

import (
	"slices"
	"strings"

	"github.com/DataDog/go-sqllexer"

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

// apart sets comments and quoted words apart from the word before them, to
// which the lexer would join them. PostgreSQL ends a word there. Inside a
// string it changes nothing that is looked at.
var apart = strings.NewReplacer("/*", " /*", "--", " --", `"`, ` "`)

// readText reads a text through comments and white space. It may hold several
// statements; each that is maintenance counts. A text that is cut off before it
// tells, that nests comments as PostgreSQL allows and the lexer does not, or
// that the lexer reads otherwise than PostgreSQL did, may be anything.
func readText(text string, truncated bool) statement {
	var st statement
	var words []string // the first ones of the statement that is being read
	begun := false     // it has anything but words
	lexer := sqllexer.New(apart.Replace(text), sqllexer.WithDBMS(sqllexer.DBMSPostgres))
	for token := lexer.Scan(); token.Type != sqllexer.EOF; token = lexer.Scan() {
		switch token.Type {
		case sqllexer.SPACE, sqllexer.COMMENT:
		case sqllexer.MULTILINE_COMMENT:
			if strings.Count(token.Value, "/*") > 1 {
				return unreadable()
			}
		case sqllexer.ERROR, sqllexer.INCOMPLETE_STRING:
			// Something is not closed. PostgreSQL runs no such text, so it is
			// cut off, or PostgreSQL has read it otherwise.
			if !truncated {
				return unreadable()
			}
			begun = begun || !strings.HasPrefix(token.Value, "/*")
		case sqllexer.COMMAND, sqllexer.KEYWORD, sqllexer.IDENT, sqllexer.FUNCTION,
			sqllexer.CTE_INDICATOR, sqllexer.ALIAS_INDICATOR, sqllexer.PROC_INDICATOR:
			if len(words) > 11 {
				continue
			}
			words = append(words, strings.ToUpper(token.Value))
			if st.command == "" {
				st.command = words[0]
			}
			if why := maintenance(words); why != "" {
				st.maintenance, st.why = true, why
				if !slices.Contains(st.keywords, words[0]) {
					st.keywords = append(st.keywords, words[0])
				}
			}
		default:
			begun = true
			if token.Value == ";" {
				words, begun = nil, false
			}
		}
	}
	if st.command == "" && strings.TrimSpace(text) != "" {
		return unreadable()
	}
	if truncated && !begun && !st.maintenance && mayBecomeMaintenance(words) {
		return unreadable()
	}
	return st
}

// mayBecomeMaintenance reports whether a statement of which these words are
// left, the last one perhaps in part, may be maintenance.
func mayBecomeMaintenance(words []string) bool {
	for _, phrase := range [][]string{
		{"VACUUM"},
		{"REINDEX"},
		{"CLUSTER"},
		{"CREATE", "INDEX", "CONCURRENTLY"},
		{"CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"},
		{"DROP", "INDEX", "CONCURRENTLY"},
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
	switch words[0] {
	case "VACUUM", "REINDEX", "CLUSTER":
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

// isBackup reports whether a backup depends on the session: by its name, or
// because the last thing it ran starts or ends one. Such a session looks
// plainly idle, and ending it ends the backup.
func isBackup(s session.Session) bool {
	name := strings.ToLower(s.ApplicationName)
	for _, tool := range []string{"pg_dump", "pg_basebackup", "pgbackrest", "barman", "wal-g"} {
		if strings.HasPrefix(name, tool) {
			return true
		}
	}
	text := strings.ToLower(s.Query)
	for _, function := range []string{"pg_backup_start", "pg_start_backup", "pg_backup_stop", "pg_stop_backup"} {
		if strings.Contains(text, function) {
			return true
		}
	}
	return false
}
