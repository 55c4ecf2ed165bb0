package ledger

// remembered is how many lines are kept for the page and the API.
const remembered = 500

// ring has the last entries. Taking one in costs the same however many there
// are.
type ring struct {
	entries []Entry
	next    int // where the next one goes, once the ring is full
}

func (r *ring) add(e Entry) {
	if len(r.entries) < remembered {
		r.entries = append(r.entries, e)
		return
	}
	r.entries[r.next] = e
	r.next = (r.next + 1) % remembered
}

// last returns at most n entries, newest first.
func (r *ring) last(n int) []Entry {
	out := make([]Entry, 0, min(n, len(r.entries)))
	for i := range min(n, len(r.entries)) {
		out = append(out, r.entries[(r.next+len(r.entries)-1-i)%len(r.entries)])
	}
	return out
}
