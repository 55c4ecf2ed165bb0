package policy

import "strings"

// A kind of token, as far as it matters here.
type kind int

const (
	other     kind = iota // a string, a number, an operator
	word                  // a keyword, or a name without quotes
	name                  // a name in quotes, or the dot before one
	semicolon             // between two statements
	end                   // of the text
)

// scanner reads a text as the server's own lexer does (scan.l), as far as it is
// needed to tell words from what stands in strings, names and comments. It
// works on bytes: whatever lies beyond ASCII is a letter, in any encoding that
// a server can have.
type scanner struct {
	text string
	pos  int

	// escapes: in a plain string a backslash takes the next character's meaning
	// away, because the session has standard_conforming_strings off.
	escapes bool

	// open: the text has ended within a string, a name or a comment.
	open bool
}

// next returns the next token; white space and comments are none.
func (s *scanner) next() (kind, string) {
	s.skipBlank()
	if s.pos >= len(s.text) {
		return end, ""
	}
	from := s.pos
	switch c := s.text[s.pos]; {
	case c == ';':
		s.pos++
		return semicolon, ";"
	case c == '.':
		s.pos++
		return name, "."
	case c == '\'':
		s.skipString(s.escapes)
		return other, ""
	case c == '"':
		s.skipName()
		return name, ""
	case c == '$':
		s.skipDollars()
		return other, ""
	case !startsWord(c):
		s.pos++
		return other, ""
	}
	switch {
	case s.at("e'"):
		s.pos++
		s.skipString(true)
		return other, ""
	case s.at("b'"), s.at("x'"):
		s.pos++
		s.skipString(false)
		return other, ""
	case s.at("u&'"):
		s.pos += 2
		s.skipString(false)
		return other, ""
	case s.at(`u&"`):
		s.pos += 2
		s.skipName()
		return name, ""
	}
	for s.pos < len(s.text) && (startsWord(s.text[s.pos]) || isDigit(s.text[s.pos]) || s.text[s.pos] == '$') {
		s.pos++
	}
	return word, s.text[from:s.pos]
}

// at reports whether the rest begins with the prefix, in small letters or capitals.
func (s *scanner) at(prefix string) bool {
	rest := s.text[s.pos:]
	return len(rest) >= len(prefix) && strings.EqualFold(rest[:len(prefix)], prefix)
}

// skipBlank skips white space and comments. Comments between /* and */ nest.
func (s *scanner) skipBlank() {
	for s.pos < len(s.text) {
		switch rest := s.text[s.pos:]; {
		case isSpace(rest[0]):
			s.pos++
		case strings.HasPrefix(rest, "--"):
			s.skipLine()
		case strings.HasPrefix(rest, "/*"):
			s.skipComment()
		default:
			return
		}
	}
}

// skipLine goes to the end of the line: to a line feed or a carriage return.
func (s *scanner) skipLine() {
	for s.pos < len(s.text) && !endsLine(s.text[s.pos]) {
		s.pos++
	}
}

func (s *scanner) skipComment() {
	s.pos += 2
	for depth := 1; depth > 0; {
		switch rest := s.text[s.pos:]; {
		case rest == "":
			s.open = true
			return
		case strings.HasPrefix(rest, "/*"):
			depth++
			s.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			s.pos += 2
		default:
			s.pos++
		}
	}
}

// skipString skips a string from its first quote on. A doubled quote stands for
// one, and a string goes on, in its kind, where nothing but white space with a
// line break and comments to the end of the line stand before another quote.
func (s *scanner) skipString(escapes bool) {
	s.pos++
	for s.pos < len(s.text) {
		switch rest := s.text[s.pos:]; {
		case rest[0] == '\\' && escapes:
			s.pos = min(s.pos+2, len(s.text))
		case strings.HasPrefix(rest, "''"):
			s.pos += 2
		case rest[0] != '\'':
			s.pos++
		default:
			s.pos++
			if !s.stringGoesOn() {
				return
			}
		}
	}
	s.open = true
}

// stringGoesOn moves behind the quote with which a string goes on, if it does.
func (s *scanner) stringGoesOn() bool {
	ahead, lines := *s, false
	for ahead.pos < len(s.text) {
		switch rest := s.text[ahead.pos:]; {
		case isSpace(rest[0]):
			lines = lines || endsLine(rest[0])
			ahead.pos++
		case strings.HasPrefix(rest, "--"):
			ahead.skipLine()
		default:
			if lines && rest[0] == '\'' {
				s.pos = ahead.pos + 1
				return true
			}
			return false
		}
	}
	return false
}

// skipName skips a name in quotes from its first quote on.
func (s *scanner) skipName() {
	s.pos++
	for s.pos < len(s.text) {
		switch rest := s.text[s.pos:]; {
		case strings.HasPrefix(rest, `""`):
			s.pos += 2
		case rest[0] != '"':
			s.pos++
		default:
			s.pos++
			return
		}
	}
	s.open = true
}

// skipDollars skips a string in dollar quotes, or a lone dollar sign.
func (s *scanner) skipDollars() {
	rest := s.text[s.pos:]
	i := 1
	for i < len(rest) && (startsWord(rest[i]) || i > 1 && isDigit(rest[i])) {
		i++
	}
	if i >= len(rest) || rest[i] != '$' {
		s.pos++ // of a parameter, like $1
		return
	}
	tag := rest[:i+1]
	n := strings.Index(rest[len(tag):], tag)
	if n < 0 {
		s.pos, s.open = len(s.text), true
		return
	}
	s.pos += len(tag) + n + len(tag)
}

func startsWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func endsLine(c byte) bool { return c == '\n' || c == '\r' }

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
