package page

import (
	"fmt"
	"math"
	"strings"
	"unicode"
)

// How many runes are shown of a name and of a sentence. PostgreSQL's own names
// have at most 63 bytes; an alert's have no limit.
const (
	longestName     = 80
	longestSentence = 300
)

// name makes a text that others have chosen fit to be shown on one line.
func name(s string) string { return visible(cut(s, longestName), "") }

// sentence does the same with a text of ours, which may quote theirs.
func sentence(s string) string { return visible(cut(s, longestSentence), "") }

func cut(s string, runes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	n := 0
	for i := range s {
		if n == runes {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// statement makes a text fit to be shown on several lines.
func statement(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
	return visible(strings.TrimSpace(s), "\n\t")
}

// visible shows by number what would not be seen, or would change how the rest
// is seen: control characters, direction overrides, zero-width characters.
func visible(s, keep string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case !unicode.IsGraphic(r):
			fmt.Fprintf(&b, "‹U+%04X›", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// duration writes seconds as a person would say them.
func duration(seconds float64) string {
	if !(seconds > 0) || math.IsInf(seconds, 1) {
		return "0 s"
	}
	s := int64(min(seconds, 1e12))
	switch {
	case seconds < 10 && seconds != math.Trunc(seconds):
		return fmt.Sprintf("%.1f s", math.Floor(seconds*10)/10)
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600 && s%60 == 0:
		return fmt.Sprintf("%d min", s/60)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}

// quoteIdent quotes a role's name for SQL.
func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
