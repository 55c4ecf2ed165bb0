package postgres

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// serverEncodings are all encodings that a database can have.
var serverEncodings = []string{
	"EUC_CN", "EUC_JIS_2004", "EUC_JP", "EUC_KR", "EUC_TW",
	"ISO_8859_5", "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "KOI8R", "KOI8U",
	"LATIN1", "LATIN2", "LATIN3", "LATIN4", "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10",
	"MULE_INTERNAL", "SQL_ASCII", "UTF8", "WIN866", "WIN874",
	"WIN1250", "WIN1251", "WIN1252", "WIN1253", "WIN1254", "WIN1255", "WIN1256", "WIN1257", "WIN1258",
}

// Any bytes become a valid text with the same ASCII: no byte can hide the letter
// after it.
func TestValidTextOfAnyBytes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ascii := func(text string) string {
		return string(slices.DeleteFunc([]byte(text), func(b byte) bool { return b >= utf8.RuneSelf }))
	}
	for _, encoding := range append(serverEncodings, "", "unknown") {
		for range 2000 {
			raw := make([]byte, random.IntN(12))
			for i := range raw {
				raw[i] = byte(1 + random.IntN(255))
			}
			text := validText(encoding, string(raw))
			if !utf8.ValidString(text) {
				t.Fatalf("%s: %q became %q", encoding, raw, text)
			}
			if got := ascii(text); got != ascii(string(raw)) {
				t.Fatalf("%s: the ASCII of %q became %q", encoding, raw, got)
			}
		}
	}
}

// PostgreSQL's own conversion to each encoding is read back.
func TestValidTextOfEveryServerEncoding(t *testing.T) {
	srv := pgtest.Start(t)
	conn := srv.Connect(t, "app", func(c *pgx.ConnConfig) { c.RuntimeParams["client_encoding"] = "SQL_ASCII" })
	for encoding, text := range map[string]string{
		"UTF8": "caf\u00e9 \u6f22\u5b57", "LATIN1": "caf\u00e9", "LATIN2": "\u017c\u00f3\u0142\u0107", "LATIN3": "\u0127",
		"LATIN4": "\u0157", "LATIN5": "\u0131\u015f", "LATIN6": "\u0111", "LATIN7": "\u0173", "LATIN8": "\u1e57", "LATIN9": "\u20ac",
		"LATIN10": "\u0219", "ISO_8859_5": "\u0434\u0430", "ISO_8859_6": "\u0645", "ISO_8859_7": "\u03b1", "ISO_8859_8": "\u05d0",
		"KOI8R": "\u0434\u0430", "KOI8U": "\u0457", "WIN866": "\u0434\u0430", "WIN874": "\u0e01",
		"WIN1250": "\u017c\u00f3", "WIN1251": "\u0434\u0430", "WIN1252": "\u20ac\u00e9", "WIN1253": "\u03b1", "WIN1254": "\u0131",
		"WIN1255": "\u05d0", "WIN1256": "\u0645", "WIN1257": "\u0173", "WIN1258": "\u01b0",
		"EUC_JP": "\u5c71\u7530 \u3072", "EUC_JIS_2004": "\u5c71\u7530", "EUC_KR": "\ud55c\uad6d", "EUC_CN": "\u6c49\u5b57",
	} {
		var raw []byte
		if err := conn.QueryRow(t.Context(), "select convert_to($1, $2)", "vacuum "+text+" x", encoding).Scan(&raw); err != nil {
			t.Errorf("%s: %v", encoding, err)
			continue
		}
		if got := validText(encoding, string(raw)); got != "vacuum "+text+" x" {
			t.Errorf("%s: % x became %q, want %q", encoding, raw, got, "vacuum "+text+" x")
		}
	}
}
