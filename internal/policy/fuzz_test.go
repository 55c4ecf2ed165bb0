package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// FuzzStatement: any text can be decided about, and a comment in front of it
// hides no maintenance.
func FuzzStatement(f *testing.F) {
	for _, text := range []string{
		"", ";", "select 1", "VACUUM", "/* a /* b */ c */ vacuum", "create unique index/**/concurrently i on t(id)",
		`select "a""b" from t; reindex table t`, "select $x$ ; $x$; cluster", "select E'\\''; vacuum", "$", "$$", "$ä$", "'", `"`, "/*", "--", "\x00", "\xff", "U&'\\00e9'",
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	p, err := policy.New(policy.Config{SeverityLabel: "severity", Severities: map[string]policy.Action{"critical": policy.Terminate}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, truncated bool) {
		s := client(query(text))
		s.QueryTruncated = truncated
		if p.Decide(severity("critical"), policy.NewSubject(s)).Reason != policy.ReasonProtectedMaintenance {
			return
		}
		for _, front := range []string{"/* c */ ", "-- c\n", " \n", "/**/", ";"} {
			s.Query = front + text
			if got := p.Decide(severity("critical"), policy.NewSubject(s)); got.Reason != policy.ReasonProtectedMaintenance {
				t.Errorf("maintenance in %q, none in %q: %+v", text, s.Query, got)
			}
		}
	})
}

// FuzzMatcher: any matcher is either accepted, and then it works, or reported
// with its path.
func FuzzMatcher(f *testing.F) {
	for _, line := range []string{
		`usename="app"`, `{a="b",c!="d"}`, `query=~"(?i).*slow.*"`, `a=~"("`, `{`, `}`, ``, `a`, `a=`, `"a b"="c"`, "a=\"\xff\"", `ä=ö`, `a!~".*"`, "a=\x00",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, err := policy.New(policy.Config{Rules: []policy.RuleConfig{{Name: "r", Matchers: []string{line}, Action: policy.Terminate}}})
		if err != nil {
			var mistake *field.Error
			if !errors.As(err, &mistake) || mistake.Path != "rules.0.matchers.0" || p != nil {
				t.Fatalf("New = %v, %v", p, err)
			}
			return
		}
		got := p.Decide(map[string]string{"usename": "app", "a": "b"}, policy.NewSubject(client()))
		if got.Refused() == (got.Rule == "r") {
			t.Errorf("decided %+v", got)
		}
		if got := p.Decide(nil, policy.NewSubject(client(superuser))); !got.Refused() && !strings.Contains(line, "usename") {
			t.Errorf("a superuser's session: %+v", got)
		}
	})
}
