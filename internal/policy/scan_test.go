package policy

import "testing"

// FuzzScanner: whatever the text, the scanner goes through it to its end, and
// what it has found to be closed hides nothing that comes behind.
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
				what, token := s.next()
				if what == end {
					break
				}
				if s.pos <= before || s.pos > len(text) || what == word && token == "" {
					t.Fatalf("%q at %d: %d %q, and goes on at %d", text, before, what, token, s.pos)
				}
			}
			if s.pos != len(text) {
				t.Fatalf("%q: stops at %d", text, s.pos)
			}
			more := text + "\n; VACUUM"
			if st, possible := readAs(more, false, escapes); !s.open && (!possible || !st.maintenance) {
				t.Errorf("%q is closed, and hides what is behind it: %+v", text, st)
			}
		}
	})
}
