package postgres

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/lock_timeout.sql
var lockTimeoutSQL string

// catalogLockTimeout is how long a statement of the action connection waits for a
// lock. Only those that read names take any.
const catalogLockTimeout = 200 * time.Millisecond

// openConn is an open connection and what is known on it.
type openConn struct {
	conn       *pgx.Conn
	whoami     whoami
	names      names
	loginRoles loginRoles

	running *runningJob // nil: no statement runs
}

// runningJob is a job whose statement has been sent and has not ended.
type runningJob struct {
	job   *job
	ended chan error         // takes the statement's end, and is buffered
	abort context.CancelFunc // ends the statement, and the connection with it
}

// openNew connects, prepares every statement of the action connection, so that
// each costs one round trip from then on, and reads all names.
func (a *actionConn) openNew(ctx context.Context) (*openConn, error) {
	conn, who, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	c := &openConn{conn: conn, whoami: who}
	for _, sql := range []string{findSQL, findWithNamesSQL, namesSQL, rolesSQL, signalSQL, lookSQL} {
		if err == nil {
			err = prepare(ctx, conn, sql)
		}
	}
	if err == nil {
		_, err = conn.Exec(ctx, lockTimeoutSQL, milliseconds(catalogLockTimeout))
	}
	if err == nil {
		err = c.refreshNames(ctx)
	}
	if err != nil {
		return nil, connectError(errors.Join(err, closeConn(conn)))
	}
	return c, nil
}

func (c *openConn) clearRunning() {
	c.running.abort()
	c.running = nil
}

// endLate takes the end of a statement that came after its deadline. A success
// still counts, unless the job has been finished with an error before.
func (c *openConn) endLate(err error) {
	if err == nil {
		c.running.job.finish(nil)
	}
	c.clearRunning()
}

func closeConn(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return conn.Close(ctx)
}
