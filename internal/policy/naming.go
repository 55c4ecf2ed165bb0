package policy

import (
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// names reports whether the rule has a matcher that names each of these values
// of the label. Without a value the answer is no.
func (r rule) names(label string, values ...string) bool {
	for _, value := range values {
		if !slices.ContainsFunc(r.naming, func(m *labels.Matcher) bool { return m.Name == label && m.Matches(value) }) {
			return false
		}
	}
	return len(values) > 0
}

// isNaming reports whether a matcher asks for something in particular: a value
// that is written out, or a pattern that matches neither an empty value nor a
// made-up name.
func isNaming(m *labels.Matcher) bool {
	switch m.Type {
	case labels.MatchEqual:
		return m.Value != ""
	case labels.MatchRegexp:
		return !m.Matches("") && !slices.ContainsFunc(madeUpNames(), m.Matches)
	default:
		return false
	}
}

// madeUpNames look like the names of users, applications and commands: they
// begin with every letter, have every usual length, and are written in every
// usual way. A pattern that matches one of them would match nearly any name. The
// first is one that PostgreSQL cannot have.
func madeUpNames() []string {
	names := []string{"\x00"}
	for i := range 26 {
		lengths := []int{i + 1}
		if i == 0 {
			lengths = append(lengths, 40, 63)
		}
		for _, length := range lengths {
			w, next := madeUpWord(i, length), madeUpWord(i+1, 4)
			capital := strings.ToUpper(w[:1]) + w[1:]
			names = append(names, w, strings.ToUpper(w), capital, w+"7", w+"_"+next, w+"-"+next, w+"."+next, "_"+w,
				strings.ToUpper(w+"_"+next), capital+" "+next, w+" 7.3", w+"/"+next+" ["+next+"]", "/"+w+":7", "ę"+w)
		}
		names = append(names, strings.Repeat("7319", 1+i/4)[:i+1])
	}
	return names
}

// madeUpWord begins with the letter i places behind q.
func madeUpWord(i, length int) string {
	w := make([]byte, length)
	for j := range w {
		w[j] = byte('a' + (16+i+11*j)%26)
	}
	return string(w)
}
