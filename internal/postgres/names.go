package postgres

import (
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// names are what pg_database and pg_roles say about the sessions of a server, by
// the oids that stand in the activity. Each Find reads the names that it needs,
// in the same round trip. While somebody holds one of these catalogues locked, it
// uses the names that were read before, if they cannot be wrong:
//
//   - A database that was read after the session had begun: PostgreSQL neither
//     renames nor drops a database that somebody is connected to.
//   - A role that was read at most maxRoleAge ago, while pg_authid is locked. A
//     role can be renamed and become a superuser at any time, but not while
//     pg_authid is locked. While only pg_database is locked, roles are read.
//
// Any other session cannot be found then. A session without its names could be
// permitted something that its names forbid.
type names struct {
	databases map[uint32]database
	roles     map[uint32]role
}

// maxRoleAge bounds how long a role that was read is used while pg_authid is
// locked. It is longer than keepWarmEvery, at which all names are read.
const maxRoleAge = time.Minute

type database struct {
	name, encoding string
	readAt         time.Time // by the server's clock
}

type role struct {
	name      string
	superuser bool
	readAt    time.Time // by the server's clock
}

// errNoNames is why a session is not found: see names.
var errNoNames = fmt.Errorf("%w: the name of its database or its role could not be read", session.ErrUnreachable)

// oids are a session's database and login role. 0: it has none.
type oids struct {
	DatID    uint32 `db:"datid"`
	UseSysID uint32 `db:"usesysid"`
}

// namesRow is what find_with_names.sql and names.sql return for a pair of oids.
type namesRow struct {
	Datname   string               `db:"datname"`
	Encoding  string               `db:"encoding"`
	Usename   string               `db:"usename"`
	Superuser bool                 `db:"superuser"`
	ReadAt    zeronull.Timestamptz `db:"read_at"`
}

func newNames() names { return names{databases: map[uint32]database{}, roles: map[uint32]role{}} }

// addRow adds a row whose names are in the given encoding.
func (n names) addRow(of oids, r namesRow, encoding string) {
	n.databases[of.DatID] = database{name: validText(encoding, r.Datname), encoding: r.Encoding, readAt: utc(r.ReadAt)}
	n.roles[of.UseSysID] = role{name: validText(encoding, r.Usename), superuser: r.Superuser, readAt: utc(r.ReadAt)}
}

// addAll keeps what was read for later.
func (n *names) addAll(read names) {
	if n.databases == nil {
		*n = read
		return
	}
	maps.Copy(n.databases, read.databases)
	maps.Copy(n.roles, read.roles)
}

// reliableFor returns those of the remembered names that cannot be wrong for the
// session.
func (n names) reliableFor(s session.Found, of oids) names {
	var good names
	if d, ok := n.databases[of.DatID]; ok && !d.readAt.Before(s.BackendStart) {
		good.databases = map[uint32]database{of.DatID: d}
	}
	if r, ok := n.roles[of.UseSysID]; ok && !r.readAt.After(s.SeenAt) && s.SeenAt.Sub(r.readAt) <= maxRoleAge {
		good.roles = map[uint32]role{of.UseSysID: r}
	}
	return good
}

// fillIn sets what a session's oids stand for, and makes its text valid. A text
// of no database is in the given encoding, our own.
func (n names) fillIn(s *session.Found, of oids, encoding string) error {
	d, known := n.databases[of.DatID]
	if !known && of.DatID != 0 {
		return errNoNames
	}
	r, known := n.roles[of.UseSysID]
	if !known && of.UseSysID != 0 {
		return errNoNames
	}
	if d.encoding != "" {
		encoding = d.encoding
	}
	s.Datname, s.Usename, s.Superuser = d.name, r.name, session.FactOf(r.superuser)
	s.Query = validText(encoding, s.Query)
	return nil
}
