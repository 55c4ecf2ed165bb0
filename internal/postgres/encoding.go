package postgres

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/jackc/pgx/v5"
)

// validText makes valid UTF-8 of a text from a database in this encoding
// (PostgreSQL's name of it). What cannot be converted becomes U+FFFD. ASCII, which
// is the same in every encoding of a server, is never changed, so that no byte
// before a keyword can hide it.
//
// The activity shows each statement's text in the encoding of its session's
// database, whichever database we are connected to, and any session may send
// bytes that are not valid in it. If the server converted the texts for us, one
// such session would make our whole statement fail. Our sessions therefore have
// the client_encoding SQL_ASCII: the server neither converts nor checks anything,
// and the conversion is done here.
func validText(encoding, raw string) string {
	ascii := strings.IndexFunc(raw, notASCII) < 0
	set := charset(encoding)
	switch {
	case ascii:
		return raw
	case set == nil:
		return strings.ToValidUTF8(raw, string(utf8.RuneError))
	}
	var to strings.Builder
	for raw != "" {
		n := strings.IndexFunc(raw, notASCII)
		if n < 0 {
			n = len(raw)
		}
		to.WriteString(raw[:n])
		raw = raw[n:]
		n = 0
		for n < len(raw) && raw[n] >= utf8.RuneSelf {
			n++
		}
		text, err := set.NewDecoder().String(raw[:n])
		if err != nil {
			text = string(utf8.RuneError)
		}
		to.WriteString(text)
		raw = raw[n:]
	}
	return to.String()
}

func notASCII(r rune) bool { return r >= utf8.RuneSelf }

// encodingOf is the encoding of the database that we are connected to.
func encodingOf(conn *pgx.Conn) string { return conn.PgConn().ParameterStatus("server_encoding") }

// charset is the decoder for a database's encoding. Nil: the text is read as
// UTF-8, which is also the best guess for SQL_ASCII and for the few encodings
// without a decoder here.
func charset(name string) encoding.Encoding {
	switch name {
	case "LATIN1":
		return charmap.ISO8859_1
	case "LATIN2":
		return charmap.ISO8859_2
	case "LATIN3":
		return charmap.ISO8859_3
	case "LATIN4":
		return charmap.ISO8859_4
	case "LATIN5":
		return charmap.ISO8859_9
	case "LATIN6":
		return charmap.ISO8859_10
	case "LATIN7":
		return charmap.ISO8859_13
	case "LATIN8":
		return charmap.ISO8859_14
	case "LATIN9":
		return charmap.ISO8859_15
	case "LATIN10":
		return charmap.ISO8859_16
	case "ISO_8859_5":
		return charmap.ISO8859_5
	case "ISO_8859_6":
		return charmap.ISO8859_6
	case "ISO_8859_7":
		return charmap.ISO8859_7
	case "ISO_8859_8":
		return charmap.ISO8859_8
	case "KOI8R":
		return charmap.KOI8R
	case "KOI8U":
		return charmap.KOI8U
	case "WIN866":
		return charmap.CodePage866
	case "WIN874":
		return charmap.Windows874
	case "WIN1250":
		return charmap.Windows1250
	case "WIN1251":
		return charmap.Windows1251
	case "WIN1252":
		return charmap.Windows1252
	case "WIN1253":
		return charmap.Windows1253
	case "WIN1254":
		return charmap.Windows1254
	case "WIN1255":
		return charmap.Windows1255
	case "WIN1256":
		return charmap.Windows1256
	case "WIN1257":
		return charmap.Windows1257
	case "WIN1258":
		return charmap.Windows1258
	case "EUC_JP", "EUC_JIS_2004":
		return japanese.EUCJP
	case "EUC_KR":
		return korean.EUCKR
	case "EUC_CN":
		return simplifiedchinese.GBK
	default:
		return nil
	}
}
