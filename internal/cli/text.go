package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// plain makes a text that somebody else chose safe for a terminal and for one
// line: what is not printable is shown escaped.
func plain(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// oneLine is plain for a statement: its line breaks and indentation become
// single spaces.
func oneLine(statement string) string {
	return plain(strings.Join(strings.Fields(statement), " "))
}

// plainJSON escapes, in a valid JSON text, the characters that JSON allows raw in
// a string and a terminal may take for a command. It is the same JSON.
func plainJSON(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// cells is how many columns of a terminal a plain text takes.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return 0
	}
	if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// cut shortens a plain text to at most so many columns; 0 is without limit.
func cut(text string, most int) string {
	if most <= 0 || cells(text) <= most {
		return text
	}
	n := 1 // for the ellipsis
	for i, r := range text {
		if n += runeCells(r); n > most {
			return text[:i] + "…"
		}
	}
	return text
}

// age writes a duration with its two largest units, like 2h11m.
func age(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, unit := range units {
		if d < unit.of {
			continue
		}
		text := fmt.Sprintf("%d%s", d/unit.of, unit.name)
		if rest := d % unit.of; i+1 < len(units) && rest >= units[i+1].of {
			text += fmt.Sprintf("%d%s", rest/units[i+1].of, units[i+1].name)
		}
		return text
	}
	return "0s"
}

// seconds is age for a number of the API.
func seconds(s float64) string { return age(time.Duration(s * float64(time.Second))) }
