package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/hello.sql
var helloSQL string

// use is what a connection is for. The zero value is for nothing.
type use int

const (
	forActing use = iota + 1
	forScraping
)

// self is who we are on a server, and which one it is.
type self struct {
	role             uint32 // oid
	systemIdentifier string
}

// connect opens a connection to the server and asks who we are there. An error
// is session.ErrUnreachable.
func (s *Server) connect(ctx context.Context, u use) (*pgx.Conn, self, error) {
	params := map[string]string{}
	if u == forScraping {
		params["statement_timeout"] = milliseconds(scrapeTimeout)
	}
	conn, err := s.cfg.connect(ctx, params)
	if err != nil {
		return nil, self{}, connectError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	who, err := hello(ctx, conn)
	if err != nil {
		return nil, self{}, connectError(errors.Join(err, closeConn(conn)))
	}
	return conn, who, nil
}

// hello asks a new connection who we are on it.
func hello(ctx context.Context, conn *pgx.Conn) (self, error) {
	var s self
	if err := conn.QueryRow(ctx, helloSQL).Scan(&s.role, &s.systemIdentifier); err != nil {
		return self{}, fmt.Errorf("ask for our own role: %w", err)
	}
	return s, nil
}
