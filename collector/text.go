package collector

import (
	"fmt"
	"strings"

	"github.com/DataDog/go-sqllexer"
	"go.yaml.in/yaml/v3"
)

// QueryText says how much of a statement's text may be shown. The zero
// QueryText shows nothing.
type QueryText string

// The choices.
const (
	TextNone       QueryText = "none"
	TextObfuscated QueryText = "obfuscated" // literals replaced, comments dropped
	TextFull       QueryText = "full"
)

// Validate returns an error for an unknown choice.
func (t QueryText) Validate() error {
	switch t {
	case TextNone, TextObfuscated, TextFull:
		return nil
	}
	return fmt.Errorf("%q is not one of %s, %s and %s", string(t), TextNone, TextObfuscated, TextFull)
}

// UnmarshalYAML reads one of the choices and nothing else.
func (t *QueryText) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(t)); err != nil {
		return err
	}
	return t.Validate()
}

// enough runes of a text are read for each one that may be shown of it, for
// literals and comments take more room than what stands for them.
const enough = 16

// Text is what may be shown of a statement: valid UTF-8, at most
// QueryTextLength runes.
func (c Config) Text(query string) string {
	switch c.QueryText {
	case TextFull:
		return cut(valid(query), c.QueryTextLength)
	case TextObfuscated:
		return cut(obfuscate(cut(valid(query), enough*c.QueryTextLength)), c.QueryTextLength)
	default:
		return ""
	}
}

// obfuscate replaces every literal by a question mark, drops comments and
// folds white space. It stops where the lexer and PostgreSQL may disagree about
// what is a literal, and writes an ellipsis there.
func obfuscate(query string) string {
	var out strings.Builder
	for query != "" {
		read, ok := obfuscateTokens(&out, query)
		if !ok {
			return strings.TrimSpace(strings.TrimSpace(out.String()) + " …")
		}
		query = query[read:]
	}
	return strings.TrimSpace(out.String())
}

// obfuscateTokens goes on to the end, or to a token of which PostgreSQL reads
// another part than the lexer; it returns how much it has read. It is not ok
// where nobody can tell how PostgreSQL reads on.
func obfuscateTokens(out *strings.Builder, text string) (read int, ok bool) {
	obfuscator := sqllexer.NewObfuscator(sqllexer.WithDollarQuotedFunc(false))
	lexer := sqllexer.New(text, sqllexer.WithDBMS(sqllexer.DBMSPostgres))
	before, escapes := "", false // the token before; it is the E of a string with escapes
	for token := lexer.Scan(); token.Type != sqllexer.EOF; token = lexer.Scan() {
		if ambiguous(token, escapes) {
			return read, false
		}
		whole, length := token.Value, ownLength(token, text[read:])
		read += length
		switch token.Type {
		case sqllexer.SPACE, sqllexer.COMMENT, sqllexer.MULTILINE_COMMENT:
			if s := out.String(); s != "" && !strings.HasSuffix(s, " ") {
				out.WriteByte(' ')
			}
		default:
			token.Value = whole[:min(length, len(whole))]
			obfuscator.ObfuscateTokenValue(token, nil)
			out.WriteString(token.Value)
		}
		if length != len(whole) {
			return read, true
		}
		// In $1E the lexer sees no such E.
		escapes = (whole == "E" || whole == "e") && !strings.HasPrefix(before, "$")
		before = whole
	}
	return len(text), true
}

// ambiguous: what the lexer cannot read, comments in a comment, which
// PostgreSQL nests and the lexer does not, a dollar quote that has no proper
// tag, and a quote behind a backslash, which ends a string or not by the
// string's kind and the session's standard_conforming_strings.
func ambiguous(token *sqllexer.Token, escapes bool) bool {
	switch token.Type {
	case sqllexer.ERROR, sqllexer.UNKNOWN:
		return true
	case sqllexer.MULTILINE_COMMENT:
		return strings.Count(token.Value, "/*") > 1
	case sqllexer.DOLLAR_QUOTED_STRING, sqllexer.DOLLAR_QUOTED_FUNCTION:
		tag, _, _ := strings.Cut(token.Value[1:], "$")
		return strings.ContainsFunc(tag, func(r rune) bool { return !inWord(r) })
	case sqllexer.STRING:
		return !escapes && strings.Contains(token.Value, `\'`)
	default:
		return false
	}
}

// ownLength is how many bytes of the text PostgreSQL reads as this token,
// where the lexer reads more, or, of a number, less.
func ownLength(token *sqllexer.Token, text string) int {
	end := len(token.Value)
	before := func(i int) int {
		if i > 0 {
			return i
		}
		return end
	}
	switch token.Type {
	case sqllexer.COMMENT:
		return before(strings.IndexByte(token.Value, '\r'))
	case sqllexer.NUMBER: // 1_000, 0b11, -0x1F
		return end + len(text[end:]) - len(strings.TrimLeftFunc(text[end:], inWord))
	case sqllexer.SYSTEM_VARIABLE: // there are none; @@ is an operator
		return 2
	case sqllexer.BIND_PARAMETER: // nor these; @ is an operator
		return 1
	case sqllexer.OPERATOR, sqllexer.JSON_OP: // a comment may begin in it, #-- too
		if token.Value == "#-" {
			return 1
		}
		return before(commentIn(token.Value))
	case sqllexer.SPACE, sqllexer.MULTILINE_COMMENT, sqllexer.QUOTED_IDENT, sqllexer.STRING,
		sqllexer.INCOMPLETE_STRING, sqllexer.DOLLAR_QUOTED_STRING, sqllexer.DOLLAR_QUOTED_FUNCTION:
		return end
	default: // words; the lexer joins a/5, a/*comment*/ and a"b"
		return before(strings.IndexAny(token.Value, `"/#@!?`))
	}
}

// commentIn is where a comment begins in an operator, or -1.
func commentIn(operator string) int {
	for i := range operator {
		if strings.HasPrefix(operator[i:], "--") || strings.HasPrefix(operator[i:], "/*") {
			return i
		}
	}
	return -1
}

// inWord: a letter, digit or underscore.
func inWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
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
