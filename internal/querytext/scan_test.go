package querytext

import (
	"slices"
	"testing"
)

// FuzzScanner: the scanner reads any text to its end. If the text is closed, a
// statement behind it is read as one.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		"", "select 1", "'", "''", "'a''b", `E'\`, `E'\'`, "E'a'\n'b'", "'a' --", "'a' -- \r'b'", "U&", "u&'", `u&"a"`, `"a""`, "$", "$$", "$1$", "$a$b$a$", "$a", "a$b$",
		"--", "-", "/", "/*", "/*/", "/*/**/", "*/", ";;", "a.b", "1e'", "N'a'", "\x00", "\xff'", "ſ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, escapes := range []bool{false, true} {
			s := scanner{text: text, escapes: escapes}
			for {
				before := s.pos
				token := s.next()
				if token.kind == end {
					break
				}
				if token.text == "" || s.pos <= before || s.pos > len(text) {
					t.Fatalf("%q at %d: %d %q, and goes on at %d", text, before, token.kind, token.text, s.pos)
				}
			}
			if s.pos != len(text) {
				t.Fatalf("%q: stops at %d", text, s.pos)
			}
			r, closed := readAs(text+"\n; VACUUM", escapes)
			if last := r.Statements[len(r.Statements)-1]; !s.open && (!closed || !slices.Equal(last.Words, []string{"VACUUM"})) {
				t.Errorf("%q is closed, and hides what is behind it: %+v", text, r)
			}
		}
	})
}
