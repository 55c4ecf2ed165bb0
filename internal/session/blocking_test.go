package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// asked is a waiter with the blockers that PostgreSQL gave, for an object of its
// own.
func asked(pid int32, blockers ...int32) session.Waiter {
	return session.Waiter{PID: pid, Object: fmt.Sprint("object of ", pid), Blockers: blockers}
}

// notAsked is a waiter whose blockers PostgreSQL was not asked for.
func notAsked(pid int32, object string) session.Waiter {
	return session.Waiter{PID: pid, Object: object}
}

// askedAbout is a waiter with the blockers that PostgreSQL gave, for this object.
func askedAbout(pid int32, object string, blockers ...int32) session.Waiter {
	return session.Waiter{PID: pid, Object: object, Blockers: blockers}
}

func TestRoots(t *testing.T) {
	for name, tt := range map[string]struct {
		waiters []session.Waiter
		want    map[int32]int
	}{
		"nobody waits":           {nil, map[int32]int{}},
		"one behind another":     {[]session.Waiter{asked(2, 1)}, map[int32]int{1: 1}},
		"a chain":                {[]session.Waiter{asked(2, 1), asked(3, 2), asked(4, 3)}, map[int32]int{1: 3}},
		"a chain, upside down":   {[]session.Waiter{asked(4, 3), asked(3, 2), asked(2, 1)}, map[int32]int{1: 3}},
		"a cycle with a way out": {[]session.Waiter{asked(2, 3, 1), asked(3, 2)}, map[int32]int{1: 2}},
		"a cycle with a way out, the other way round": {[]session.Waiter{asked(3, 2), asked(2, 3, 1)}, map[int32]int{1: 2}},
		"a tree": {
			[]session.Waiter{asked(2, 1), asked(3, 1), asked(4, 2), asked(5, 2), asked(6, 3)},
			map[int32]int{1: 5},
		},
		"two trees": {
			[]session.Waiter{asked(2, 1), asked(3, 2), asked(12, 11)},
			map[int32]int{1: 2, 11: 1},
		},
		"a queue: everyone waits for all before": {
			[]session.Waiter{asked(2, 1), asked(3, 1, 2), asked(4, 1, 2, 3)},
			map[int32]int{1: 3},
		},
		"holders that share a lock": {
			[]session.Waiter{asked(4, 1, 2, 3), asked(5, 4)},
			map[int32]int{1: 2, 2: 2, 3: 2},
		},
		"a waiter that reaches a root on two ways": {
			[]session.Waiter{asked(2, 1), asked(3, 1), asked(4, 2, 3)},
			map[int32]int{1: 3},
		},
		"between two roots": {
			[]session.Waiter{asked(2, 1), asked(12, 11), asked(20, 2, 12)},
			map[int32]int{1: 2, 11: 2},
		},
		"a parallel query with two workers": {
			[]session.Waiter{askedAbout(2, "table", 1), askedAbout(2, "other table", 3), asked(4, 2)},
			map[int32]int{1: 2, 3: 2},
		},
		"a blocker given three times": {[]session.Waiter{asked(2, 1, 1, 1)}, map[int32]int{1: 1}},
		"a prepared transaction": {
			[]session.Waiter{asked(2, session.PreparedTransaction), asked(3, 2)},
			map[int32]int{session.PreparedTransaction: 2},
		},
		"a prepared transaction beside a session": {
			[]session.Waiter{asked(2, session.PreparedTransaction, 1)},
			map[int32]int{session.PreparedTransaction: 1, 1: 1},
		},
		"a deadlock has no root":   {[]session.Waiter{asked(1, 2), asked(2, 1)}, map[int32]int{}},
		"a deadlock of three":      {[]session.Waiter{asked(1, 2), asked(2, 3), asked(3, 1)}, map[int32]int{}},
		"behind a deadlock":        {[]session.Waiter{asked(1, 2), asked(2, 1), asked(3, 1)}, map[int32]int{}},
		"a deadlock beside a root": {[]session.Waiter{asked(1, 2), asked(2, 1), asked(4, 3)}, map[int32]int{3: 1}},
		"one that waits for itself": {
			[]session.Waiter{asked(1, 1), asked(3, 3, 2)},
			map[int32]int{2: 1},
		},
		"not asked: the blockers of another waiter for its object": {
			[]session.Waiter{askedAbout(2, "row", 1), askedAbout(3, "row", 1, 2), notAsked(4, "row"), notAsked(5, "row")},
			map[int32]int{1: 4},
		},
		"not asked, and no other waiter for its object": {
			[]session.Waiter{askedAbout(2, "row", 1), notAsked(4, "other row")},
			map[int32]int{1: 1},
		},
		"not asked, but others wait behind it": {
			[]session.Waiter{askedAbout(2, "row", 1), notAsked(3, "row"), askedAbout(4, "table", 3)},
			map[int32]int{1: 3},
		},
		"asked, but its blockers had gone": {
			[]session.Waiter{askedAbout(2, "row"), askedAbout(3, "row", 1)},
			map[int32]int{1: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, session.Roots(tt.waiters)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Without cycles, the roots of a waiter are the backends that it reaches and that
// do not wait. The test follows each waiter by itself.
func TestRootsOfRandomQueues(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		var waiters []session.Waiter
		blockers := map[int32][]int32{}
		for pid := int32(10); pid < 10+int32(random.IntN(40)); pid++ {
			for range 1 + random.IntN(4) {
				blockers[pid] = append(blockers[pid], random.Int32N(pid)) // one before it; 0 to 9 do not wait
			}
			waiters = append(waiters, asked(pid, blockers[pid]...))
		}
		random.Shuffle(len(waiters), func(i, j int) { waiters[i], waiters[j] = waiters[j], waiters[i] })
		want := map[int32]int{}
		for pid := range blockers {
			seen := map[int32]bool{pid: true}
			for next := []int32{pid}; len(next) > 0; next = next[1:] {
				if blockers[next[0]] == nil {
					want[next[0]]++
				}
				for _, b := range blockers[next[0]] {
					if !seen[b] {
						seen[b] = true
						next = append(next, b)
					}
				}
			}
		}
		if diff := cmp.Diff(want, session.Roots(waiters)); diff != "" {
			t.Fatalf("%v (-want +got):\n%s", waiters, diff)
		}
	}
}

// pileup is a thousand waiters for one row. PostgreSQL was asked for the blockers
// of the first 200, each of which waits for all before it.
func pileup() []session.Waiter {
	var waiters []session.Waiter
	blockers := []int32{1}
	for pid := int32(2); pid <= 1001; pid++ {
		w := notAsked(pid, "row")
		if pid <= 201 {
			w.Blockers = blockers
			blockers = append(slices.Clip(blockers), pid)
		}
		waiters = append(waiters, w)
	}
	return waiters
}

func TestRootOfAPileup(t *testing.T) {
	waiters, begun := pileup(), time.Now()
	if diff := cmp.Diff(map[int32]int{1: 1000}, session.Roots(waiters)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if took := time.Since(begun); took > time.Second { // it takes a few milliseconds
		t.Errorf("took %s", took)
	}
}

func BenchmarkRootOfAPileup(b *testing.B) {
	waiters := pileup()
	b.ReportAllocs()
	for b.Loop() {
		session.Roots(waiters)
	}
}
