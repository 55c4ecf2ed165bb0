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

// destination is what a connection string says: the servers to try, and how.
type destination struct {
	*pgx.ConnConfig
	addresses map[string]string // hostaddr: by host, instead of looking it up
	random    bool              // try the hosts in a random order
}

// hosts returns the tries of each host, in their order: with sslmode=prefer
// there are two of them.
func (t *destination) hosts() [][]*pgconn.FallbackConfig {
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

// connConfigs are to be tried one after the other, within the budget: first the
// wanted address alone, if it is one of several, and then all addresses. The time
// is divided, so that a dead address leaves some for the next one.
func (t *destination) connConfigs(ctx context.Context, budget time.Duration, wanted string) []*pgx.ConnConfig {
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
	all := t.dialOrder(hosts, found)
	if len(all) < 2 || !slices.Contains(all, wanted) {
		return []*pgx.ConnConfig{t.connConfig(hosts, found, budget)}
	}
	// The wanted address has a config of its own, because pgx goes on to the other
	// addresses with target_session_attrs=prefer-standby.
	var alone [][]*pgconn.FallbackConfig
	only := map[string]*lookup{}
	for _, tries := range hosts {
		host, port := tries[0].Host, tries[0].Port
		for _, address := range found[host].addresses {
			if dialledAddress(address, port) == wanted && alone == nil {
				alone, only[host] = append(alone, tries), &lookup{addresses: []string{address}}
			}
		}
	}
	share := budget / time.Duration(len(all)+1)
	return []*pgx.ConnConfig{t.connConfig(alone, only, share), t.connConfig(hosts, found, budget-share)}
}

// connConfig is for one call of pgx, which tries these hosts in their order.
func (t *destination) connConfig(hosts [][]*pgconn.FallbackConfig, found map[string]*lookup, budget time.Duration) *pgx.ConnConfig {
	c := t.Copy()
	tries := slices.Concat(hosts...)
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = tries[0].Host, tries[0].Port, tries[0].TLSConfig, tries[1:]
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return found[host].addresses, found[host].err
	}
	dials := len(t.dialOrder(hosts, found))
	if t.ValidateConnect != nil && dials > 1 { // pgx may come back to one at the end
		dials++
	}
	if share := budget / time.Duration(max(1, dials)); c.ConnectTimeout == 0 || c.ConnectTimeout > share {
		c.ConnectTimeout = share
	}
	return c
}

// dialOrder is the addresses in the order in which pgx tries them. pgx gives each
// a timeout of its own, but only one to several tries of the same address in a
// row.
func (t *destination) dialOrder(hosts [][]*pgconn.FallbackConfig, found map[string]*lookup) []string {
	var order []string
	for _, try := range slices.Concat(hosts...) {
		for _, address := range found[try.Host].addresses {
			order = append(order, dialledAddress(address, try.Port))
		}
	}
	return slices.Compact(order)
}

// lookup is what a host's name resolves to.
type lookup struct {
	addresses []string
	err       error
}

// lookUp resolves all hosts at the same time.
func (t *destination) lookUp(ctx context.Context, limit time.Duration) map[string]*lookup {
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

// dialledAddress is the address as netConn.address has it.
func dialledAddress(address string, port uint16) string {
	_, name := pgconn.NetworkAddress(address, port)
	return name
}
