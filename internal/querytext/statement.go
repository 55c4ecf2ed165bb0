package querytext

import "strings"

// MaxWords is how many words of a statement Read returns: enough for ALTER
// TABLE IF EXISTS with a database and a schema before both names.
const MaxWords = 16

// Statement is what the words of one statement say. Strings, quoted names and
// comments have no words.
type Statement struct {
	// Words are the first MaxWords keywords and names without quotes, in upper
	// case.
	Words []string
	// Names: the statement has quoted or qualified names, too.
	Names bool
	// Others: it has strings, numbers or operators, too.
	Others bool
}

// Reading is a text as one setting of standard_conforming_strings makes
// PostgreSQL read it.
type Reading struct {
	// Statements has at least one element. The last one is the end of the text,
	// and may be empty; empty ones before it are left out.
	Statements []Statement
}

// Read returns the readings with which PostgreSQL could have run the text: one,
// or two if the text has a backslash that may escape a quote or not. The first
// of two is that of standard_conforming_strings = on. None: PostgreSQL could not
// have run the text, because it ends within a string, a name or a comment. A
// truncated text may do so.
func Read(text string, truncated bool) []Reading {
	var readings []Reading
	for _, escapes := range []bool{false, true} {
		if escapes && !strings.Contains(text, `\`) {
			continue // both readings are the same
		}
		if r, closed := readAs(text, escapes); closed || truncated {
			readings = append(readings, r)
		}
	}
	return readings
}

// readAs reads the text with one setting. It reports whether everything that
// the text opens is closed.
func readAs(text string, escapes bool) (r Reading, closed bool) {
	var st Statement
	s := scanner{text: text, escapes: escapes}
	for {
		switch t := s.next(); t.kind {
		case end:
			r.Statements = append(r.Statements, st)
			return r, !s.open
		case semicolon:
			if len(st.Words) > 0 || st.Names || st.Others {
				r.Statements = append(r.Statements, st)
			}
			st = Statement{}
		case word:
			if len(st.Words) < MaxWords {
				st.Words = append(st.Words, upper(t.text))
			}
		case name, dot:
			st.Names = true
		default:
			st.Others = true
		}
	}
}

// Command returns the first keyword of the text, in upper case. It is empty if
// there is none.
func (r Reading) Command() string {
	for _, st := range r.Statements {
		for _, w := range st.Words {
			if isASCII(w) { // as every keyword is
				return w
			}
		}
	}
	return ""
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 }

// upper folds a keyword as PostgreSQL does: ASCII letters, and no others.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}
