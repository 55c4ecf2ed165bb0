package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
)

// manPage writes the manual page, pgbailiff(1). kingpin's own has no line for
// apropos, puts the whole build information into the title, and leaves out the
// flags that several subcommands share.
func manPage(cli *kingpin.ApplicationModel, out io.Writer) {
	page := &roff{}
	page.line(fmt.Sprintf(`.TH PGBAILIFF 1 "%s" "pgbailiff %s" "User Commands"`, commitDay(), escape(version.Version)))
	page.line(`.nh`) // names are not hyphenated
	page.line(`.ad l`)
	page.line(`.SH NAME`)
	page.line(`pgbailiff \- watch PostgreSQL's sessions, and cancel or terminate the one that an alert names`)
	page.line(`.SH SYNOPSIS`)
	page.line(`.B pgbailiff`)
	page.line(`.RI [ flags ]`)
	page.line(`.RI [ command ]`)
	page.line(`.SH DESCRIPTION`)
	page.text(manDescription)
	page.line(`.SH OPTIONS`)
	page.flags(cli.Flags)
	page.line(`.SH COMMANDS`)
	for _, command := range cli.Commands {
		page.command(command, nil)
	}
	page.text(manRest)
	_, _ = io.WriteString(out, page.String())
}

// commitDay is the day of the commit that was built, or empty.
func commitDay() string {
	built, err := time.Parse("20060102-15:04:05", version.BuildDate)
	if err != nil {
		return ""
	}
	return built.Format(time.DateOnly)
}

const manDescription = `Without a command, or with
.BR serve ,
pgbailiff serves metrics of PostgreSQL's sessions for Prometheus, and takes the
messages of Alertmanager. A firing alert that names a session orders what its
severity or a rule says: cancel the statement, or terminate the session. pgbailiff
does it only to exactly the one that is named, only if the policy allows it, and
writes each decision into a ledger. The default is a dry run, in which it decides and
writes, but signals nobody.
.PP
The other commands check files, ask a running pgbailiff, or look after a ledger in
PostgreSQL.
`

const manRest = `.SH SIGNALS
.TP
.B SIGHUP
Read the configuration again, or keep the old one if the new one has a mistake. Open
the ledger file anew: after it was renamed, the new one goes on with the limits.
.TP
.BR SIGTERM ", " SIGINT
Take no new order, finish those under way, and end.
.SH ENVIRONMENT
.TP
.BR PGHOST ", " PGPORT ", " PGUSER ", " PGPASSFILE ", " PGSERVICE ", ..."
What a connection string leaves out, as for
.BR psql (1).
.TP
.B PGBAILIFF_URL
The running pgbailiff that
.BR sessions ", " cancel ", " terminate " and " approvals
ask.
.SH FILES
Where the packages put them:
.TP
.I /etc/pgbailiff/pgbailiff.yml
The configuration.
.TP
.I /etc/default/pgbailiff
The arguments of the service.
.TP
.I /var/lib/pgbailiff/ledger.jsonl
The ledger: each decision, one JSON object a line.
.TP
.I /usr/share/pgbailiff
The role for PostgreSQL, an example of the configuration with every key, the alert
rules, and the dashboards for Grafana.
.TP
.I /usr/share/doc/pgbailiff
The documentation.
.SH EXIT STATUS
.TP
.B 0
It has succeeded.
.TP
.B 1
It has failed, and has said why.
.TP
.B 2
The command line has a mistake.
.SH SEE ALSO
.BR prometheus (1),
.BR prometheus-alertmanager (1),
.BR psql (1),
.BR systemctl (1)
.PP
https://github.com/pgbailiff/pgbailiff
`

// roff collects the lines of a manual page.
type roff struct{ strings.Builder }

func (r *roff) line(text string) { r.text(text + "\n") }

func (r *roff) text(text string) { _, _ = r.WriteString(text) }

// command writes a command and what stands below it. They have the flags of what
// stands above them too.
func (r *roff) command(c *kingpin.CmdModel, above []*kingpin.FlagModel) {
	if c.Hidden || c.FullCommand == "help" {
		return
	}
	flags := slices.Concat(c.Flags, above)
	if len(c.Commands) > 0 {
		for _, below := range c.Commands {
			r.command(below, flags)
		}
		return
	}
	words := []string{c.FullCommand}
	if len(flags) > 0 {
		words = append(words, "[flags]")
	}
	for _, arg := range c.Args {
		words = append(words, argument(arg))
	}
	r.line(fmt.Sprintf(`.SS "%s"`, escape(strings.Join(words, " "))))
	r.line(escape(c.Help))
	for _, arg := range c.Args {
		if arg.Help != "" {
			r.line(".TP")
			r.line(`.I ` + escape(argument(arg)))
			r.line(escape(arg.Help))
		}
	}
	r.flags(flags)
}

func argument(arg *kingpin.ArgModel) string {
	if v, is := arg.Value.(interface{ IsCumulative() bool }); is && v.IsCumulative() {
		return arg.Name + "..."
	}
	return arg.Name
}

func (r *roff) flags(flags []*kingpin.FlagModel) {
	for _, flag := range flags {
		if flag.Hidden {
			continue
		}
		name := `\-\-` + escape(flag.Name)
		if flag.Short != 0 {
			name = `\-` + string(flag.Short) + `\fR, \fB` + name
		}
		value := ""
		if !flag.IsBoolFlag() {
			value = `\fR=\fI` + escape(placeholder(flag))
		}
		r.line(".TP")
		r.line(`\fB` + name + value + `\fR`)
		r.line(escape(flag.Help))
	}
}

// placeholder is the default where there is one, and else a word for the value.
func placeholder(flag *kingpin.FlagModel) string {
	if flag.PlaceHolder == "" && (len(flag.Default) == 0 || flag.Default[0] == "") {
		words := strings.Split(flag.Name, ".")
		return strings.ToUpper(words[len(words)-1])
	}
	return flag.FormatPlaceHolder()
}

// escape makes roff of a text: a hyphen stays one, no line is a request, and a long
// address may be broken after a slash.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`).Replace(text)
	if before, address, found := strings.Cut(text, "://"); found {
		text = before + "://" + strings.ReplaceAll(address, "/", `/\:`)
	}
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
