package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// target is what a connection string says: the servers to try, and how.
type target struct {
	*pgx.ConnConfig
	addresses map[string]string // of hosts that are not looked up
	random    bool              // try the hosts in a random order
}

// hosts returns the tries of each host, in their order: with sslmode=prefer
// there are two of them.
func (t *target) hosts() [][]*pgconn.FallbackConfig {
	all := append([]*pgconn.FallbackConfig{{Host: t.Host, Port: t.Port, TLSConfig: t.TLSConfig}}, t.Fallbacks...)
	var hosts [][]*pgconn.FallbackConfig
	for i, try := range all {
		if i == 0 || try.Host != all[i-1].Host || try.Port != all[i-1].Port {
			hosts = append(hosts, nil)
		}
		last := len(hosts) - 1
		hosts[last] = append(hosts[last], try)
	}
	return hosts
}

// arrange looks the hosts up, puts the address that is wanted first, and
// divides the time among all of them, so that a dead one leaves some for the
// next.
func (t *target) arrange(ctx context.Context, budget time.Duration, wanted string) {
	found := t.lookUp(ctx, budget/2)
	hosts := t.hosts()
	if t.random {
		rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		for _, f := range found {
			rand.Shuffle(len(f.addresses), func(i, j int) {
				f.addresses[i], f.addresses[j] = f.addresses[j], f.addresses[i]
			})
		}
	}
	is := func(port uint16) func(string) bool {
		return func(address string) bool { return dialled(address, port) == wanted }
	}
	for _, tries := range hosts {
		moveToFront(found[tries[0].Host].addresses, is(tries[0].Port))
	}
	moveToFront(hosts, func(tries []*pgconn.FallbackConfig) bool {
		return slices.ContainsFunc(found[tries[0].Host].addresses, is(tries[0].Port))
	})

	tries := slices.Concat(hosts...)
	t.Host, t.Port, t.TLSConfig, t.Fallbacks = tries[0].Host, tries[0].Port, tries[0].TLSConfig, tries[1:]
	t.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return found[host].addresses, found[host].err
	}
	share := budget / time.Duration(t.countTurns(tries, found))
	if t.ConnectTimeout == 0 || t.ConnectTimeout > share {
		t.ConnectTimeout = share
	}
}

// countTurns counts what pgx gives a timeout of its own: each change of the
// address. With target_session_attrs it may come back to one at the end.
func (t *target) countTurns(tries []*pgconn.FallbackConfig, found map[string]*lookup) int {
	n, last := 0, ""
	for _, try := range tries {
		for _, address := range found[try.Host].addresses {
			if address = dialled(address, try.Port); address != last {
				n, last = n+1, address
			}
		}
	}
	if t.ValidateConnect != nil && n > 1 {
		n++
	}
	return max(1, n)
}

// lookup is what a host's name stands for.
type lookup struct {
	addresses []string
	err       error
}

// lookUp asks for the addresses of all hosts at the same time.
func (t *target) lookUp(ctx context.Context, limit time.Duration) map[string]*lookup {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found := map[string]*lookup{}
	var all sync.WaitGroup
	for _, tries := range t.hosts() {
		host := tries[0].Host
		if found[host] != nil {
			continue
		}
		to := &lookup{}
		found[host] = to
		switch address := t.addresses[host]; {
		case strings.HasPrefix(host, "/"), net.ParseIP(host) != nil:
			to.addresses = []string{host}
		case address != "":
			to.addresses = []string{address}
		default:
			all.Go(func() {
				to.addresses, to.err = net.DefaultResolver.LookupHost(ctx, host)
				if to.err != nil {
					to.err = fmt.Errorf("look up %s: %w", host, to.err)
				}
			})
		}
	}
	all.Wait()
	return found
}

// dialled is how a wire calls the address.
func dialled(address string, port uint16) string {
	_, name := pgconn.NetworkAddress(address, port)
	return name
}

// moveToFront moves the first element that is the one, and keeps the others in
// their order.
func moveToFront[T any](s []T, is func(T) bool) {
	if i := slices.IndexFunc(s, is); i > 0 {
		first := s[i]
		copy(s[1:], s[:i])
		s[0] = first
	}
}
