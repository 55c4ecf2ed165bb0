package policy_test

import (
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestNoRuleLiftsTheFirstRungs(t *testing.T) {
	everything := []policy.RuleConfig{rule(policy.Terminate,
		`usename=~"app|postgres"`, `application_name=~"checkout|pg_dump"`, `command=~"SELECT|VACUUM"`, `severity="critical"`)}
	for name, tt := range map[string]struct {
		change func(*session.Found)
		want   policy.Reason
	}{
		"walsender":               {backend("walsender"), policy.ReasonProtectedBackend},
		"autovacuum worker":       {backend("autovacuum worker"), policy.ReasonProtectedBackend},
		"autovacuum launcher":     {backend("autovacuum launcher"), policy.ReasonProtectedBackend},
		"background worker":       {backend("background worker"), policy.ReasonProtectedBackend},
		"logical replication":     {backend("logical replication apply worker"), policy.ReasonProtectedBackend},
		"checkpointer":            {backend("checkpointer"), policy.ReasonProtectedBackend},
		"startup":                 {backend("startup"), policy.ReasonProtectedBackend},
		"Client Backend":          {backend("Client Backend"), policy.ReasonProtectedBackend},
		"parallel worker":         {func(s *session.Found) { s.LeaderPID, s.BackendType = 7, "parallel worker" }, policy.ReasonProtectedBackend},
		"worker of a client":      {func(s *session.Found) { s.LeaderPID = 7 }, policy.ReasonProtectedBackend},
		"our own":                 {func(s *session.Found) { s.Own = session.Yes }, policy.ReasonProtectedBackend},
		"SyncRep":                 {waiting("IPC", "SyncRep"), policy.ReasonSyncRep},
		"SyncRep of another type": {waiting("", "SyncRep"), policy.ReasonSyncRep},
		"track_activities off":    {state(session.StateDisabled), policy.ReasonNotVisible},
		"hidden":                  {backend(""), policy.ReasonNotVisible},
		"perhaps our own":         {func(s *session.Found) { s.Own = session.Unknown }, policy.ReasonProtectedBackend},
	} {
		t.Run(name, func(t *testing.T) {
			got := compile(t, everything...).Decide(severity("critical"), policy.NewSubject(client(tt.change)))
			if !got.Refused() || got.Reason != tt.want || got.Action != policy.None || got.Rule != "" {
				t.Errorf("the decision is %+v", got)
			}
		})
	}
	if got := compile(t, everything...).Decide(severity("critical"), policy.NewSubject(client(func(s *session.Found) { s.LeaderPID = s.PID }))); got.Refused() {
		t.Errorf("the leader of parallel workers is refused: %+v", got)
	}
}

func backend(kind string) func(*session.Found) {
	return func(s *session.Found) { s.BackendType = kind }
}

// Matchers that lift a protection, and matchers that do not.
func TestRuleThatNamesTheSessionLiftsItsProtection(t *testing.T) {
	protections := []struct {
		session session.Found
		reason  policy.Reason
		label   string
		lifts   []string
	}{
		{
			client(superuser), policy.ReasonProtectedUser, "usename",
			[]string{`usename="postgres"`, `usename=~"postgres"`, `usename=~"postgres|admin"`, `usename=~"post.*"`},
		}, {
			client(named("pgBackRest [backup]")), policy.ReasonProtectedBackup, "application_name",
			[]string{`application_name="pgBackRest [backup]"`, `application_name=~"pgBackRest.*"`, `application_name=~"(?i)pgbackrest.*"`},
		}, {
			client(query("vacuum (full) orders")), policy.ReasonProtectedMaintenance, "command",
			[]string{`command="VACUUM"`, `command=~"VACUUM|ANALYZE"`, `command=~"VAC.*"`},
		},
	}
	for _, p := range protections {
		all := []string{
			`severity="critical"`, `severity=~".+"`, `datname="shop"`, `alertname=~".*"`,
			p.label + `=~".*"`, p.label + `=~".+"`, p.label + `=~""`, p.label + `=~".*|x"`, p.label + `=~"[^a]+"`,
			p.label + `!="x"`, p.label + `!~"x"`, p.label + `!=""`, p.label + `!~""`,
		}
		for _, other := range protections {
			if other.label != p.label { // the right words on the wrong label
				all = append(all, other.label+`=~".*"`, other.label+`!="x"`)
			}
		}
		for _, action := range []policy.Action{policy.Cancel, policy.Terminate, policy.CancelThenTerminate} {
			for _, matcher := range all {
				got := compile(t, rule(action, matcher)).Decide(severity("critical"), policy.NewSubject(p.session))
				if !got.Refused() || got.Reason != p.reason {
					t.Errorf("{%s} %s: %s lifts it: %+v", matcher, action, p.reason, got)
				}
			}
			for _, matcher := range p.lifts {
				got := compile(t, rule(action, matcher)).Decide(severity("critical"), policy.NewSubject(p.session))
				if got.Refused() || got.Reason != policy.ReasonRule {
					t.Errorf("{%s} %s does not lift %s: %+v", matcher, action, p.reason, got)
				}
				// It lifts beside a matcher that does not, too.
				got = compile(t, rule(action, p.label+`!="x"`, matcher, `severity="critical"`)).Decide(severity("critical"), policy.NewSubject(p.session))
				if got.Refused() {
					t.Errorf("{%s} among others does not lift %s: %+v", matcher, p.reason, got)
				}
			}
		}
		// Only the first rule that matches counts.
		got := compile(t, rule(policy.Terminate, `datname="shop"`),
			policy.RuleConfig{Name: "late", Matchers: p.lifts[:1], Action: policy.Terminate}).Decide(nil, policy.NewSubject(p.session))
		if got.Reason != p.reason || got.Rule != "the rule" {
			t.Errorf("a rule that comes second lifts %s: %+v", p.reason, got)
		}
		// A severity lifts nothing.
		if got := compile(t).Decide(severity("critical"), policy.NewSubject(p.session)); got.Reason != p.reason {
			t.Errorf("the severity lifts %s: %+v", p.reason, got)
		}
	}
}

func TestEachProtectionNeedsItsOwnMatcher(t *testing.T) {
	s := client(superuser, named("pg_dump"), query("REINDEX TABLE orders"))
	for _, step := range []struct {
		matchers []string
		want     policy.Reason
	}{
		{[]string{`application_name="pg_dump"`, `command="REINDEX"`}, policy.ReasonProtectedUser},
		{[]string{`usename="postgres"`, `command="REINDEX"`}, policy.ReasonProtectedBackup},
		{[]string{`usename="postgres"`, `application_name="pg_dump"`}, policy.ReasonProtectedMaintenance},
		{[]string{`usename="postgres"`, `application_name="pg_dump"`, `command="REINDEX"`}, policy.ReasonRule},
	} {
		if got := compile(t, rule(policy.Terminate, step.matchers...)).Decide(nil, policy.NewSubject(s)); got.Reason != step.want {
			t.Errorf("%v: reason %s, want %s", step.matchers, got.Reason, step.want)
		}
	}
}

func TestBackupIsKnownByItsNameOrItsLastStatement(t *testing.T) {
	for _, s := range []session.Found{
		client(named("pg_dump")),
		client(named("pg_dumpall")),
		client(named("PG_DUMP")),
		client(named("pg_basebackup")),
		client(named("pgBackRest [backup]")),
		client(named("pgBackRest [archive-get]")),
		client(named("barman")),
		client(named("barman_streaming_backup")),
		client(named("wal-g")),
		client(query("SELECT pg_backup_start('nightly', true)"), state(session.StateIdle)),
		client(query("select pg_start_backup('nightly', false, false)"), state(session.StateIdle)),
		client(query("SELECT * FROM pg_backup_stop(wait_for_archive => false)")),
		client(query("SELECT * FROM pg_stop_backup(false)")),
		client(query(`/* barman */ SELECT pg_catalog."pg_backup_start"('x')`), state(session.StateIdleInXact)),
		client(query("SELECT PG_BACKUP_START('x')"), state(session.StateIdleAborted)),
	} {
		got := compile(t).Decide(severity("critical"), policy.NewSubject(s))
		if got.Reason != policy.ReasonProtectedBackup {
			t.Errorf("%s, %q: %+v", s.ApplicationName, s.Query, got)
		}
	}
	for _, s := range []session.Found{
		client(named("my pg_dump")), client(named("")), client(named("backup")), client(named("walg")),
		client(query("SELECT pg_backup()")),
	} {
		if got := compile(t).Decide(severity("critical"), policy.NewSubject(s)); got.Refused() {
			t.Errorf("%s, %q is no backup: %+v", s.ApplicationName, s.Query, got)
		}
	}
}

// A fact that was not read protects, and the refusal says so.
func TestFactThatWasNotReadProtects(t *testing.T) {
	read := policy.NewSubject(client())
	for name, tt := range map[string]struct {
		subject policy.Subject
		reason  policy.Reason
	}{
		"own":       {policy.NewSubject(client(func(s *session.Found) { s.Own = session.Unknown })), policy.ReasonProtectedBackend},
		"superuser": {policy.NewSubject(client(func(s *session.Found) { s.Superuser = session.Unknown })), policy.ReasonProtectedUser},
		"the text":  {policy.Subject{Found: client()}, policy.ReasonProtectedMaintenance},
		"nothing":   {policy.Subject{}, policy.ReasonNotVisible},
	} {
		got := compile(t, rule(policy.Terminate, `datname=~".*"`)).Decide(severity("critical"), tt.subject)
		if !got.Refused() || got.Reason != tt.reason || name != "nothing" && !strings.Contains(got.Detail, "not read") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := compile(t).Decide(severity("critical"), read); got.Refused() {
		t.Errorf("everything was read: %+v", got)
	}
}
