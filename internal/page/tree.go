package page

import (
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Bounds of a tree of who waits for whom: a queue of a thousand would otherwise
// be a thousand levels deep.
const (
	treeDepth = 6
	treeNodes = 50
)

// node is a backend in a tree, with those below it.
type node struct {
	backend
	Label    string // pid 42, or a prepared transaction
	State    string
	Waits    string // how long it waits for a lock; empty: it does not, or that is not known
	Lock     string
	Text     string
	Last     bool
	Children []node
}

// tree is who waits behind a backend or, the other way round, whom it waits for.
// Each backend is in it once, below the one that it is next to in the queue.
type tree struct {
	Nodes []node
	More  int // backends without a node
	shown int
}

// blockingOf is what a snapshot tells about a backend: whom it waits for, and who
// waits for it, directly or not.
func (p *Pages) blockingOf(s Server, pid int32) (ahead, queued tree, behind int) {
	queue, all, waits := session.NewQueue(s.Snapshot.Waiters), known(s), map[int32]float64{}
	for _, w := range s.Snapshot.Waiters {
		waits[w.PID] = max(w.Age, waits[w.PID])
	}
	show := func(pid int32) node {
		is := all[pid]
		n := node{Label: pidLabel(pid), backend: p.newBackend(is), State: name(string(is.State)), Lock: lock(is)}
		if queue.Waits(pid) {
			n.Waits = duration(waits[pid])
		}
		text, last := p.text(is)
		n.Text, n.Last = sentence(text), last
		return n
	}
	return newTree(pid, queue.Blockers, queue.Waiters, show), newTree(pid, queue.Waiters, queue.Blockers, show), queue.Behind(pid)
}

// newTree makes the tree below root. next are the backends one step further away
// from it, and back those one step nearer.
func newTree(root int32, next, back func(int32) []int32, show func(int32) node) tree {
	order := reachable(root, next)
	depth, parent := map[int32]int{root: 0}, map[int32]int32{}
	inside := map[int32]bool{root: true}
	for _, pid := range order {
		inside[pid] = true
	}
	// In a queue everybody waits for everybody ahead, so the neighbour is the one
	// furthest from the root. A deadlock has no furthest: visiting ends it.
	visiting := map[int32]bool{}
	var place func(int32) int
	place = func(pid int32) int {
		if d, placed := depth[pid]; placed || visiting[pid] {
			return d
		}
		visiting[pid] = true
		deepest, under := 0, root
		for _, b := range back(pid) {
			if inside[b] && !visiting[b] {
				if d := place(b); d > deepest {
					deepest, under = d, b
				}
			}
		}
		delete(visiting, pid)
		depth[pid], parent[pid] = deepest+1, under
		return deepest + 1
	}
	children := map[int32][]int32{}
	for _, pid := range order {
		place(pid)
		children[parent[pid]] = append(children[parent[pid]], pid)
	}
	var t tree
	t.Nodes = t.below(root, 1, children, show)
	t.More = len(order) - t.shown
	return t
}

// below are the nodes below a backend. Deeper than treeDepth they follow each
// other instead.
func (t *tree) below(pid int32, level int, children map[int32][]int32, show func(int32) node) []node {
	var nodes []node
	for _, child := range children[pid] {
		if t.shown == treeNodes {
			break
		}
		t.shown++
		n := show(child)
		deeper := t.below(child, level+1, children, show)
		if level < treeDepth {
			n.Children, deeper = deeper, nil
		}
		nodes = append(append(nodes, n), deeper...)
	}
	return nodes
}

// reachable are the backends that next leads to from root, without it, nearest
// first.
func reachable(root int32, next func(int32) []int32) []int32 {
	seen := map[int32]bool{root: true}
	all := []int32{root}
	for i := 0; i < len(all); i++ {
		for _, pid := range next(all[i]) {
			if !seen[pid] {
				seen[pid] = true
				all = append(all, pid)
			}
		}
	}
	return all[1:]
}
