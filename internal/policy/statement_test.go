package policy_test

import (
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// isMaintenance asks the policy, from outside.
func isMaintenance(t *testing.T, s session.Found) bool {
	t.Helper()
	return compile(t).Decide(severity("critical"), policy.NewSubject(s)).Reason == policy.ReasonProtectedMaintenance
}

func TestMaintenanceIsSeenAmongCommentsAndOtherStatements(t *testing.T) {
	for _, text := range []string{
		"VACUUM", "vacuum", "VaCuUm (FULL, VERBOSE) orders;", "VACUUM(FULL)orders", "VACUUM ANALYZE",
		"REINDEX TABLE orders", "REINDEX(VERBOSE) INDEX CONCURRENTLY i", "reindex database shop",
		"CLUSTER", "CLUSTER orders USING i", "cluster(verbose) orders",
		"CREATE INDEX CONCURRENTLY i ON orders (id)", "create unique index concurrently on orders (id)",
		"CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (id)",
		"CREATE\n\tUNIQUE\r\n INDEX\fCONCURRENTLY i ON orders (id)",
		"  \t\r\n\f\v VACUUM", ";;; VACUUM", " ; /* x */ ; REINDEX TABLE t",
		"-- a comment\nVACUUM orders", "--\n--\nVACUUM", "/* a comment */ VACUUM", "/**/VACUUM/**/orders",
		"/* -- */ VACUUM", "-- /*\nVACUUM", "/* ' */ VACUUM", `/* " $$ */ VACUUM`,
		"REINDEX/* c */TABLE t", "REINDEX/**/TABLE t", "REINDEX--c\nTABLE t", "CLUSTER/* c */orders",
		"CREATE/* c */UNIQUE/* c */INDEX/* c */CONCURRENTLY/* c */i ON t (id)",
		"CREATE INDEX--\nCONCURRENTLY--\ni ON t (id)",
		`VACUUM"orders"`, `CLUSTER"orders"`, `CREATE INDEX CONCURRENTLY"i" ON t (id)`, `REINDEX TABLE"t"`,
		"SELECT 1; VACUUM orders", "BEGIN; REINDEX TABLE t; COMMIT", "select 1;reindex table t",
		"REPACK", "repack orders", "REPACK (CONCURRENTLY) orders USING INDEX i", "repack(verbose)orders", "/* c */ REPACK",
		"DROP INDEX CONCURRENTLY i", "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
		"ALTER TABLE IF EXISTS shop.public.t DETACH PARTITION shop.public.p CONCURRENTLY",
		`ALTER TABLE "shop"."public"."t" DETACH PARTITION "p" CONCURRENTLY`,
		"SELECT 'it\\'s' FROM t; VACUUM", // standard_conforming_strings is off
		"SELECT ';'; CLUSTER t", "SELECT $$;$$; CLUSTER t", `SELECT ";"; CLUSTER t`, `SELECT E'\';'; CLUSTER t`,
		"SELECT a/* it's */ FROM t; REINDEX TABLE t", "SELECT 1+--it's\n2; REINDEX TABLE t",
		`SELECT"it's a column" FROM t; REINDEX TABLE t`, "SELECT 1 -- ;\n; REINDEX TABLE t",
		strings.Repeat("SELECT 1; ", 100) + "VACUUM", "/*" + strings.Repeat("x", 100_000) + "*/ VACUUM",
	} {
		if !isMaintenance(t, client(query(text))) {
			t.Errorf("%.80q is not seen as maintenance", text)
		}
	}
}

func TestTextThatOnlyLooksLikeMaintenanceIsNot(t *testing.T) {
	for _, text := range []string{
		"SELECT 'VACUUM'", "SELECT ';VACUUM'", "SELECT $$; VACUUM $$", "SELECT $x$; $$ VACUUM $x$", "SELECT '''; VACUUM'",
		`SELECT "; VACUUM"`, `"VACUUM"`, "SELECT 1 -- ; VACUUM", "SELECT 1 /* ; VACUUM */", "SELECT vacuum FROM t",
		"CREATE INDEX i ON orders (id)", "CREATE UNIQUE INDEX i ON orders (id)", "CREATE INDEX ON concurrently (id)",
		`CREATE INDEX "concurrently" ON t (id)`, "CREATE TABLE index (concurrently int)",
		"REFRESH MATERIALIZED VIEW CONCURRENTLY v", "ANALYZE", "VACUUMING", "vacuum_log", "EXPLAIN SELECT 1",
		"ALTER TABLE t CLUSTER ON i", "SELECT repack()", "REPACKING", "CLUſTER t", "ALTER TABLE t DETACH PARTITION p",
		"SELECT 1 -- \f; VACUUM",
		`SELECT 'it\'s; VACUUM'`, // standard_conforming_strings is off "SELECT E'\\'; VACUUM'", "SELECT E'it\\'s; VACUUM'",
	} {
		want := policy.ReasonSeverity
		if text == `"VACUUM"` { // no statement begins like that: the text does not tell
			want = policy.ReasonProtectedMaintenance
		}
		got := compile(t).Decide(severity("critical"), policy.NewSubject(client(query(text))))
		if got.Reason != want {
			t.Errorf("%q: reason %s (%s)", text, got.Reason, got.Detail)
		}
	}
}

// In doubt nobody is signalled, and no rule lifts that.
func TestTextThatCannotBeReadIsMaintenance(t *testing.T) {
	anything := rule(policy.Terminate, `usename="app"`)
	precise := rule(policy.Terminate, `command=~"|SELECT|VACUUM|CREATE"`)
	for name, text := range map[string]string{
		"cut off in a comment":        "/* a long story",
		"cut off after a comment":     "/* a long story */",
		"only white space after one":  "-- story\n  ",
		"a comment in an open one":    "/* a /* b */ SELECT 1",
		"an open quote":               "SELECT 'it''s FROM t; VACUUM",
		"an open quoted word":         `SELECT "a; VACUUM`,
		"an open dollar quote":        "SELECT $a$ ; VACUUM",
		"a dollar quote beyond ASCII": "SELECT $ä$ ' $ä$; VACUUM",
		"no words at all":             "????",
		"a NUL byte":                  "\x00VACUUM",
		"only semicolons":             ";;;",
		"bytes that are not UTF-8":    "\xff\xfe",
	} {
		for _, r := range []policy.RuleConfig{anything, precise} {
			got := compile(t, r).Decide(nil, policy.NewSubject(client(query(text))))
			if !got.Refused() || r.Matchers[0] == anything.Matchers[0] && got.Reason != policy.ReasonProtectedMaintenance {
				t.Errorf("%s, {%s}: %+v", name, r.Matchers[0], got)
			}
		}
	}
}

// The server cuts a text at track_activity_query_size. What is left of the
// last statement may be the beginning of maintenance.
func TestTextThatIsCutOffTooEarlyIsMaintenance(t *testing.T) {
	cut := func(text string) session.Found {
		return client(query(text), func(s *session.Found) { s.QueryTruncated = true })
	}
	for _, text := range []string{
		"V", "VACUU", "REIN", "CREATE", "CREATE IND", "CREATE INDEX", "CREATE INDEX CONC", "CREATE UNIQUE", "CREATE UNIQUE INDEX CON",
		"CREATE INDEX /* a long story", "CREATE INDEX -- a long story", "create index\n", "SELECT 1;", "SELECT 1; VAC", "SELECT 1; /* long",
		"REPAC", "DROP", "DROP INDEX", "DROP INDEX CONC", "ALTER", "ALT", "ALTER TABLE t DETACH PARTITION p", `ALTER TABLE a."b" DETACH PARTITION a."c" CONC`,
		"VACUUM", "VACUUM (FULL", "SELECT 'x'; CREATE INDEX",
		`SELECT '\'; `, `SELECT 'a\'', ''; `, // a backslash that may mean either
	} {
		if !isMaintenance(t, cut(text)) {
			t.Errorf("what is left is %q, and that is not maintenance", text)
		}
	}
	for _, text := range []string{
		"SELECT a, b, c FR", "INSERT INTO t VALUES ('long", `SELECT "a`, "CREATE INDEX i", `CREATE INDEX "conc`, "CREATE TABLE",
		"SELECT 1; INSERT", "ALTER TABLE t ADD COLUMN (a", "ALTER TABLE t ADD CHECK (a > 0", "DROP INDEX i", "DROP TABLE", "UPDATE t SET a = $$long", "SELECT 1 /* long", "COPY t FROM", "SELECT 1; VALUES (1",
	} {
		if got := compile(t).Decide(severity("critical"), policy.NewSubject(cut(text))); got.Refused() {
			t.Errorf("what is left is %q: %+v", text, got)
		}
	}
	if got := compile(t, rule(policy.Cancel, `command="VACUUM"`)).Decide(nil, policy.NewSubject(cut("VACUUM /* long"))); got.Refused() {
		t.Errorf("a cut VACUUM is not lifted by a rule that names it: %+v", got)
	}
}

// In the other states the text is that of the previous statement.
func TestOnlyRunningStatementsAreMaintenance(t *testing.T) {
	for _, st := range session.States() {
		s := client(query("VACUUM"), state(st))
		if got, want := isMaintenance(t, s), st == session.StateActive; got != want {
			t.Errorf("%s: maintenance = %t", st, got)
		}
	}
}

// The sessions of pg_repack are maintenance in every state, whatever they run.
func TestPgRepackIsMaintenanceWhateverItRuns(t *testing.T) {
	for _, st := range []session.State{session.StateActive, session.StateIdle, session.StateIdleInXact, session.StateIdleAborted, session.StateFastpath} {
		for _, name := range []string{"pg_repack", "PG_REPACK", "pg_repack 1.5"} {
			s := client(named(name), state(st), query("LOCK TABLE orders"))
			if !isMaintenance(t, s) {
				t.Errorf("%s while %s is not", name, st)
			}
			if got := compile(t, rule(policy.Terminate, `command="LOCK"`)).Decide(nil, policy.NewSubject(s)); got.Refused() {
				t.Errorf("%s while %s, named by its command: %+v", name, st, got)
			}
		}
	}
}

func TestRuleMustNameAllMaintenanceOfAText(t *testing.T) {
	for _, tt := range []struct {
		text, matcher string
		lifted        bool
	}{
		{"select 1; vacuum", `command="SELECT"`, false},
		{"select 1; vacuum", `command=~"SELECT|VACUUM"`, true},
		{"reindex table a; cluster b", `command="REINDEX"`, false},
		{"reindex table a; cluster b", `command=~"REINDEX|CLUSTER"`, true},
		{"reindex table a; reindex table b", `command="REINDEX"`, true},
		{"create index concurrently i on t (id)", `command="CREATE"`, true},
		{"create table t (id int); vacuum", `command="CREATE"`, false},
	} {
		got := compile(t, rule(policy.Terminate, tt.matcher)).Decide(nil, policy.NewSubject(client(query(tt.text))))
		if got.Refused() == tt.lifted {
			t.Errorf("%q with {%s}: %+v", tt.text, tt.matcher, got)
		}
	}
	// What was cut off may be maintenance of another kind.
	for _, text := range []string{"reindex table a; create ind", `reindex table a; select 'a\'', ''; `} {
		cut := client(query(text), func(s *session.Found) { s.QueryTruncated = true })
		if got := compile(t, rule(policy.Terminate, `command="REINDEX"`)).Decide(nil, policy.NewSubject(cut)); !got.Refused() {
			t.Errorf("%q with a rule for REINDEX: %+v", cut.Query, got)
		}
	}
}

// The text's first keyword, in upper case; empty if the text does not tell.
func TestMatchersSeeTheCommand(t *testing.T) {
	for text, want := range map[string]string{
		"/* c */ select 1": "SELECT", "copy t from stdin": "COPY", "; select 1": "SELECT", "": "", ";": "", "/* a /* select 1 */": "",
	} {
		p := compile(t, rule(policy.Terminate, `command="`+want+`"`))
		if got := p.Decide(nil, policy.NewSubject(client(query(text)))); got.Rule == "" {
			t.Errorf("the command of %q is not %q", text, want)
		}
	}
}
