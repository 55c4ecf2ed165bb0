package querytext

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Text says how much of a statement's text may be shown. The zero Text shows
// nothing.
type Text string

// The choices.
const (
	None       Text = "none"
	Obfuscated Text = "obfuscated" // literals replaced, comments dropped
	Full       Text = "full"
)

// Validate returns an error for an unknown choice.
func (t Text) Validate() error {
	switch t {
	case None, Obfuscated, Full:
		return nil
	}
	return fmt.Errorf("%q is not one of %s, %s and %s", string(t), None, Obfuscated, Full)
}

// UnmarshalYAML reads one of the choices and nothing else.
func (t *Text) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(t)); err != nil {
		return err
	}
	return t.Validate()
}

// runesRead is how many runes of a text are read for each one that may be
// shown: literals and comments take more room than what replaces them.
const runesRead = 16

// Of returns what may be shown of a text: valid UTF-8, at most this many runes.
func (t Text) Of(query string, runes int) string {
	switch t {
	case Full:
		return cut(strings.ToValidUTF8(query, "\uFFFD"), runes)
	case Obfuscated:
		return cut(obfuscate(cut(strings.ToValidUTF8(query, "\uFFFD"), runesRead*runes)), runes)
	default:
		return ""
	}
}

// obfuscate replaces every literal by a question mark, drops comments and
// folds white space. Where it is not certain how PostgreSQL reads on, it stops
// and writes an ellipsis.
func obfuscate(query string) string {
	var out strings.Builder
	s := scanner{text: query}
	for {
		t := s.next()
		if t.blank && out.Len() > 0 {
			out.WriteByte(' ')
		}
		switch {
		case s.uncertain(t):
			return strings.TrimSpace(strings.TrimSpace(out.String()) + " …")
		case t.kind == quoted:
			prefix, _, _ := strings.Cut(t.text, "'")
			out.WriteString(prefix + "?")
			if s.open { // it is cut off, and a literal in any case
				return out.String()
			}
		case t.kind == end:
			return strings.TrimSpace(out.String())
		case t.kind == number, t.kind == dollar:
			out.WriteByte('?')
		case !s.isSign(t):
			out.WriteString(t.text)
		}
	}
}

// uncertain reports whether PostgreSQL may read the last token, and what
// follows, in another way: no such token, a quote behind a backslash that
// standard_conforming_strings decides about, or a name, a comment or a dollar
// quote that is cut off.
func (s *scanner) uncertain(t token) bool {
	if t.kind == quoted {
		return !s.lastEscapes && strings.Contains(t.text, `\'`)
	}
	return t.kind == unknown || s.open
}

// isSign reports whether the last token is the sign of the number that follows
// it directly. The number's question mark stands for both.
func (s *scanner) isSign(t token) bool {
	return (t.text == "-" || t.text == "+") && s.pos < len(s.text) && isDigit(s.text[s.pos])
}

// cut shortens a text at a rune boundary.
func cut(text string, runes int) string {
	n := 0
	for i := range text {
		if n == runes {
			return text[:i]
		}
		n++
	}
	return text
}
