package dashboards_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

func realLedger(t *testing.T) *pgx.Conn {
	schema, err := os.ReadFile("../internal/ledger/pgledger/migrations/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t)
	s.Exec(t, string(schema), `
insert into pgbailiff.entries (time,entry) select now(), e || '{"server":"orders","id":"i","decision":"d","replica":"r"}' from (values
('{"event":"outcome","outcome":"refused","reason":"rule","pid":4,"source":"alert","backend_start":"2026-11-22T11:05:54.871475Z"}'::jsonb),
('{"event":"outcome","outcome":"cancelled","signalled":true,"pid":4,"source":"alert"}'),
('{"event":"outcome","outcome":"cancelled","signalled":true,"pid":4,"source":"manual","by":"ann"}'),
('{"event":"approved"}'),('{"event":"suspended"}')) v(e)`,
		`insert into pgbailiff.questions values ('q','orders','t','cancel',now(),now()+'1 h',null,null,false,'{"pid":3}')`,
		`insert into pgbailiff.servers values ('orders', true)`,
		`insert into pgbailiff.signals values ('x','orders','1',1,now(),now(),'cancel',true,now(),false,true,true,'me',now(),'{}')`)
	return s.Connect(t, "postgres")
}
