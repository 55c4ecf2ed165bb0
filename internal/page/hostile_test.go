package page_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// hostileValues are what a client may call its application, and write into its
// statements. Each script would set pwned.
func hostileValues() map[string]string {
	return map[string]string{
		"script":        `<script>pwned=1;document.title="pwned"</script>`,
		"image":         `"><img src=x onerror="pwned=1">`,
		"svg":           `'><svg/onload=pwned=1>`,
		"end":           `</td></tr></table></style><iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`,
		"comment":       `<!-- <b>`,
		"template":      `{{.Now}} {{template "backend" .}}`,
		"entity":        `&lt;b&gt; &#60;b&#62; &quot;`,
		"link":          `javascript:pwned=1`,
		"quotes":        `'"` + "`" + `$(id)\`,
		"lines":         "a\r\nb\n\n\nc\vd\u2028e\u2029f",
		"control":       "a\x00b\x07c\x1b[31md\x7fe\u0085f",
		"not UTF-8":     "a\xff\xfe\xc3(b\xed\xa0\x80",
		"right to left": "abc\u202egpj.\u202cdef\u2066x\u2069\u200f",
		"zero width":    "a\u200bb\ufeffc\u00ad",
		"stacked":       "z" + strings.Repeat("\u0336\u0489\u030d", 20),
		"wide":          strings.Repeat("W", 1000),
		"long":          strings.Repeat("a b<c> ", 150),
		"high":          strings.Repeat("\n", 1000) + "x",
	}
}

// everything is all of them in one value, of which a name shows the beginning.
const everything = `<script>pwned=1</script>"><img src=x onerror="pwned=1">'"` + "\x00\xff\u202e\n</td></table></style><svg onload=pwned=1>"

// hostile is a full page on which everybody has chosen the same value for all
// that they may choose.
func hostile(t *testing.T, value string) world {
	d := fullPage(t)
	overwrite(reflect.ValueOf(&d.Servers), value)
	overwrite(reflect.ValueOf(&d.Decisions), value)
	overwrite(reflect.ValueOf(&d.Waiting), value)
	overwrite(reflect.ValueOf(&d.Plain), value)
	d.Person.Name = value
	d.Version = value
	return d
}

// overwrite replaces every string, but for those that say which kind of thing
// it is.
func overwrite(v reflect.Value, value string) {
	switch v.Kind() {
	case reflect.Pointer:
		overwrite(v.Elem(), value)
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch field := v.Type().Field(i); field.Name {
			case "BackendType", "WaitEventType", "State", "Action", "Outcome", "Event", "Err":
			default:
				if field.IsExported() {
					overwrite(v.Field(i), value)
				}
			}
		}
	case reflect.String:
		v.SetString(value)
	default:
	}
}

var (
	tag   = regexp.MustCompile(`<[^>]*>`)
	style = regexp.MustCompile(`(?s)<style>.*?</style>`)
	// Addresses and choices may have others' values in quotes, where no quote ends
	// them. An address begins with one of ours.
	address = regexp.MustCompile(`(href|action)="(/pg/|#|https://github.com/|https://alertmanager.example/am/#/)[^"<>]*"`)
	chosen  = regexp.MustCompile(`<option value="[^"<>]*"`)
	lifted  = regexp.MustCompile(`name="lift" value="[a-z_]*"`)
)

// tagsOf are the tags of a page, without the values that others may choose.
func tagsOf(html string) []string {
	html = style.ReplaceAllString(html, "")
	html = address.ReplaceAllString(html, `$1=""`)
	html = lifted.ReplaceAllString(html, `name="lift"`)
	return tag.FindAllString(chosen.ReplaceAllString(html, `<option value=""`), -1)
}

// TestHostileValues: no value brings a tag that the pages have not by themselves,
// and no character that is not seen as what it is. TestEveryHostileValue tries
// them one by one.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	own := ownTags(t)
	harmless(t, own, everyPage(t, hostile(t, everything)))
	for _, name := range []string{"control", "zero width"} {
		harmless(t, own, thesePages(t, hostile(t, hostileValues()[name]), "index", "protected"))
	}
}

// ownTags are the tags that the pages have by themselves.
func ownTags(t *testing.T) map[string]bool {
	t.Helper()
	own := map[string]bool{}
	for _, w := range []world{fullPage(t), hostile(t, "x")} {
		for _, html := range everyPage(t, w) {
			for _, found := range tagsOf(html) {
				own[found] = true
			}
		}
	}
	return own
}

func harmless(t *testing.T, own map[string]bool, pages map[string]string) {
	t.Helper()
	for page, html := range pages {
		for _, found := range tagsOf(html) {
			if !own[found] {
				t.Errorf("%s: became markup: %s", page, found)
			}
		}
		for _, r := range html {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Errorf("%s: %U is in the page as it is", page, r)
			}
		}
		if strings.Contains(html, "ZgotmplZ") {
			t.Errorf("%s: the template refused a value", page)
		}
	}
}

// TestNamesThatLookTheSameAreShownDifferently: two names that look the same are not shown the same.
func TestNamesThatLookTheSameAreShownDifferently(t *testing.T) {
	for value, want := range map[string]string{
		"app\x00":               "app‹U&#43;0000›",
		"a\nb\tc":               "a‹U&#43;000A›b‹U&#43;0009›c",
		"etl\u200b":             "etl‹U&#43;200B›",
		"x\u202egpj":            "x‹U&#43;202E›gpj",
		"\xff":                  "\uFFFD",
		`<b>&"'`:                "&lt;b&gt;&amp;&#34;&#39;",
		"Ζώνη ☃ 日本":             "Ζώνη ☃ 日本",
		strings.Repeat("é", 80): strings.Repeat("é", 80),
		strings.Repeat("é", 81): strings.Repeat("é", 80) + "…",
	} {
		d := fullPage(t)
		d.Servers[0].Snapshot.Sessions[0].ApplicationName = value
		if html := render(t, d); !strings.Contains(html, "<bdi>"+want+"</bdi>") {
			t.Errorf("%q is not shown as %q", value, want)
		}
	}
}

// TestTextNone: where no text is allowed, nothing of any statement is on the
// page, whatever the policy thinks of it. TestTextNoneOnEveryPage tries more.
func TestTextNone(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"SELECT 'hunter2'", "/* hunter2 */ VACUUM hunter2"} {
		textNone(t, query, false, func(string) string { return "" }, "index", "holder", "terminate", "gone", "approvals")
	}
	textNone(t, "SELECT 'hunter2", true, nil, "index", "running")
}

// textNone looks for a query's secret, hunter2, on these pages.
func textNone(t *testing.T, query string, truncated bool, text func(string) string, pages ...string) {
	t.Helper()
	d := fullPage(t)
	d.Text = text
	d.Servers[0].Snapshot.Blockers = append(d.Servers[0].Snapshot.Blockers, // one that is not among the longest
		session.Blocker{Session: running(client("orders", 5, "shop", "shop", "web", ""), 1, "").Session, Behind: 1})
	for _, s := range d.Servers {
		for i := range s.Snapshot.Sessions {
			s.Snapshot.Sessions[i].Query, s.Snapshot.Sessions[i].QueryTruncated = query, truncated
		}
		for i := range s.Snapshot.LockWaits {
			s.Snapshot.LockWaits[i].Query = query
		}
		for i := range s.Snapshot.Blockers {
			s.Snapshot.Blockers[i].Query = query
		}
	}
	for i := range d.Decisions {
		d.Decisions[i].Query = query // written when texts were allowed
	}
	for i := range d.Plain {
		d.Plain[i].Query = query
	}
	for i := range d.Waiting {
		d.Waiting[i].Query = query
	}
	for page, html := range thesePages(t, d, pages...) {
		if strings.Contains(strings.ToLower(html), "hunter2") || strings.Contains(html, `class="text"`) || strings.Contains(html, `class="query"`) {
			t.Errorf("text of %q is on the page %s", query, page)
		}
	}
}

// TestStatementsGoThroughText: what is shown of a statement is what Text returns.
func TestStatementsGoThroughText(t *testing.T) {
	d := fullPage(t)
	d.Text = func(query string) string {
		if query == "" {
			t.Error("asked about no text")
		}
		return "SELECT ?"
	}
	d.Servers[0].Snapshot.Blockers = []session.Blocker{
		{Session: running(client("orders", 5, "shop", "shop", "web", ""), 1, "LOCK TABLE stock -- A-1042").Session, Behind: 1},
	}
	html := render(t, d)
	if !strings.Contains(html, ">SELECT ?</div>") || strings.Contains(html, "A-1042") {
		t.Error("shows another text than it is allowed to")
	}
}
