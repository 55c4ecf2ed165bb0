package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/names.sql
	namesSQL string
	//go:embed sql/roles.sql
	rolesSQL string
)

// errRoleDropped: PostgreSQL keeps the sessions of a role that was dropped, but
// they may do nothing any more. Another role may have the name by now.
var errRoleDropped = fmt.Errorf("%w: our role was dropped", session.ErrUnreachable)

// allNamesRow is a row of names.sql.
type allNamesRow struct {
	oids
	namesRow
}

// refreshNames reads the names of all sessions, unless the catalogues are locked.
// Our own role is among them: a connection whose role was dropped is closed.
func (c *openConn) refreshNames(ctx context.Context) error {
	rows, err := query(ctx, c.conn, namesSQL)
	if err != nil {
		return err
	}
	read := newNames()
	err = readRows(rows, func(r allNamesRow) { read.addRow(r.oids, r.namesRow, encodingOf(c.conn)) })
	switch {
	case lockTimedOut(err):
		return nil
	case err != nil:
		return err
	}
	c.names = read
	if ours, known := read.roles[c.whoami.role]; known && ours.name == "" {
		return errors.Join(errRoleDropped, closeConn(c.conn))
	}
	return nil
}

// roleRow is a row of roles.sql.
type roleRow struct {
	OID       uint32               `db:"oid"`
	Usename   string               `db:"usename"`
	Superuser bool                 `db:"superuser"`
	ReadAt    zeronull.Timestamptz `db:"read_at"`
}

// readRoles reads the roles of sessions while their databases cannot be read.
func (c *openConn) readRoles(ctx context.Context, of []findRow) (map[uint32]role, error) {
	wanted := make([]uint32, 0, len(of))
	for _, row := range of {
		wanted = append(wanted, row.UseSysID)
	}
	slices.Sort(wanted)
	rows, err := query(ctx, c.conn, rolesSQL, slices.Compact(wanted))
	if err != nil {
		return nil, err
	}
	read := map[uint32]role{}
	if err := readRows(rows, func(r roleRow) {
		read[r.OID] = role{name: validText(encodingOf(c.conn), r.Usename), superuser: r.Superuser, readAt: utc(r.ReadAt)}
	}); err != nil {
		return nil, err
	}
	if c.names.roles != nil {
		maps.Copy(c.names.roles, read)
	}
	return read, nil
}
