package cli

import (
	"strings"
	"testing"
)

func TestManPage(t *testing.T) {
	page := runWith(nil, 0, "--help-man")
	page.expect(t, 0, "\npgbailiff \\- watch ", "")
	if !strings.HasPrefix(page.out, ".TH PGBAILIFF 1 ") {
		t.Errorf("the first line is %.80s", page.out)
	}
	for _, text := range []string{
		`\fB\-\-config.file\fR=\fIFILE\fR`, `\fB\-y\fR, \fB\-\-yes\fR`, `.SS "cancel [flags] pid"`, `.SS "test file..."`,
		`.SS "ledger import [flags] file"`, `.SS "approvals deny [flags] id"`,
	} {
		if !strings.Contains(page.out, text+"\n") {
			t.Errorf("no line %s", text)
		}
	}
	// What several subcommands share stands with each of them.
	_, deny, _ := strings.Cut(page.out, `.SS "approvals deny`)
	deny, _, _ = strings.Cut(deny, "\n.SS ")
	for _, flag := range []string{"url", "http.config.file", "output", "yes", "comment"} {
		if !strings.Contains(deny, `\-\-`+flag) {
			t.Errorf("approvals deny has no --%s: %s", flag, deny)
		}
	}
}

func TestNoTextIsARequestOfRoff(t *testing.T) {
	for text, want := range map[string]string{
		".servers": `\&.servers`, "'a'": `\(aqa\(aq`, `C:\ledger`: `C:\eledger`, "https://a/b/c": `https://a/\:b/\:c`, "--yes": `\-\-yes`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
