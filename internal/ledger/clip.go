package ledger

import (
	"strings"
	"unicode/utf8"
)

// The bounds of an entry's texts, in bytes. An alert's labels have any length,
// and the last entries stay in memory.
const (
	maxName    = 256
	maxDetail  = 512
	maxComment = 4000
	maxQuery   = 16 << 10
	// maxLabels bounds the labels of a question, in all. They cannot be cut,
	// because they decide.
	maxLabels = 32 << 10
)

const ellipsis = "…"

// clipped returns the entry with every text bounded and valid UTF-8. Every entry
// that is written or kept in memory has been clipped.
func (e Entry) clipped() Entry {
	for _, name := range []*string{
		&e.ID, &e.Decision, &e.Server, &e.SystemIdentifier, &e.Replica, &e.Rule,
		&e.Source, &e.By, &e.Alertname, &e.Severity, &e.Fingerprint,
		&e.Datname, &e.Usename, &e.ApplicationName, &e.ClientAddr, &e.WaitEventType, &e.WaitEvent, &e.SessionID,
	} {
		*name = clip(*name, maxName)
	}
	e.Event, e.Action, e.Outcome = clip(e.Event, maxName), clip(e.Action, maxName), clip(e.Outcome, maxName)
	e.Reason, e.State = clip(e.Reason, maxName), clip(e.State, maxName)
	e.Detail, e.Query = clip(e.Detail, maxDetail), clip(e.Query, maxQuery)
	e.Comment = clip(e.Comment, maxComment)
	return e
}

// clip returns at most n bytes of a text: whole runes, and an ellipsis where
// something was cut. The result does not keep the long text in memory.
func clip[T ~string](text T, n int) T {
	s, cut := string(text), false
	if len(s) > n {
		s, cut = s[:n], true
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !cut && len(s) <= n {
		return T(s)
	}
	end := min(len(s), n-len(ellipsis))
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return T(s[:end] + ellipsis)
}
