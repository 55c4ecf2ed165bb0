package collector

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// userHZ is the number of clock ticks per second in /proc. It is 100 for every
// program on Linux, whatever the kernel's timer (proc(5), sysconf(_SC_CLK_TCK)).
const userHZ = 100

// process has the metrics of the client library's process collector, without the
// network counters. It needs a few system calls instead of dozens: the library's
// took a quarter of the CPU time of a scrape.
type process struct {
	started float64 // seconds since the epoch; 0: unknown

	cpu, openFDs, maxFDs, virtual, maxVirtual, resident, start *prometheus.Desc
}

// NewProcess returns the collector of process_*, the resources that this program
// uses.
func NewProcess() prometheus.Collector {
	metric := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("process_"+name, help, nil, nil)
	}
	p := &process{
		cpu:        metric("cpu_seconds_total", "Total user and system CPU time spent in seconds."),
		openFDs:    metric("open_fds", "Number of open file descriptors."),
		maxFDs:     metric("max_fds", "Maximum number of open file descriptors."),
		virtual:    metric("virtual_memory_bytes", "Virtual memory size in bytes."),
		maxVirtual: metric("virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes."),
		resident:   metric("resident_memory_bytes", "Resident memory size in bytes."),
		start:      metric("start_time_seconds", "Start time of the process since unix epoch in seconds."),
	}
	stat, err := readStat()
	text, _ := os.ReadFile("/proc/stat") // some containers do not have it
	if booted, ok := bootTime(string(text)); ok && err == nil {
		p.started = booted + stat.startTicks/userHZ
	}
	return p
}

// Describe implements prometheus.Collector.
func (p *process) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.cpu, p.openFDs, p.maxFDs, p.virtual, p.maxVirtual, p.resident, p.start} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Metrics that cannot be read are left
// out, as in the library.
func (p *process) Collect(ch chan<- prometheus.Metric) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
		ch <- prometheus.MustNewConstMetric(d, kind, value)
	}
	if stat, err := readStat(); err == nil {
		emit(p.cpu, prometheus.CounterValue, stat.cpuTicks/userHZ)
		emit(p.virtual, prometheus.GaugeValue, stat.virtual)
		emit(p.resident, prometheus.GaugeValue, stat.residentPages*float64(os.Getpagesize()))
	}
	if p.started > 0 {
		emit(p.start, prometheus.GaugeValue, p.started)
	}
	if n, err := openFDs(); err == nil {
		emit(p.openFDs, prometheus.GaugeValue, float64(n))
	}
	for d, resource := range map[*prometheus.Desc]int{p.maxFDs: syscall.RLIMIT_NOFILE, p.maxVirtual: syscall.RLIMIT_AS} {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(resource, &limit); err == nil {
			emit(d, prometheus.GaugeValue, float64(limit.Cur))
		}
	}
}

// processStat holds fields of /proc/self/stat (proc(5)).
type processStat struct{ cpuTicks, startTicks, virtual, residentPages float64 }

func readStat() (processStat, error) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return processStat{}, err
	}
	// The name in parentheses may contain anything. The third field follows it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	number := func(field int) float64 {
		if i := field - 3; i < len(fields) {
			if n, perr := strconv.ParseFloat(fields[i], 64); perr == nil {
				return n
			}
		}
		err = fmt.Errorf("/proc/self/stat has no number in field %d", field)
		return 0
	}
	s := processStat{cpuTicks: number(14) + number(15), startTicks: number(22), virtual: number(23), residentPages: number(24)}
	return s, err
}

// openFDs counts this program's file descriptors. Since Linux 6.2 the size of the
// directory is their number.
func openFDs() (int, error) {
	const dir = "/proc/self/fd"
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return int(info.Size()), nil
	}
	all, err := os.ReadDir(dir)
	return len(all), err
}

// bootTime reads out of /proc/stat when the machine started, in seconds since the
// epoch.
func bootTime(stat string) (seconds float64, ok bool) {
	_, rest, _ := strings.Cut("\n"+stat, "\nbtime ")
	number, _, _ := strings.Cut(rest, "\n")
	seconds, err := strconv.ParseFloat(number, 64)
	return seconds, err == nil
}
