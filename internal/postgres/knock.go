package postgres

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// doors are where an attempt has reached nobody: no address has taken a connection.
// To find out whether that is still so, it is enough to dial. A whole attempt
// reads the connection string, the environment and the files that they name, and
// copies all that: with thousands of servers that are down, this took most of the
// processor time of the process.
//
// Only attempts that nobody waits for knock. As soon as a dial succeeds, a whole
// attempt follows. One is made every wholeAttemptEvery all the same, because the
// files that the connection string names may name another server by now.
type doors struct {
	closed atomic.Pointer[closedDoors] // nil: the last whole attempt has reached somebody, or there was none
}

const wholeAttemptEvery = 5 * time.Minute

type closedDoors struct {
	doors []door
	since time.Time // of the whole attempt
}

// door is one host of a connection string: a name, an address or a directory.
type door struct {
	host string
	port uint16
}

// set records how a whole attempt has ended: at which doors nobody was reached, if
// that was so at all of them.
func (d *doors) set(closed []door, now time.Time) {
	if closed == nil {
		d.closed.Store(nil)
	} else {
		d.closed.Store(&closedDoors{closed, now})
	}
}

// knock dials every address, within the limit, until one takes the connection. It
// returns an error if there are doors, and nobody is there.
func (d *doors) knock(ctx context.Context, limit time.Duration, now time.Time) error {
	closed := d.closed.Load()
	if closed == nil || now.Sub(closed.since) >= wholeAttemptEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for i, door := range closed.doors {
		last = door.knock(ctx, len(closed.doors)-i)
		if last == nil {
			return nil
		}
	}
	return last
}

// knock dials the addresses of one host. Others wait for their turn, so it takes
// its share of the time that is left.
func (d door) knock(ctx context.Context, left int) error {
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
	defer cancel()
	network, address := pgconn.NetworkAddress(d.host, d.port)
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address) // which tries all addresses of a name
	if err != nil {
		return err
	}
	return conn.Close()
}

// doors are the hosts of the connection string.
func (t *destination) doors() []door {
	var all []door
	for _, tries := range t.hosts() {
		host := tries[0].Host
		if address := t.addresses[host]; address != "" {
			host = address
		}
		all = append(all, door{host, tries[0].Port})
	}
	return all
}
