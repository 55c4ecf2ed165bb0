package policy

import "github.com/pgbailiff/pgbailiff/internal/session"

// Subject is the session that Decide judges, with what its text says that it
// runs. NewSubject is the only way to make one; the zero Subject is a session
// that nobody may see, so it is refused.
type Subject struct {
	session.Found
	text statement
}

// NewSubject reads the session's text.
func NewSubject(found session.Found) Subject {
	return Subject{Found: found, text: parseStatement(found.Session)}
}
