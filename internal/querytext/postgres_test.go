package querytext_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
)

// In these tests PostgreSQL itself says how it reads a text. Each text contains
// "reindex table hidden", and there is no such table: a server that reads it as
// a statement reports that, and one that reads it as part of a string, a name or
// a comment does not.
const hidden = "reindex table hidden"

// reading is how a server reads a text.
type reading string

const (
	rejects       reading = "rejects it" // as a syntax error, so nothing of it runs
	runsReindex   reading = "runs a REINDEX"
	runsNoReindex reading = "runs no REINDEX"
	failsBefore   reading = "fails before"
)

func readBy(t testing.TB, conn *pgx.Conn, text string) reading {
	t.Helper()
	_, err := conn.PgConn().Exec(t.Context(), text).ReadAll()
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return runsNoReindex
	case !ok:
		t.Fatalf("%q: %v", text, err)
	case strings.Contains(refusal.Message, `relation "hidden" does not exist`):
		return runsReindex
	case strings.HasPrefix(refusal.Code, "42601") || refusal.Position > 0:
		return rejects
	}
	return failsBefore
}

// seesReindex reports whether we see a REINDEX in the text, as a session with
// one of the settings of standard_conforming_strings would run it.
func seesReindex(text string) bool {
	for _, r := range querytext.Read(text, false) {
		for _, st := range r.Statements {
			if len(st.Words) > 0 && st.Words[0] == "REINDEX" {
				return true
			}
		}
	}
	return false
}

// readers are two sessions, with standard_conforming_strings on and off.
func readers(t testing.TB) (standard, legacy *pgx.Conn) {
	t.Helper()
	srv := pgtest.Start(t)
	standard, legacy = srv.Connect(t, "app"), srv.Connect(t, "app")
	if _, err := legacy.Exec(t.Context(), "set standard_conforming_strings = off"); err != nil {
		t.Fatal(err)
	}
	if _, err := legacy.Exec(t.Context(), "set escape_string_warning = off"); err != nil {
		t.Fatal(err)
	}
	return standard, legacy
}

func TestTextIsReadAsPostgreSQLReadsIt(t *testing.T) {
	standard, _ := readers(t)
	for _, tt := range []struct {
		before, after string // the statement
		runs          bool
	}{
		{"", "", true},
		{"-- a comment\n", "", true},
		{"-- a comment\r", "", true}, // a carriage return ends a comment
		{"-- a comment\r\n", "", true},
		{"select 1 -- a comment\r;", "", true},
		{"select 1 -- a comment\f;", "", false}, // nothing else does
		{"select 1 -- a comment\v;", "", false},
		{"select 1 --; ", "", false},
		{"/* a /* b */ */", "", true}, // comments nest
		{"select 1 /* a /* b */; ", "*/", false},
		{"select 1 /* a /*/ b */; ", "*/", false},
		{"select 1 /*/; ", "*/", false},
		{"select 1 /* -- */;", "", true},
		{"select 1 /* ' */;", "--'", true},
		{"select 1 -- /*\n;", "-- */", true},
		{"select 1+--'\n2;", "--'", true}, // an operator ends where a comment begins
		{"select 1+/*'*/2;", "--'", true},
		{"select 2*/*/**/'*/1;", "--'", true},
		{"select '; ", "'", false},
		{"select 'a''; ", "'", false},
		{`select 'a\'; `, "", true}, // a backslash is a letter
		{`select E'a\'; `, "'", false},
		{`select e'a\\'; `, "", true},
		{`select E'\''; `, "--'", true},
		{"select E'a'\n'\\''; ", "--'", true}, // a string that goes on after a line break keeps its kind
		{"select E'a'\r'\\''; ", "--'", true},
		{"select E'a' -- c\n'\\''; ", "--'", true},
		{"select E'a' -- c\n -- d\r \t'\\'; ", "'", false},
		{"select 'a'\n'\\'; ", "", true},
		{"select 'a'\n'b''; ", "'", false},
		{"select E'a' /* c */ || '\\'; ", "", true},
		{`select N'a\'; `, "", true},
		{`select U&'a\\'; `, "", true},
		{`select U&'\0041'; `, "", true},
		{`select u&"\0041" from (values (1)) as v("A"); `, "", true},
		{`select 1 as u&"; `, `"`, false},
		{`select b'1'; `, "--'", true},
		{`select x'1F'; `, "--'", true},
		{`select 1 as "; `, `"`, false},
		{`select 1 as "a""; `, `"`, false},
		{`select 1 as "a\"; `, "", true},
		{`select 1 as "it's"; `, "--'", true},
		{"select $$; ", "$$", false},
		{"select $a$; $$; $b$; ", "$a$", false},
		{"select $a$ $a1$a$; ", "--$a$", true},
		{"select $ä$ ' $ä$; ", "--'", true},
		{"select $_1$ ' $_1$; ", "--'", true},
		{"select 1 as a$$; ", "--$$", true}, // a dollar in a name begins nothing
		{"select 1 as a$b$; ", "--$b$", true},
		{"select 1 as ä$b$; ", "--$b$", true},
		{"select 'E''; ", "'", false},
		{"select 1 as e, '\\'; ", "", true}, // an e that is no prefix
		{"select 1 as fe\n, '\\'; ", "", true},
		{"select 1;;; ", ";;", true},
		{"select\f1\n\r\t;", "", true},
	} {
		text := tt.before + hidden + tt.after
		want := runsNoReindex
		if tt.runs {
			want = runsReindex
		}
		if got := readBy(t, standard, text); got != want {
			t.Errorf("PostgreSQL %s: %q", got, text)
		}
		if got := seesReindex(text); got != tt.runs {
			t.Errorf("seesReindex = %t: %q", got, text)
		}
	}
}

// Each text is composed at random of what is hard to read. If a server runs a
// REINDEX, we see one; if neither runs one, we see none. If a server reads it as
// part of a string or a comment, it is not in the obfuscated text.
func TestRandomTextsAreReadAsPostgreSQLReadsThem(t *testing.T) {
	compareWithPostgreSQL(t, 2_000)
}

func compareWithPostgreSQL(t *testing.T, texts int) {
	t.Helper()
	seed := rand.Uint64()
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	standard, legacy := readers(t)
	readable, hides, obfuscated := 0, 0, 0
	for range texts {
		text := d.trickyText()
		one, two := readBy(t, standard, text), readBy(t, legacy, text)
		got := seesReindex(text)
		switch {
		case one == runsReindex || two == runsReindex:
			readable++
			if !got {
				t.Fatalf("seed %d: PostgreSQL runs a REINDEX, and we see none: %q", seed, text)
			}
		case one == runsNoReindex && two == runsNoReindex:
			readable++
			hides++
			if got {
				t.Fatalf("seed %d: PostgreSQL runs no REINDEX, and we see one: %q", seed, text)
			}
		}
		if (one == runsNoReindex || two == runsNoReindex) && !strings.Contains(text, `"`) { // names are shown
			obfuscated++
			if shown := querytext.Obfuscated.Of(text, 1000); strings.Contains(shown, "hidden") {
				t.Fatalf("seed %d: %q is shown as %q", seed, text, shown)
			}
		}
	}
	if readable < texts/20 || hides < texts/100 || obfuscated < texts/100 {
		t.Errorf("seed %d: of %d texts PostgreSQL ran %d, %d of them without a REINDEX; %d were obfuscated", seed, texts, readable, hides, obfuscated)
	}
}

// dice composes texts.
type dice struct{ *rand.Rand }

func oneOf[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// trickyText is a text that PostgreSQL may or may not take.
func (d dice) trickyText() string {
	var b strings.Builder
	blank := func() {
		for range d.IntN(3) {
			b.WriteString(oneOf(d, " ", "\n", "\r", "\t", "-- c\n", "--'\r", "/* c */", "/*/* */'*/", `--"`+"\n"))
		}
	}
	inside := func(end string) {
		for range d.IntN(4) {
			b.WriteString(oneOf(d, "a", `\`, `\\`, end+end, `\`+end, ";", "; "+hidden+" ", "--", "/*", "*/", "\n", "\r", "$$", "$a$", `"`, "'"))
		}
	}
	for range 1 + d.IntN(3) {
		blank()
		if d.IntN(4) == 0 {
			b.WriteString(hidden)
		} else {
			b.WriteString("select ")
			blank()
			if d.IntN(4) == 0 {
				tag := oneOf(d, "$$", "$a$", "$_ä1$")
				b.WriteString(tag)
				inside("a")
				b.WriteString(tag)
			} else {
				b.WriteString(oneOf(d, "", "", "E", "e", "U&", "N"))
				for range 1 + d.IntN(2) {
					b.WriteString("'")
					inside("'")
					b.WriteString("'")
					blank()
				}
			}
			if d.IntN(3) == 0 {
				b.WriteString(` as "`)
				inside(`"`)
				b.WriteString(`"`)
			}
		}
		blank()
		b.WriteString(";")
	}
	return b.String()
}
