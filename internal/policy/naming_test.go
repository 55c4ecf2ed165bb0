package policy_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// protectedBy are protected sessions by the label that lifts the protection, with
// its value.
var protectedBy = map[string]struct {
	session session.Found
	value   string
}{
	"usename":          {client(superuser), "postgres"},
	"application_name": {client(named("pgBackRest [backup]")), "pgBackRest [backup]"},
	"command":          {client(query("reindex table t")), "REINDEX"},
}

// A pattern that matches a made-up name as well lifts nothing, however it is
// written.
func TestPatternForAnyOrdinaryNameLiftsNothing(t *testing.T) {
	for label, p := range protectedBy {
		for _, pattern := range []string{
			`\w+`, `\w.*`, `\S+`, `\S+.*`, `[a-z]+.*`, `(?i)[a-z]+.*`, `[A-Z]+.*`, `[a-zA-Z].*`, `[a-z0-9_]+`, `(?i)[a-z0-9_]+.*`, `[A-Z_]+`, `[ -~]+`, `[[:print:]]+`,
			`[[:alpha:]].*`, `[^0-9].*`, `[^_]+`, `[^x]+`, `[^q]+`, `[^ ]+.*`, `(?s).+`, `.?.+`, `..+`, `.{3,}`, `.{7}.*`, `.{1,63}`, `.{2,20}`, `[a-zA-Z][\w-]*.*`,
			`\w+|pg_dump`, `postgres|\w+.*`, `REINDEX|[A-Z]+`, `pgBackRest.*|.+`, `(postgres|pgBackRest|REINDEX|\w+).*`, `(?i)[a-r].*`,
			`.{` + strconv.Itoa(len(p.value)) + `}`,
		} {
			matcher := label + "=~" + strconv.Quote(pattern)
			got := compile(t, rule(policy.Terminate, matcher)).Decide(severity("critical"), policy.NewSubject(p.session))
			if !got.Refused() {
				t.Errorf("{%s} lifts the protection of %q", matcher, p.value)
			}
		}
	}
}

func TestPatternForOneNameLifts(t *testing.T) {
	for label, p := range protectedBy {
		for _, matcher := range []string{
			"=" + strconv.Quote(p.value),
			"=~" + strconv.Quote(strings.NewReplacer("[", `\[`, "]", `\]`).Replace(p.value)),
			"=~" + strconv.Quote(p.value[:3]+".*"),
			"=~" + strconv.Quote("(?i)"+strings.ToLower(p.value[:3])+`[a-z]*.*`),
			"=~" + strconv.Quote(`.*`+p.value[2:6]+`.*`),
			"=~" + strconv.Quote("etl|"+p.value[:4]+".*|metabase.*|airflow.*"),
			"=~" + strconv.Quote("("+p.value[:4]+"|etl_[0-9]+).*"),
		} {
			got := compile(t, rule(policy.Terminate, label+matcher)).Decide(severity("critical"), policy.NewSubject(p.session))
			if got.Refused() {
				t.Errorf("{%s%s} does not lift the protection of %q: %s", label, matcher, p.value, got.Detail)
			}
		}
	}
}

// The made-up names have every length and every kind of character.
func TestPatternForAnyUnusualNameLiftsNothing(t *testing.T) {
	for name, pattern := range map[string]string{
		strings.Repeat("long_name_", 6) + "xyz": `.{63}`,
		strings.Repeat("long_name_", 4):         `[a-z_]{40}`,
		"4711":                                  `\d+`,
		"47":                                    `[0-9]{2}`,
		"dba_1":                                 `[a-z]+_[a-z0-9]+`,
		"Dba":                                   `[A-Z][a-z]+`,
		"dba-x":                                 `[a-z]+-[a-z]+`,
		"żółw":                                  `[^ -~].*`,
	} {
		s := client(superuser, func(s *session.Found) { s.Usename = name })
		got := compile(t, rule(policy.Terminate, "usename=~"+strconv.Quote(pattern))).Decide(nil, policy.NewSubject(s))
		if !got.Refused() || got.Rule == "" {
			t.Errorf("usename=~%q for %q: %+v", pattern, name, got)
		}
	}
}

// A value that is written out lifts, even if it looks made up.
func TestEqualMatcherLiftsWhateverItsValue(t *testing.T) {
	for _, name := range []string{"q", "aho", "qx", "7319", "_", " "} {
		s := client(superuser, func(s *session.Found) { s.Usename = name })
		got := compile(t, rule(policy.Terminate, "usename="+strconv.Quote(name))).Decide(nil, policy.NewSubject(s))
		if got.Refused() {
			t.Errorf("usename=%q: %+v", name, got)
		}
	}
}
