package querytext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgbailiff/pgbailiff/internal/querytext"
)

func obfuscated(query string) string {
	return querytext.Obfuscated.Of(query, 10_000)
}

func TestTextIsObfuscated(t *testing.T) {
	for query, want := range map[string]string{
		"":                                 "",
		"select 1":                         "select ?",
		"select  a.b,\n\t\"Q 1\"  from t1": `select a.b, "Q 1" from t1`,
		"select * from t where id = $1":    "select * from t where id = $1",
		"select true, null":                "select true, null",

		// Strings of every kind.
		"select 'secret'":                    "select ?",
		"select 'sec''ret', 'secret'":        "select ?, ?",
		`select E'sec\'ret', 'secret'`:       "select E?, ?",
		`select e'sec\\', 'secret'`:          "select e?, ?",
		`select 'secret\d+', 'secret'`:       "select ?, ?",
		"select U&'secret', B'01', X'1F'":    "select U&?, B?, X?",
		"select 'a'\n'secret'":               "select ? ?",
		"select E'a'\n'b\\'secret'":          "select E? ?",
		"select E'a' -- it's\n'b\\'secret'":  "select E? ?",
		`select $1E'\' secret'`:              "select $1E?",
		"select date'2026-11-22'":            "select date?",
		"select $$secret$$, 'secret'":        "select ?, ?",
		"select $q$sec$$r'et$q$, 'secret'":   "select ?, ?",
		"do $func$ secret $func$":            "do ?",
		"select $é$ secret $é$, 'secret'":    "select ?, ?",
		"copy t from 'secret' (format csv)":  "copy t from ? (format csv)",
		"select x->'secret', y#>>'{secret}'": "select x->?, y#>>?",
		"select a$b$c, 'secret', d$b$e":      "select a$b$c, ?, d$b$e",

		// Numbers.
		"select -1, +2.5, .5, 1e10, 1.5e-3": "select ?, ?, .?, ?, ?",
		"select 0x1F, -0x1F, 0b11, 0o17":    "select ?, ?, ?, ?",
		"select 1_000_000, 0778, 5.":        "select ?, ?, ?",
		"select a/5, a.b/5, b#5, a@5, a!5":  "select a/?, a.b/?, b#?, a@?, a!?",
		"select a[5], a[1:5], @5, @@5":      "select a[?], a[?:?], @?, @@?",
		"select a::int4, t.c2-5":            "select a::int4, t.c2?",
		"select count(*)/5, a*5, 5*a":       "select count(*)/?, a*?, ?*a",

		// Comments.
		"select 1 -- secret":                       "select ?",
		"select 1 -- it's\n, 'secret'":             "select ? , ?",
		"select 1 -- it's\r, 'secret'":             "select ? , ?",
		"select a/* it's */, 'secret'":             "select a , ?",
		"select/*+ it's */a, 'secret'":             "select a, ?",
		"select a =-- it's\n'secret'":              "select a = ?",
		"select a =/* it's */'secret'":             "select a = ?",
		"select a #-- it's\n'secret'":              "select a # ?",
		"select a#-'{secret}'":                     "select a#-?",
		"/* it's */ select 'secret' /**/":          "select ?",
		"select 1 /* a /* b */ secret */ 'secret'": "select ? ?",

		// Quoted identifiers.
		`select a as"it's", 'secret'`:     `select a as"it's", ?`,
		`select "a""it's"."b'", 'secret'`: `select "a""it's"."b'", ?`,
		`select "a -- b", "/*", 'secret'`: `select "a -- b", "/*", ?`,

		// What is cut off, and what cannot be read.
		"select 'secr":                 "select ?",
		`select E'secr\`:               "select E?",
		"select $$secr":                "select …",
		"select $q":                    "select …",
		"select 1 /* secr":             "select ? …",
		`select "secr`:                 "select …",
		"select 123":                   "select ?",
		"select 1 /* a /* b */ secr":   "select ? …",
		`select 'it\'s', 'secret'`:     "select …",
		`select 'a\', 'secret'`:        "select …",
		`select 'a\\', 'secret'`:       "select …",
		"select 'a'\n'b\\'secret'":     "select ? …",
		"select $t$ secr $t":           "select …",
		`select E'a' 'b\'secr'`:        "select E? …",
		"select E'a' /**/\n'b\\'secr'": "select E? …",
		"select `secret`":              "select …",
		"select \\ 'secret'":           "select …",
		"select {d '2026-11-22'}":      "select …",
	} {
		got := obfuscated(query)
		if got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
		if strings.Contains(got, "secr") || !utf8.ValidString(got) {
			t.Errorf("%q: %q", query, got)
		}
	}
}

func TestTextIsCutAtARune(t *testing.T) {
	for _, tt := range []struct {
		choice querytext.Text
		length int
		query  string
		want   string
	}{
		{querytext.None, 100, "select 1", ""},
		{"", 100, "select 1", ""},
		{"anything", 100, "select 1", ""},
		{querytext.Full, 100, "select 'secret' -- \n", "select 'secret' -- \n"},
		{querytext.Full, 8, "select 1", "select 1"},
		{querytext.Full, 7, "select 1", "select "},
		{querytext.Full, 3, "äöü€", "äöü"},
		{querytext.Full, 3, "a\xffb\xc3", "a\uFFFDb"},
		{querytext.Full, 1, "\xf0\x9f\x98\x80!", "😀"},
		{querytext.Full, 1, "\xf0\x9f\x98", "\uFFFD"},
		{querytext.Obfuscated, 3, "äöü€ß", "äöü"},
		{querytext.Obfuscated, 8, "select 'a' , 'b'", "select ?"},
		{querytext.Obfuscated, 100, "select a\xff, 'b'", "select a\uFFFD, ?"},
	} {
		got := tt.choice.Of(tt.query, tt.length)
		if got != tt.want {
			t.Errorf("%s, %d runes of %q: %q, want %q", tt.choice, tt.length, tt.query, got, tt.want)
		}
	}
}

// track_activity_query_size allows texts of 1 MiB.
func TestLongTextIsCut(t *testing.T) {
	for name, query := range map[string]string{
		"words that are none": strings.Repeat("a/", 1<<19),
		"one word":            strings.Repeat("a", 1<<20),
		"one string":          "'" + strings.Repeat("secret", 1<<17),
		"dollars":             strings.Repeat("$", 1<<20),
		"numbers":             strings.Repeat("1_", 1<<19),
		"operators":           strings.Repeat("=-", 1<<19),
		"open comments":       strings.Repeat("/*", 1<<19),
	} {
		t.Run(name, func(t *testing.T) {
			got := querytext.Obfuscated.Of(query, 256)
			if n := utf8.RuneCountInString(got); n > 256 || strings.Contains(got, "secret") {
				t.Errorf("%d runes: %.300q", n, got)
			}
		})
	}
}

// vocabulary has the pieces of the statements that FuzzText writes. SECRET and
// 987 are in literals and comments only.
var vocabulary = []string{
	"select", "a", "a.b", "é", "$1", `"q"`, `"it's"`, `"a""b"`, "null", "insert", "as",
	"+", "-", "*", "/", "=", "<>", "||", "->", "->>", "#>", "#", "#-", "@", "@@", "@>", "?", "?|", "!", "::", ":", ".",
	"(", ")", "[", "]", ",", ";",
	"'SECRET'", "'it''s SECRET'", `'\SECRET'`, `'SECRET\'`, `E'\' SECRET'`, `e'\\'`, "U&'SECRET'", "X'987'",
	"$$ ' SECRET $$", "$t$ $$ ' SECRET $t$", "$func$ SECRET $func$",
	"987", "98.7e987", "9_87", "0x987", "0b987", ".987",
	"/* it's SECRET */", "/* /* ' SECRET */ ' SECRET */", "-- it's SECRET\n", "-- ' SECRET\r", "--\n",
}

// write composes a statement: each byte selects a piece and the separator before
// it.
func write(program []byte) string {
	var text strings.Builder
	for _, b := range program {
		word := vocabulary[int(b>>2)%len(vocabulary)]
		separator := []string{" ", "\n", "", ""}[b&3]
		if s := text.String(); s != "" && separator == "" {
			last := s[len(s)-1:]
			goesOn := strings.Contains("$.0123456789", word[:1]) && strings.Contains("abcdefghijklmnopqrstuvwxyz0123456789$é", last)
			if goesOn || word[0] == '\'' && last == "'" {
				separator = " " // it would go on with the word before
			}
		}
		text.WriteString(separator + word)
	}
	return text.String()
}

// FuzzText: what is shown of any text is valid UTF-8 and no longer than allowed.
// What is shown obfuscated has no literal, wherever the server has cut the text.
func FuzzText(f *testing.F) {
	f.Add([]byte("select"), uint(100), "select 'a\xff", 5)
	f.Add([]byte{0, 160, 4, 255, 172, 176}, uint(17), "\xe2\x82", 1)
	f.Fuzz(func(t *testing.T, program []byte, size uint, raw string, length int) {
		length = 1 + int(uint(length)%1000)
		for _, choice := range []querytext.Text{querytext.None, querytext.Obfuscated, querytext.Full} {
			got := choice.Of(raw, length)
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > length || choice == querytext.None && got != "" {
				t.Fatalf("%s, %d runes of %q: %q", choice, length, raw, got)
			}
		}
		query := write(program)
		query = query[:min(size, uint(len(query)))]
		if got := obfuscated(query); strings.Contains(got, "SECR") || strings.Contains(got, "87") || strings.Contains(got, "98") {
			t.Fatalf("%q is shown as %q", query, got)
		}
	})
}
