package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/names.sql
	namesSQL string
	//go:embed sql/roles.sql
	rolesSQL string
)

// names are what pg_database and pg_roles say about the sessions of a server, by
// the oids that stand in the activity. Each Find reads those that it needs, in
// the same round trip. While somebody holds one of these catalogues locked, what
// was read before must do, as long as it cannot be wrong:
//
//   - A database that was read after the session had begun: PostgreSQL renames
//     and drops no database that somebody is connected to.
//   - A role that was read no longer than roleLasts ago, while pg_authid is
//     locked: it can be renamed and become a superuser at any time, but not then.
//     While only pg_database is locked roles are read as ever.
//
// Any other session cannot be found then. To find it without its names would be
// to let them permit something.
type names struct {
	databases map[uint32]database
	roles     map[uint32]role
}

// roleLasts is longer than keepWarmEvery, at which all names are read.
const roleLasts = time.Minute

type database struct {
	name, encoding string
	at             time.Time // by the server's clock
}

type role struct {
	name      string
	superuser bool
	at        time.Time
}

// errNoNames: see names.
var errNoNames = fmt.Errorf("%w: the name of its database or its role could not be read", session.ErrUnreachable)

// nameRow is what names.sql, and named.sql beside a session, say of two oids.
type nameRow struct {
	database database
	role     role
	at       time.Time
}

func (r *nameRow) targets() []any {
	return []any{&r.database.name, &r.database.encoding, &r.role.name, &r.role.superuser, &r.at}
}

// into adds the row. The names are in the given encoding.
func (r *nameRow) into(to names, datid, usesysid uint32, encoding string) {
	to.databases[datid] = database{name: validText(encoding, r.database.name), encoding: r.database.encoding, at: r.at}
	to.roles[usesysid] = role{name: validText(encoding, r.role.name), superuser: r.role.superuser, at: r.at}
}

// scanNames reads the rows of names.sql.
func scanNames(rows pgx.Rows, encoding string) (names, error) {
	read := names{databases: map[uint32]database{}, roles: map[uint32]role{}}
	var r nameRow
	var datid, usesysid uint32
	_, err := pgx.ForEachRow(rows, append([]any{&datid, &usesysid}, r.targets()...), func() error {
		r.into(read, datid, usesysid, encoding)
		return nil
	})
	return read, err
}

// add keeps what was read for later.
func (n *names) add(read names) {
	if n.databases == nil {
		*n = read
		return
	}
	maps.Copy(n.databases, read.databases)
	maps.Copy(n.roles, read.roles)
}

// readRoles reads the roles of sessions whose databases cannot be read now.
func (l *link) readRoles(ctx context.Context, of []sessionRow) (map[uint32]role, error) {
	oids := make([]uint32, 0, len(of))
	for _, row := range of {
		oids = append(oids, row.usesysid)
	}
	slices.Sort(oids)
	rows, err := l.conn.Query(ctx, rolesSQL, slices.Compact(oids))
	if err != nil {
		return nil, err
	}
	read, encoding := map[uint32]role{}, encodingOf(l.conn)
	var oid uint32
	var r role
	if _, err = pgx.ForEachRow(rows, []any{&oid, &r.name, &r.superuser, &r.at}, func() error {
		read[oid] = role{name: validText(encoding, r.name), superuser: r.superuser, at: r.at}
		return nil
	}); err != nil {
		return nil, err
	}
	if l.names.roles != nil {
		maps.Copy(l.names.roles, read)
	}
	return read, nil
}

// logins are the roles of the sessions that were found, so that a signal need not
// look for its target's. A wrong one does no harm: see signal.sql.
type logins map[int32]uint32

// maxLogins bounds what is remembered.
const maxLogins = 10_000

func (l *logins) add(pid int32, role uint32) {
	if *l == nil || len(*l) >= maxLogins {
		*l = logins{}
	}
	(*l)[pid] = role
}

// of is nil for a session that was not found.
func (l logins) of(pid int32) *uint32 {
	role, known := l[pid]
	if !known || role == 0 {
		return nil
	}
	return &role
}

// trusted are those of the names that cannot be wrong for the session.
func (n names) trusted(s session.Found, datid, usesysid uint32) names {
	var good names
	if d, ok := n.databases[datid]; ok && !d.at.Before(s.BackendStart) {
		good.databases = map[uint32]database{datid: d}
	}
	if r, ok := n.roles[usesysid]; ok && !r.at.After(s.SeenAt) && s.SeenAt.Sub(r.at) <= roleLasts {
		good.roles = map[uint32]role{usesysid: r}
	}
	return good
}

// into fills in what a session's oids stand for. Our own encoding is for a text
// of no database.
func (n names) into(s *session.Found, datid, usesysid uint32, encoding string) error {
	d, known := n.databases[datid]
	if !known && datid != 0 {
		return errNoNames
	}
	r, known := n.roles[usesysid]
	if !known && usesysid != 0 {
		return errNoNames
	}
	if d.encoding != "" {
		encoding = d.encoding
	}
	s.Datname, s.Usename, s.Superuser = d.name, r.name, session.FactOf(r.superuser)
	s.Query = validText(encoding, s.Query)
	return nil
}

// errNoRole: PostgreSQL lets a session go on whose role was dropped, but such a
// session may do nothing. There may be another role of this name.
var errNoRole = fmt.Errorf("%w: our role was dropped", session.ErrUnreachable)

// refresh reads the names of all sessions, unless the catalogues are locked. Our
// own is among them: a connection whose role was dropped is given up.
func (l *link) refresh(ctx context.Context) error {
	rows, err := l.conn.Query(ctx, namesSQL)
	if err != nil {
		return err
	}
	read, err := scanNames(rows, encodingOf(l.conn))
	switch {
	case locked(err):
		return nil
	case err != nil:
		return err
	}
	l.names = read
	if ours, known := read.roles[l.self.role]; known && ours.name == "" {
		return errors.Join(errNoRole, closeConn(l.conn))
	}
	return nil
}

// locked reports whether a statement waited for a lock in vain.
func locked(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == lockNotAvailable
}
