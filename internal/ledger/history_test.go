package ledger_test

// In this file: random histories, against a model of what the lines mean.

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// knowledge is what a ledger must know.
type knowledge struct {
	waits    map[string]ledger.Entry // the questions, by ID
	approved map[string]ledger.Entry // those that nothing has come of yet
	denied   map[ledger.Target]bool
	signals  map[string]knownSignal // that count or have no outcome, by ID
}

type knownSignal struct {
	ledger.Entry
	open bool // without an outcome
}

func newKnowledge() knowledge {
	return knowledge{
		map[string]ledger.Entry{}, map[string]ledger.Entry{}, map[ledger.Target]bool{}, map[string]knownSignal{},
	}
}

// restarted is what the next start knows.
func (m knowledge) restarted() knowledge {
	next := knowledge{maps.Clone(m.waits), map[string]ledger.Entry{}, maps.Clone(m.denied), map[string]knownSignal{}}
	for id, s := range m.signals {
		if s.open = false; s.Source != ledger.SourceManual {
			next.signals[id] = s
		}
	}
	return next
}

func (m knowledge) clone() knowledge {
	return knowledge{maps.Clone(m.waits), maps.Clone(m.approved), maps.Clone(m.denied), maps.Clone(m.signals)}
}

// expire ends the waiting of what is overdue.
func (m knowledge) expire(now time.Time) {
	maps.DeleteFunc(m.waits, func(_ string, q ledger.Entry) bool { return !now.Before(q.Until) })
}

// check compares a ledger with the model.
func (m knowledge) check(t *testing.T, l *ledger.Ledger, now time.Time) {
	t.Helper()
	waits := m.clone().waits
	knowledge{waits: waits}.expire(now)
	want := slices.SortedFunc(maps.Values(waits), func(a, b ledger.Entry) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	var ids []string
	for _, q := range want {
		ids = append(ids, q.ID)
	}
	if got := waiting(l, now); got != strings.Join(ids, " ") {
		t.Errorf("%q waits, want %q", got, ids)
	}
	spent := 0
	for _, s := range m.signals {
		if s.Source != ledger.SourceManual && s.Time.After(now.Add(-time.Hour)) {
			spent++
		}
	}
	if got := l.Spent("orders", time.Hour, now); got != spent {
		t.Errorf("%d are spent, want %d", got, spent)
	}
	for target := range m.denied {
		e := question("orders", "never", now)
		e.Target = target
		ask(t, l, e, ledger.Denied)
	}
}

// history is a ledger and its model.
type history struct {
	*rand.Rand
	l     *ledger.Ledger
	m     knowledge
	files []string // the last one is the ledger's
	now   time.Time
	next  int
	known []string // IDs of questions, over or not
	early []string // decisions of signals that are questions later
}

func (h *history) id() string {
	h.next++
	return fmt.Sprint("i", h.next)
}

// one returns one of the keys, or nothing.
func one[V any](h *history, from map[string]V) (id string) {
	if keys := slices.Sorted(maps.Keys(from)); len(keys) > 0 {
		id = keys[h.IntN(len(keys))]
	}
	return id
}

func (h *history) ask(t *testing.T) {
	e := question("orders", h.id(), h.now)
	if n := len(h.early); n > 0 && h.IntN(2) == 0 {
		e.ID, h.early = h.early[n-1], h.early[:n-1]
	}
	e.PID, e.Action = int32(1+h.IntN(6)), []ledger.Entry{{Action: "cancel"}, {Action: "terminate"}}[h.IntN(2)].Action
	if h.m.denied[e.Target] {
		ask(t, h.l, e, ledger.Denied)
		return
	}
	for _, all := range []map[string]ledger.Entry{h.m.waits, h.m.approved} {
		for id, q := range all {
			if q.Target == e.Target && q.Action == e.Action && (h.m.approved[id].ID != "" || h.now.Before(q.Until)) {
				if got := ask(t, h.l, e, ledger.Waiting); got.ID != id {
					t.Errorf("asked again as %s, and %s waits", got.ID, id)
				}
				return
			}
		}
	}
	if got := ask(t, h.l, e, ledger.Waiting); got.ID != e.ID {
		t.Errorf("not asked as %s: %s waits", e.ID, got.ID)
	}
	h.m.expire(h.now)
	h.m.waits[e.ID], h.known = e, append(h.known, e.ID)
}

func (h *history) answer(t *testing.T) {
	id := one(h, h.m.waits)
	if len(h.known) > 0 && h.IntN(4) == 0 {
		id = h.known[h.IntN(len(h.known))]
	}
	event := []ledger.Event{ledger.EventApproved, ledger.EventApproved, ledger.EventDenied}[h.IntN(3)]
	got, err := h.l.Answer(t.Context(), id, event, "ann", "", h.now)
	q, waits := h.m.waits[id]
	delete(h.m.waits, id)
	switch {
	case !waits || !h.now.Before(q.Until):
		if !errors.Is(err, ledger.ErrAnswered) && !errors.Is(err, ledger.ErrNoApproval) {
			t.Errorf("Answer(%s) = %v, %v", id, got, err)
		}
	case err != nil || got.ID != id || got.Target != q.Target || got.Action != q.Action:
		t.Errorf("Answer(%s) = %v, %v", id, got, err)
	case event == ledger.EventDenied:
		h.m.denied[q.Target] = true
	default:
		h.m.approved[id] = q
	}
}

// begin writes the intent of an alert, of a person, or of an approval.
func (h *history) begin(t *testing.T) {
	e := intent("orders", h.id(), h.now)
	switch approved := one(h, h.m.approved); {
	case approved != "":
		e.Decision = approved
		delete(h.m.approved, approved)
	case h.IntN(2) == 0:
		e = byHand("orders", e.ID, h.now)
	case h.IntN(2) == 0:
		e.Decision = h.id()
		h.early = append(h.early, e.Decision)
	}
	if got, err := beginEntry(t.Context(), h.l, e, plenty); got != ledger.Allowed || err != nil {
		t.Errorf("Begin(%s) = %d, %v", e.ID, got, err)
	}
	h.m.signals[e.ID] = knownSignal{e, true}
}

func (h *history) finish(t *testing.T) {
	for _, id := range slices.Sorted(maps.Keys(h.m.signals)) {
		s := h.m.signals[id]
		if !s.open {
			continue
		}
		e := outcome("orders", id, h.now, h.IntN(2) == 0)
		e.Origin, e.Decision = s.Origin, s.Decision
		if err := h.l.Finish(t.Context(), e); err != nil {
			t.Error(err)
		}
		if s.open = false; e.Signalled {
			h.m.signals[id] = s
		} else {
			delete(h.m.signals, id)
		}
		return
	}
}

func (h *history) refuse(t *testing.T) {
	id := one(h, h.m.approved)
	delete(h.m.approved, id)
	refuse(t, h.l, cmp.Or(id, h.id()))
}

func (h *history) rotate(t *testing.T) {
	file := h.files[len(h.files)-1]
	rotate(t, h.l, file, fmt.Sprint(file, ".", len(h.files)))
	h.files = append(slices.Clone(h.files[:len(h.files)-1]), fmt.Sprint(file, ".", len(h.files)), file)
}

func (h *history) restart(t *testing.T) {
	h.l = reopened(t, h.l, h.files[len(h.files)-1])
	h.m = h.m.restarted()
}

// crash looks at what the next start makes of the file as it was at one byte of
// the step that began after so many bytes, when the model was before.
func (h *history) crash(t *testing.T, size int, before knowledge) {
	t.Helper()
	last := len(h.files) - 1
	text, err := os.ReadFile(h.files[last])
	if err != nil {
		t.Fatal(err)
	}
	m := h.m
	if len(text) > size && strings.Count(string(text[size:]), "\n") == 1 {
		if at := size + h.IntN(len(text)-size+1); at < len(text)-1 {
			text, m = text[:at], before
		}
	}
	file := newFile(t)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, file)
	m.restarted().check(t, l, h.now)
	for id := range m.approved {
		if !slices.ContainsFunc(l.Recent(len(m.approved)), func(e ledger.Entry) bool {
			return e.Decision == id && e.ID == "" && e.Outcome == ledger.Failed
		}) {
			t.Errorf("nothing came of the approval %s", id)
		}
	}
	checkGrammar(t, append(slices.Clone(h.files[:last]), file)...)
}

func TestRandomHistories(t *testing.T) { randomHistories(t, 0, 2) }

// randomHistories plays those of the seeds from the first up to the end.
func randomHistories(t *testing.T, first, end uint64) {
	for seed := first; seed < end; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := &history{Rand: rand.New(rand.NewPCG(seed, 0)), m: newKnowledge(), files: []string{newFile(t)}, now: noon}
			h.l, _ = open(t, h.files[0])
			steps := []func(*testing.T){
				h.ask, h.ask, h.ask, h.answer, h.answer, h.begin, h.begin, h.finish, h.finish, h.refuse, h.rotate, h.restart,
				func(t *testing.T) {
					h.m.expire(h.now)
					if err := h.l.Expire(t.Context(), h.now); err != nil {
						t.Error(err)
					}
				},
			}
			for n := 0; n < 100 && !t.Failed(); n++ {
				h.now = h.now.Add(time.Duration(h.IntN(8)) * time.Minute)
				before, files, size := h.m.clone(), len(h.files), 0
				if info, err := os.Stat(h.files[files-1]); err == nil {
					size = int(info.Size())
				}
				steps[h.IntN(len(steps))](t)
				h.m.check(t, h.l, h.now)
				if len(h.files) > files {
					size = 1 << 30
				}
				h.crash(t, size, before)
			}
		})
	}
}
