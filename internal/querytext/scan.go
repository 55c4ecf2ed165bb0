package querytext

import "strings"

// kind is the kind of a token.
type kind int

const (
	end       kind = iota // of the text
	word                  // a keyword, or a name without quotes
	name                  // a name in quotes
	dot                   // between two names
	semicolon             // between two statements
	quoted                // a string in single quotes, with its prefix
	dollar                // a string in dollar quotes
	number                // with the letters that follow it directly
	parameter             // $1
	operator              // one character of an operator, or a punctuation mark
	unknown               // PostgreSQL has no such token
)

// token is a piece of the text. Blank says that white space or a comment is
// before it.
type token struct {
	kind  kind
	text  string
	blank bool
}

// scanner splits a text into tokens as PostgreSQL does. It works on bytes:
// every byte beyond ASCII is part of a letter in any encoding that a server
// can have.
type scanner struct {
	text string
	pos  int

	// escapes: a backslash escapes in plain strings, because
	// standard_conforming_strings is off.
	escapes bool

	// last is the kind of the last token. If it is quoted, lastEscapes says
	// whether a backslash escapes in it.
	last        kind
	lastEscapes bool

	// open: the text has ended within a string, a name or a comment.
	open bool
}

// next returns the next token; white space and comments are none.
func (s *scanner) next() token {
	from := s.pos
	newline := s.skipBlank()
	start := s.pos
	s.last = s.skipToken(newline && s.last == quoted)
	return token{kind: s.last, text: s.text[start:s.pos], blank: start > from}
}

// skipToken skips a token and returns its kind. Continued says that a quote
// here continues the string before it, in that string's kind.
func (s *scanner) skipToken(continued bool) kind {
	if s.pos == len(s.text) {
		return end
	}
	switch c := s.text[s.pos]; {
	case c == '\'':
		if !continued {
			s.lastEscapes = s.escapes
		}
		return s.skipString(0, s.lastEscapes)
	case c == '"':
		return s.skipName(0)
	case c == '$':
		return s.skipDollar()
	case s.at("e'"):
		return s.skipString(1, true)
	case s.at("b'"), s.at("x'"):
		return s.skipString(1, false)
	case s.at("u&'"):
		return s.skipString(2, false)
	case s.at(`u&"`):
		return s.skipName(2)
	case startsWord(c):
		s.skipWhile(func(c byte) bool { return startsWord(c) || isDigit(c) || c == '$' })
		return word
	case isDigit(c):
		return s.skipNumber()
	case c == '.':
		s.pos++
		return dot
	case c == ';':
		s.pos++
		return semicolon
	case strings.IndexByte(",()[]:+-*/<>=~!@#%^&|?", c) >= 0:
		s.pos++
		return operator
	}
	s.pos++
	return unknown
}

// at reports whether the rest begins with the prefix, in small letters or capitals.
func (s *scanner) at(prefix string) bool {
	rest := s.text[s.pos:]
	return len(rest) >= len(prefix) && strings.EqualFold(rest[:len(prefix)], prefix)
}

func (s *scanner) skipWhile(in func(byte) bool) {
	for s.pos < len(s.text) && in(s.text[s.pos]) {
		s.pos++
	}
}

// skipBlank skips white space and comments. It reports whether a quote behind
// them would continue a string: they have a line break and no /* comment.
func (s *scanner) skipBlank() (newline bool) {
	block := false
	for s.pos < len(s.text) {
		switch rest := s.text[s.pos:]; {
		case isSpace(rest[0]):
			newline = newline || endsLine(rest[0])
			s.pos++
		case strings.HasPrefix(rest, "--"):
			s.skipWhile(func(c byte) bool { return !endsLine(c) })
		case strings.HasPrefix(rest, "/*"):
			block = true
			s.skipComment()
		default:
			return newline && !block
		}
	}
	return false
}

// skipComment skips a comment between /* and */, and those within it.
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

// skipString skips a string whose prefix has this length. A doubled quote
// stands for one quote.
func (s *scanner) skipString(prefix int, escapes bool) kind {
	s.lastEscapes = escapes
	for s.pos += prefix + 1; s.pos < len(s.text); {
		switch rest := s.text[s.pos:]; {
		case rest[0] == '\\' && escapes:
			s.pos = min(s.pos+2, len(s.text))
		case strings.HasPrefix(rest, "''"):
			s.pos += 2
		case rest[0] == '\'':
			s.pos++
			return quoted
		default:
			s.pos++
		}
	}
	s.open = true
	return quoted
}

// skipName skips a name in quotes whose prefix has this length.
func (s *scanner) skipName(prefix int) kind {
	for s.pos += prefix + 1; s.pos < len(s.text); {
		switch rest := s.text[s.pos:]; {
		case strings.HasPrefix(rest, `""`):
			s.pos += 2
		case rest[0] == '"':
			s.pos++
			return name
		default:
			s.pos++
		}
	}
	s.open = true
	return name
}

// skipDollar skips a parameter, a string in dollar quotes, or a lone dollar
// sign.
func (s *scanner) skipDollar() kind {
	start := s.pos
	s.pos++
	if s.pos < len(s.text) && isDigit(s.text[s.pos]) {
		s.skipWhile(isDigit)
		return parameter
	}
	s.skipWhile(func(c byte) bool { return startsWord(c) || isDigit(c) })
	if s.pos == len(s.text) || s.text[s.pos] != '$' {
		s.pos = start + 1
		return unknown
	}
	s.pos++
	tag := s.text[start:s.pos]
	if n := strings.Index(s.text[s.pos:], tag); n >= 0 {
		s.pos += n + len(tag)
	} else {
		s.pos, s.open = len(s.text), true
	}
	return dollar
}

// skipNumber skips a number of any form: 1_000, 1.5e-3, 0x1F.
func (s *scanner) skipNumber() kind {
	s.skipWhile(func(c byte) bool { return isDigit(c) || c == '_' || c == '.' })
	if rest := s.text[s.pos:]; len(rest) > 2 && (rest[0]|' ') == 'e' && (rest[1] == '+' || rest[1] == '-') && isDigit(rest[2]) {
		s.pos += 2
	}
	s.skipWhile(func(c byte) bool { return isDigit(c) || c == '.' || startsWord(c) && c < 0x80 })
	return number
}

func startsWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func endsLine(c byte) bool { return c == '\n' || c == '\r' }
