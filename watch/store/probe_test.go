package store

import (
	"strings"
	"testing"
	"time"
)

// A store that another holds takes nothing, and says so; when it is let go, it
// does again.
func TestProbe(t *testing.T) {
	s := fresh(t)
	if err := s.Probe(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec("PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	other, err := writable(s.path, "FULL")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), now); err == nil || !strings.Contains(err.Error(), "try a write in the store "+s.path) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("Probe of a store that another holds = %v", err)
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), now.Add(time.Second)); err != nil {
		t.Errorf("Probe when it is let go = %v", err)
	}
	var rows int
	var at int64
	if err := s.readers.QueryRow("SELECT count(*), max(at) FROM probe").Scan(&rows, &at); err != nil || rows != 1 || at != nanos(now.Add(time.Second)) {
		t.Errorf("%d rows of probes, the last at %d, %v: want one, written anew each time", rows, at, err)
	}
}
