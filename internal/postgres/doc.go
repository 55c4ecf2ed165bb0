// Package postgres is the only one that speaks SQL to the watched servers. It
// reads what a server's backends do (Snapshot), reads one of them for a decision
// (Find), signals it through the fence (Signal), and looks at it again (Watch).
//
// A Server has two connections. The action connection (action_conn.go) finds,
// signals and looks; it is opened at start and kept (warmth.go). The scrape
// connection (scrape_conn.go) reads snapshots; it is opened at the first scrape and
// closed when there was none for a while. Each has one goroutine that owns it:
// callers hand over a request and wait for the result or for their context.
//
// There may be thousands of servers. At most so many connection attempts run at a
// time as Dials allows (dial_queue.go), those that an alert waits for first. Attempts
// that nobody waits for back off while a server is down (backoff.go). What all
// connections have in common is in memory once (shapes.go).
//
// Every statement is autocommit: inside a transaction block PostgreSQL freezes
// the activity at the first read. Every statement has a deadline on our side
// and a statement_timeout on the server's. The statements are in sql/; their
// columns go to the fields with the same db tag (rows.go).
package postgres
