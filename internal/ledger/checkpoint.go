package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// eventCheckpoint is the event of the first lines of a new file. The first
// checkpoint has no server. It voids all lines before it.
const eventCheckpoint = "checkpoint"

// record is a line of the file: an entry, or a checkpoint, which has an entry's
// time, event and server, and one saved budget or one saved question.
type record struct {
	Entry
	savedBudget
	savedQuestion
}

// savedBudget is a budget as a checkpoint saves it.
type savedBudget struct {
	// Spent are the times of the signals, and SpentIDs the IDs of their intents,
	// in the same order.
	Spent    []time.Time `json:"spent,omitempty"`
	SpentIDs []string    `json:"spent_ids,omitempty"`
	// Open are those of their intents that have no outcome yet. Their event is
	// empty, so that no reader takes one for a second intent.
	Open      []Entry   `json:"open,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Suspended bool      `json:"suspended,omitempty"`
}

// checkpoint is the record of a budget at an instant.
func checkpoint(server string, b *budget, now time.Time) record {
	return record{Entry: Entry{Time: now, Event: eventCheckpoint, Server: server}, savedBudget: b.save()}
}

// save leaves out the signals whose intent is not in the file yet: those
// intents follow in the new file.
func (b *budget) save() savedBudget {
	saved := savedBudget{Since: b.since, Suspended: b.suspended}
	ids := slices.SortedFunc(maps.Keys(b.signals), func(one, other string) int {
		return cmp.Or(b.signals[one].at.Compare(b.signals[other].at), cmp.Compare(one, other))
	})
	for _, id := range ids {
		s := b.signals[id]
		if s.intent == nil && !s.finished {
			continue
		}
		if !s.manual {
			saved.Spent, saved.SpentIDs = append(saved.Spent, s.at), append(saved.SpentIDs, id)
		}
		if s.intent != nil {
			open := *s.intent
			open.Event = ""
			saved.Open = append(saved.Open, open)
		}
	}
	return saved
}

// budget restores what save has saved.
func (saved savedBudget) budget() *budget {
	b := newBudget()
	for i, at := range saved.Spent {
		id := ""
		if i < len(saved.SpentIDs) {
			id = saved.SpentIDs[i]
		}
		b.restore(id, at)
	}
	for _, open := range saved.Open {
		open = open.clipped()
		b.restoreIntent(open).intent = &open
	}
	b.since, b.suspended = saved.Since, saved.Suspended
	return b
}

// restoreIntent adds the signal of an intent from the file.
func (b *budget) restoreIntent(intent Entry) *signal {
	s := b.restore(intent.ID, intent.Time)
	if intent.Source == SourceManual {
		s.manual, s.spent, s.sent = true, false, false
	}
	return s
}

// restore adds a signal from the file. It counts as sent until a later line
// says that it was not. A signal without an ID gets one, so that it counts.
func (b *budget) restore(id string, at time.Time) *signal {
	for n := len(b.signals); id == ""; n++ {
		if made := "-" + strconv.Itoa(n); b.signals[made] == nil {
			id = made
		}
	}
	s := &signal{at: at, spent: true, sent: true, finished: true}
	b.signals[id] = s
	return s
}
