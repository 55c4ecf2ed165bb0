package postgres

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// decodeRow stores a row's values, as pgx's Scan does, and reports whether it could
// store all of them. It knows the types that our statements return. What it does not
// know is left to pgx, which looks for a way to store each column anew for each
// statement: that takes longer than everything else about a statement with few rows.
func decodeRow(columns []pgconn.FieldDescription, values [][]byte, to []any) bool {
	for i, value := range values {
		if value == nil || !decode(columns[i].DataTypeOID, columns[i].Format, value, to[i]) {
			if t, ok := to[i].(*zeronull.Timestamptz); ok && value == nil {
				*t = zeronull.Timestamptz{}
				continue
			}
			return false
		}
	}
	return true
}

// decode stores one value that is not NULL.
func decode(oid uint32, format int16, value []byte, to any) bool {
	if oid == pgtype.TextOID { // the same in both formats
		switch to := to.(type) {
		case *string:
			*to = string(value)
		case *session.State:
			*to = session.State(value)
		default:
			return false
		}
		return true
	}
	if format != pgtype.BinaryFormatCode {
		return false
	}
	switch to := to.(type) {
	case *bool:
		if oid != pgtype.BoolOID || len(value) != 1 {
			return false
		}
		*to = value[0] == 1
	case *int32:
		if oid != pgtype.Int4OID || len(value) != 4 {
			return false
		}
		*to = int32(binary.BigEndian.Uint32(value))
	case *uint32:
		if oid != pgtype.OIDOID || len(value) != 4 {
			return false
		}
		*to = binary.BigEndian.Uint32(value)
	case *int64:
		if oid != pgtype.Int8OID || len(value) != 8 {
			return false
		}
		*to = int64(binary.BigEndian.Uint64(value))
	case *float64:
		if oid != pgtype.Float8OID || len(value) != 8 {
			return false
		}
		*to = math.Float64frombits(binary.BigEndian.Uint64(value))
	case *zeronull.Timestamptz:
		if oid != pgtype.TimestamptzOID || len(value) != 8 {
			return false
		}
		return decodeTime(int64(binary.BigEndian.Uint64(value)), to)
	default:
		return false
	}
	return true
}

// year2000 is 2000-01-01 in seconds since 1970.
const year2000 = 946684800

// decodeTime stores a time, in microseconds since the year 2000, but no infinite one.
func decodeTime(micros int64, to *zeronull.Timestamptz) bool {
	if micros == math.MaxInt64 || micros == math.MinInt64 {
		return false
	}
	*to = zeronull.Timestamptz(time.Unix(year2000+micros/1e6, micros%1e6*1000))
	return true
}
