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
// attempt follows.
type doors struct {
	closed atomic.Pointer[[]door] // nil: the last attempt has reached somebody, or there was none
}

// door is one host of a connection string: a name, an address or a directory.
type door struct {
	host string
	port uint16
}

// set records how an attempt has ended: at which doors nobody was reached, if that
// was so at all of them.
func (d *doors) set(closed []door) {
	if closed == nil {
		d.closed.Store(nil)
	} else {
		d.closed.Store(&closed)
	}
}

// knock dials every address, within the limit, until one takes the connection. It
// returns an error if there are doors, and nobody is there.
func (d *doors) knock(ctx context.Context, limit time.Duration) error {
	closed := d.closed.Load()
	if closed == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for i, door := range *closed {
		last = door.knock(ctx, time.Now(), len(*closed)-i)
		if last == nil {
			return nil
		}
	}
	return last
}

// knock dials the addresses of one host. Others wait for their turn, so it takes
// its share of the time that is left.
func (d door) knock(ctx context.Context, now time.Time, left int) error {
	end, _ := ctx.Deadline()
	ctx, cancel := context.WithDeadline(ctx, now.Add(end.Sub(now)/time.Duration(left)))
	defer cancel()
	network, address := pgconn.NetworkAddress(d.host, d.port)
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address) // of several addresses it tries each, in a share of the time
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
