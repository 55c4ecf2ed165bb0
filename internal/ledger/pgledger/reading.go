package pgledger

import (
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

var (
	//go:embed sql/copy_recent.sql
	copyRecentSQL string
	//go:embed sql/copy_waiting.sql
	copyWaitingSQL string
	//go:embed sql/copy_suspended.sql
	copySuspendedSQL string
	//go:embed sql/copy_spent.sql
	copySpentSQL string
)

// reading makes an image out of the one before and of what is new.
type reading struct {
	before, image image
}

// queue adds the statements that read the image.
func (r *reading) queue(batch *pgx.Batch, window time.Duration) {
	r.image = image{suspended: map[string]bool{}, spent: map[string][]time.Time{}}
	lines, seqs := map[int64]ledger.Entry{}, []int64{}
	for _, l := range r.before.lines {
		lines[l.seq], seqs = l.entry, append(seqs, l.seq)
	}
	batch.Queue(copyRecentSQL, pgx.NamedArgs{"known": seqs}).Query(func(rows pgx.Rows) error {
		return each(rows, func(seq int64, at time.Time, text []byte) {
			if e, ok := known(lines[seq], at, text); ok {
				r.image.lines = append(r.image.lines, line{seq, e})
			}
		})
	})
	asked, ids := map[string]ledger.Entry{}, []string{}
	for _, q := range r.before.waiting {
		asked[q.id], ids = q.asked, append(ids, q.id)
	}
	batch.Queue(copyWaitingSQL, pgx.NamedArgs{"known": ids}).Query(func(rows pgx.Rows) error {
		now := time.Now()
		var id string
		var at time.Time
		var text []byte
		var left float64 // in seconds
		_, err := pgx.ForEachRow(rows, []any{&id, &at, &text, &left}, func() error {
			if e, ok := known(asked[id], at, text); ok {
				e.Until = onOurs(e.Until, now.Add(time.Duration(left*float64(time.Second))))
				r.image.waiting = append(r.image.waiting, question{id, e})
			}
			return nil
		})
		return err
	})
	batch.Queue(copySuspendedSQL).Query(func(rows pgx.Rows) error {
		var server string
		_, err := pgx.ForEachRow(rows, []any{&server}, func() error {
			r.image.suspended[server] = true
			return nil
		})
		return err
	})
	batch.Queue(copySpentSQL, pgx.NamedArgs{"window": window}).Query(func(rows pgx.Rows) error {
		now := time.Now()
		var server string
		var age float64 // in seconds
		_, err := pgx.ForEachRow(rows, []any{&server, &age}, func() error {
			r.image.spent[server] = append(r.image.spent[server], now.Add(-time.Duration(age*float64(time.Second))))
			return nil
		})
		return err
	})
}

// onOurs is an instant of the database's clock, by ours: as it is where the two agree.
func onOurs(theirs, ours time.Time) time.Time {
	if ours.Sub(theirs).Abs() < time.Second {
		return theirs
	}
	return ours
}

// each calls f with every row of lines. K is what the lines are known by.
func each[K any](rows pgx.Rows, f func(key K, at time.Time, text []byte)) error {
	var key K
	var at time.Time
	var text []byte
	_, err := pgx.ForEachRow(rows, []any{&key, &at, &text}, func() error {
		f(key, at, text)
		return nil
	})
	return err
}

// known is a line as the copy has it or, with a text, as the ledger has it. It is false
// for a line that cannot be read: the others can.
func known(before ledger.Entry, at time.Time, text []byte) (ledger.Entry, bool) {
	if text == nil {
		return before, true
	}
	e, err := decode(at, text)
	return e, err == nil
}
