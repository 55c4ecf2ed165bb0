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

// rounds are what to try, one after the other, within the budget: the address
// that is wanted, alone, if it is one of several, and then all of them. The
// time is divided, so that a dead address leaves some for the next.
func (t *target) rounds(ctx context.Context, budget time.Duration, wanted string) []*pgx.ConnConfig {
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
	all := t.turns(hosts, found)
	if len(all) < 2 || !slices.Contains(all, wanted) {
		return []*pgx.ConnConfig{t.round(hosts, found, budget)}
	}
	// With target_session_attrs=prefer-standby pgx would go on to the others.
	var alone [][]*pgconn.FallbackConfig
	only := map[string]*lookup{}
	for _, tries := range hosts {
		host, port := tries[0].Host, tries[0].Port
		for _, address := range found[host].addresses {
			if dialled(address, port) == wanted && alone == nil {
				alone, only[host] = append(alone, tries), &lookup{addresses: []string{address}}
			}
		}
	}
	share := budget / time.Duration(len(all)+1)
	return []*pgx.ConnConfig{t.round(alone, only, share), t.round(hosts, found, budget-share)}
}

// round is one call of pgx, which tries these hosts in their order.
func (t *target) round(hosts [][]*pgconn.FallbackConfig, found map[string]*lookup, budget time.Duration) *pgx.ConnConfig {
	c := t.Copy()
	tries := slices.Concat(hosts...)
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = tries[0].Host, tries[0].Port, tries[0].TLSConfig, tries[1:]
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return found[host].addresses, found[host].err
	}
	turns := len(t.turns(hosts, found))
	if t.ValidateConnect != nil && turns > 1 { // pgx may come back to one at the end
		turns++
	}
	if share := budget / time.Duration(max(1, turns)); c.ConnectTimeout == 0 || c.ConnectTimeout > share {
		c.ConnectTimeout = share
	}
	return c
}

// turns are the addresses in the order in which pgx tries them. It gives each
// a timeout of its own, but one for all tries of the same in a row.
func (t *target) turns(hosts [][]*pgconn.FallbackConfig, found map[string]*lookup) []string {
	var turns []string
	for _, try := range slices.Concat(hosts...) {
		for _, address := range found[try.Host].addresses {
			turns = append(turns, dialled(address, try.Port))
		}
	}
	return slices.Compact(turns)
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
