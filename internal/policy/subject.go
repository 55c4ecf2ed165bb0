package policy

import "github.com/pgbailiff/pgbailiff/internal/session"

// Subject is the session that Decide judges, and what its text says. Make one
// with NewSubject. Without it the text is not read, and counts as maintenance;
// the zero Subject is a session that our role may not see.
type Subject struct {
	session.Found
	text statement
	read bool
}

// NewSubject reads the session's text.
func NewSubject(found session.Found) Subject {
	return Subject{Found: found, text: parseStatement(found.Session), read: true}
}
