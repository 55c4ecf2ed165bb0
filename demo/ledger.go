package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// record is a line of pgbailiff's ledger, as far as the story needs it.
type record struct {
	Time        time.Time
	ID          string
	Event       string
	Server      string
	PID         json.Number
	Action      string
	Outcome     string
	Reason      string
	Rule        string
	AlertName   string
	Fingerprint string
	By          string
	Comment     string
	State       string
	User        string     `json:"usename"`
	Application string     `json:"application_name"`
	QueryStart  *time.Time `json:"query_start"`
	StateChange *time.Time `json:"state_change"`
}

// The events that the story is about.
const (
	intent   = "intent"
	outcome  = "outcome"
	asked    = "asked"
	approved = "approved"
)

// began returns when the period that the alert named began, and how long the demo's rules allow it.
func (r record) began() (start *time.Time, allowed time.Duration) {
	switch {
	case strings.HasPrefix(r.State, "idle in transaction"):
		return r.StateChange, idleCritical
	case r.Action == "cancel":
		return r.QueryStart, queryWarning
	default:
		return r.QueryStart, queryCritical
	}
}

// ledger follows the ledger's file while pgbailiff writes it.
type ledger struct {
	path string

	mu      sync.Mutex // guards what follows
	offset  int        // of the first byte that is not in records
	records []record
}

// follow calls tell for each new record, until ctx ends.
func (l *ledger) follow(tell func(record)) func(context.Context) error {
	return every(50*time.Millisecond, func(context.Context) error {
		text, err := os.ReadFile(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing decided yet
		}
		if err != nil {
			return err
		}
		fresh, err := l.add(text)
		for _, r := range fresh {
			tell(r)
		}
		return err
	})
}

// add parses the new lines of the file. A line without a newline is still being written.
func (l *ledger) add(text []byte) ([]record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := len(l.records)
	for l.offset < len(text) {
		end := bytes.IndexByte(text[l.offset:], '\n')
		if end < 0 {
			break
		}
		r, err := parseRecord(text[l.offset : l.offset+end])
		if err != nil {
			return nil, err
		}
		l.offset += end + 1
		if slices.Contains([]string{intent, outcome, asked, approved}, r.Event) {
			l.records = append(l.records, r)
		}
	}
	return slices.Clip(l.records[known:]), nil
}

func parseRecord(text []byte) (record, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, fmt.Errorf("ledger line %q: %w", text, err)
	}
	return r, nil
}

// all returns the records so far.
func (l *ledger) all() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.records)
}

// of returns the records of one kind of event.
func of(records []record, event string) []record {
	return slices.DeleteFunc(slices.Clone(records), func(r record) bool { return r.Event != event })
}

// about returns the records of one kind of event about one backend.
func about(records []record, pid, event string) []record {
	return slices.DeleteFunc(of(records, event), func(r record) bool { return r.PID.String() != pid })
}
