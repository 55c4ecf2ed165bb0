package ledger

// maxRecent is how many entries are kept for the page and the API.
const maxRecent = 500

// ring holds the last entries.
type ring struct {
	entries []Entry
	next    int // where the next one goes, once the ring is full
}

// add remembers an entry, without the labels of an alert: they are long, and only
// the question needs them.
func (r *ring) add(e Entry) {
	e.Labels = nil
	if len(r.entries) < maxRecent {
		r.entries = append(r.entries, e)
		return
	}
	r.entries[r.next] = e
	r.next = (r.next + 1) % maxRecent
}

// last returns at most n entries, newest first.
func (r *ring) last(n int) []Entry {
	out := make([]Entry, 0, min(n, len(r.entries)))
	for i := range min(n, len(r.entries)) {
		out = append(out, r.entries[(r.next+len(r.entries)-1-i)%len(r.entries)])
	}
	return out
}
