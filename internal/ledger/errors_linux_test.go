package ledger_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// The caller gets an error, the counter counts it, the log has it at level
// error, and Recent has the entry.
func TestAFailedWriteIsReportedEverywhere(t *testing.T) {
	reg := prometheus.NewRegistry()
	out := &logged{}
	file := newFile(t)
	l, err := ledger.Open(ledger.Config{File: file}, log.NewLogfmtLogger(out), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	counted := func(want int) {
		t.Helper()
		if got := gather(t, reg)["pgbailiff_ledger_write_errors_total"].GetCounter().GetValue(); got != float64(want) {
			t.Errorf("%v errors are counted, want %d", got, want)
		}
	}
	up := func(want float64, writes uint64) {
		t.Helper()
		metrics := gather(t, reg)
		if got := metrics["pgbailiff_ledger_up"].GetGauge().GetValue(); got != want {
			t.Errorf("up is %v, want %v", got, want)
		}
		if got := metrics["pgbailiff_ledger_write_duration_seconds"].GetHistogram().GetSampleCount(); got != writes {
			t.Errorf("%d writes took their time, want %d", got, writes)
		}
	}
	up(1, 0)
	counted(0)
	begin(t, l, "under way", noon)
	up(1, 1)
	restore := noRoom(t)
	for i, write := range []func() error{
		func() error { return l.Append(t.Context(), refusal("orders", "refused")) },
		func() error { return l.Finish(t.Context(), outcome("orders", "under way", noon, true)) },
		func() error {
			_, err := beginEntry(t.Context(), l, intent("orders", "never", noon), plenty)
			return err
		},
		func() error { return l.Resume(t.Context(), "orders", "", noon) },
	} {
		if err := write(); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("write %d: %v", i, err)
		}
		counted(i + 1)
		if got := strings.Count(out.String(), "level=error msg=\"Ledger write failed\""); got != i+1 {
			t.Errorf("write %d: the log has %d errors: %s", i, got, out)
		}
	}
	if err := l.Finish(t.Context(), outcome("orders", "under way", noon, true)); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("a second outcome: %v", err)
	}
	up(0, 1)
	restore()
	got := l.Recent(10)
	if len(got) != 3 || got[1].Decision != "refused" || got[0].ID != "under way" || got[0].Event != ledger.EventOutcome {
		t.Errorf("Recent = %v", got)
	}
	// The outcome is written with the next line. The refusal is not: its caller
	// has the error.
	refuse(t, l, "next")
	counted(4)
	up(1, 2)
	checkGrammar(t, file)
	if got := strings.Join(decisions(t, file), ", "); got != "of under way, next" {
		t.Errorf("the file has outcomes of %s", got)
	}
}

// Without a file nothing can fail, and nothing takes time.
func TestInMemoryTheLedgerIsUp(t *testing.T) {
	reg := prometheus.NewRegistry()
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), reg)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, l, "x")
	metrics := gather(t, reg)
	if up := metrics["pgbailiff_ledger_up"].GetGauge().GetValue(); up != 1 {
		t.Errorf("up is %v", up)
	}
	if n := metrics["pgbailiff_ledger_write_duration_seconds"].GetHistogram().GetSampleCount(); n != 0 {
		t.Errorf("%d writes took their time", n)
	}
}

// gather returns the only series of each metric, by its name.
func gather(t *testing.T, reg *prometheus.Registry) map[string]*dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]*dto.Metric{}
	for _, family := range families {
		metrics[family.GetName()] = family.GetMetric()[0]
	}
	return metrics
}

func TestCloseReportsOutcomesThatCouldNotBeWritten(t *testing.T) {
	l, err := ledger.Open(ledger.Config{File: newFile(t)}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l, "a", noon)
	restore := noRoom(t)
	defer restore()
	if err := l.Finish(t.Context(), outcome("orders", "a", noon, true)); err == nil {
		t.Error("written without room")
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "could not be written") {
		t.Errorf("Close = %v", err)
	}
}
