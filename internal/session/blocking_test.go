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

// waits is a waiter that PostgreSQL was asked about.
func waits(pid int32, blockers ...int32) session.Waiter {
	return session.Waiter{PID: pid, Object: fmt.Sprint("object of ", pid), Blockers: blockers}
}

// waitsFor is a waiter that PostgreSQL was not asked about.
func waitsFor(pid int32, object string) session.Waiter {
	return session.Waiter{PID: pid, Object: object}
}

// queue is a waiter that PostgreSQL was asked about, with what it waits for.
func queue(pid int32, object string, blockers ...int32) session.Waiter {
	return session.Waiter{PID: pid, Object: object, Blockers: blockers}
}

func TestRoots(t *testing.T) {
	for name, tt := range map[string]struct {
		waiters []session.Waiter
		want    map[int32]int
	}{
		"nobody waits":           {nil, map[int32]int{}},
		"one behind another":     {[]session.Waiter{waits(2, 1)}, map[int32]int{1: 1}},
		"a chain":                {[]session.Waiter{waits(2, 1), waits(3, 2), waits(4, 3)}, map[int32]int{1: 3}},
		"a chain, upside down":   {[]session.Waiter{waits(4, 3), waits(3, 2), waits(2, 1)}, map[int32]int{1: 3}},
		"a cycle with a way out": {[]session.Waiter{waits(2, 3, 1), waits(3, 2)}, map[int32]int{1: 2}},
		"a cycle with a way out, the other way round": {[]session.Waiter{waits(3, 2), waits(2, 3, 1)}, map[int32]int{1: 2}},
		"a tree": {
			[]session.Waiter{waits(2, 1), waits(3, 1), waits(4, 2), waits(5, 2), waits(6, 3)},
			map[int32]int{1: 5},
		},
		"two trees": {
			[]session.Waiter{waits(2, 1), waits(3, 2), waits(12, 11)},
			map[int32]int{1: 2, 11: 1},
		},
		"a queue: everyone waits for all before": {
			[]session.Waiter{waits(2, 1), waits(3, 1, 2), waits(4, 1, 2, 3)},
			map[int32]int{1: 3},
		},
		"holders that share a lock": {
			[]session.Waiter{waits(4, 1, 2, 3), waits(5, 4)},
			map[int32]int{1: 2, 2: 2, 3: 2},
		},
		"two ways to one root count once": {
			[]session.Waiter{waits(2, 1), waits(3, 1), waits(4, 2, 3)},
			map[int32]int{1: 3},
		},
		"between two roots": {
			[]session.Waiter{waits(2, 1), waits(12, 11), waits(20, 2, 12)},
			map[int32]int{1: 2, 11: 2},
		},
		"a parallel query with two workers": {
			[]session.Waiter{queue(2, "table", 1), queue(2, "other table", 3), waits(4, 2)},
			map[int32]int{1: 2, 3: 2},
		},
		"blockers named twice": {[]session.Waiter{waits(2, 1, 1, 1)}, map[int32]int{1: 1}},
		"a prepared transaction": {
			[]session.Waiter{waits(2, session.PreparedTransaction), waits(3, 2)},
			map[int32]int{session.PreparedTransaction: 2},
		},
		"a prepared transaction beside a session": {
			[]session.Waiter{waits(2, session.PreparedTransaction, 1)},
			map[int32]int{session.PreparedTransaction: 1, 1: 1},
		},
		"a deadlock has no root":   {[]session.Waiter{waits(1, 2), waits(2, 1)}, map[int32]int{}},
		"a deadlock of three":      {[]session.Waiter{waits(1, 2), waits(2, 3), waits(3, 1)}, map[int32]int{}},
		"behind a deadlock":        {[]session.Waiter{waits(1, 2), waits(2, 1), waits(3, 1)}, map[int32]int{}},
		"a deadlock beside a root": {[]session.Waiter{waits(1, 2), waits(2, 1), waits(4, 3)}, map[int32]int{3: 1}},
		"one that waits for itself": {
			[]session.Waiter{waits(1, 1), waits(3, 3, 2)},
			map[int32]int{2: 1},
		},
		"not asked: behind those of another for the same object": {
			[]session.Waiter{queue(2, "row", 1), queue(3, "row", 1, 2), waitsFor(4, "row"), waitsFor(5, "row")},
			map[int32]int{1: 4},
		},
		"not asked: another object has nobody to ask": {
			[]session.Waiter{queue(2, "row", 1), waitsFor(4, "other row")},
			map[int32]int{1: 1},
		},
		"not asked, but others wait behind it": {
			[]session.Waiter{queue(2, "row", 1), waitsFor(3, "row"), queue(4, "table", 3)},
			map[int32]int{1: 3},
		},
		"asked, and its blockers had gone": {
			[]session.Waiter{queue(2, "row"), queue(3, "row", 1)},
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

// Without cycles the answer is that of the plain definition: whom a waiter
// reaches that does not wait.
func TestRootsOfAnyQueues(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		var waiters []session.Waiter
		blockers := map[int32][]int32{}
		for pid := int32(10); pid < 10+int32(random.IntN(40)); pid++ {
			for range 1 + random.IntN(4) {
				blockers[pid] = append(blockers[pid], random.Int32N(pid)) // those before it, and 0 to 9, which do not wait
			}
			waiters = append(waiters, waits(pid, blockers[pid]...))
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

// pileup is what a thousand waiters for one row are like: of the first 200
// PostgreSQL was asked, and each of those waits for all before it.
func pileup() []session.Waiter {
	var waiters []session.Waiter
	blockers := []int32{1}
	for pid := int32(2); pid <= 1001; pid++ {
		w := waitsFor(pid, "row")
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
