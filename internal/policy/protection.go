package policy

import (
	"fmt"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// protection is one rung of the ladder in doc.go.
type protection struct {
	reason Reason
	// liftedBy is the label that a matcher of the rule must name to lift the
	// protection. Empty: nothing lifts it.
	liftedBy string
	// ofStatement: whether it applies changes with the statement that the session
	// runs. The signalling statement checks these again.
	ofStatement bool
	// applies says whether the session is protected, and why. A fact that was not
	// read protects.
	applies func(Subject) (detail string, applies bool)
}

// protections are tried in this order; the first one that applies and is not
// lifted refuses.
var protections = []protection{
	{reason: ReasonNotVisible, applies: isHidden},
	{reason: ReasonProtectedBackend, applies: isNotClient},
	{reason: ReasonNotVisible, applies: isUntracked},
	{reason: ReasonSyncRep, ofStatement: true, applies: waitsForStandby},
	{reason: ReasonProtectedUser, liftedBy: "usename", applies: isSuperuser},
	{reason: ReasonProtectedBackup, liftedBy: "application_name", ofStatement: true, applies: isBackup},
	{reason: ReasonProtectedMaintenance, liftedBy: "command", ofStatement: true, applies: isMaintenance},
}

// AlwaysProtected returns the refusal that holds whatever the session runs and
// whatever the configuration says. The second result is false if there is none.
func AlwaysProtected(s Subject) (Decision, bool) {
	for _, row := range protections {
		if row.liftedBy != "" || row.ofStatement {
			continue
		}
		if detail, applies := row.applies(s); applies {
			return row.refuse(Decision{}, detail), true
		}
	}
	return Decision{}, false
}

// liftedFor reports whether the rule lifts the protection for the session: it
// has matchers that name every value of the label.
func (row protection) liftedFor(s Subject, r rule) bool {
	return row.liftedBy != "" && r.names(row.liftedBy, s.values(row.liftedBy)...)
}

// refuse makes a refusal of a decision. Where nothing lifts the protection, it
// does not matter what the rules order.
func (row protection) refuse(d Decision, detail string) Decision {
	if row.liftedBy == "" {
		d = Decision{Action: None}
	}
	return d.refuse(row.reason, detail)
}

func isHidden(s Subject) (string, bool) {
	return "our role may not see the session; grant it pg_monitor", !s.Visible()
}

func isNotClient(s Subject) (string, bool) {
	switch {
	case s.LeaderPID != 0 && s.LeaderPID != s.PID:
		return fmt.Sprintf("a parallel worker; its leader is pid %d", s.LeaderPID), true
	case s.BackendType != session.BackendTypeClient:
		return "not a client's session but: " + s.BackendType, true
	case s.Own == session.Unknown:
		return "it was not read whether the session is pgbailiff's own", true
	case s.Own != session.No:
		return "pgbailiff's own session", true
	}
	return "", false
}

func isUntracked(s Subject) (string, bool) {
	return "track_activities is off in the session: nobody can see what it does", s.State == session.StateDisabled
}

func waitsForStandby(s Subject) (string, bool) {
	return "its commit waits for a synchronous standby", s.WaitEvent == "SyncRep"
}

func isSuperuser(s Subject) (string, bool) {
	if s.Superuser == session.Unknown {
		return "it was not read whether the session is a superuser's", true
	}
	return "a superuser's session", s.Superuser != session.No
}

// isBackup reports whether a backup depends on the session: by its name, or
// because the last thing it ran starts or ends one. Such a session looks
// plainly idle, and ending it ends the backup.
func isBackup(s Subject) (string, bool) {
	const detail = "a backup, or a session that started one"
	name := strings.ToLower(s.ApplicationName)
	for _, tool := range []string{"pg_dump", "pg_basebackup", "pgbackrest", "barman", "wal-g"} {
		if strings.HasPrefix(name, tool) {
			return detail, true
		}
	}
	text := strings.ToLower(s.Query)
	for _, function := range []string{"pg_backup_start", "pg_start_backup", "pg_backup_stop", "pg_stop_backup"} {
		if strings.Contains(text, function) {
			return detail, true
		}
	}
	return "", false
}

func isMaintenance(s Subject) (string, bool) {
	if !s.read {
		return "its text was not read", true
	}
	return s.text.why, s.text.maintenance
}
