package store

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// populate stores n alarms in one transaction, with windows.
func populate(t testing.TB, s *Store, n int) {
	t.Helper()
	var kept []watch.Kept
	err := write(context.Background(), s.writer, func(t *tx) error {
		for i := range n {
			a := alarmNamed(fmt.Sprintf("web-%07d-Heartbeat", i))
			id, err := t.putAlarm(&a)
			if err != nil {
				return err
			}
			kept = append(kept, watch.Kept{AlarmID: id, Fed: now, Window: []byte("0123456789abcdef0123456789abcdef")})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(context.Background(), kept); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRecord(b *testing.B) {
	const n = 20000
	s := opened(b, filepath.Join(b.TempDir(), "state.db"))
	populate(b, s, n)
	begin := cpu(b)
	for number := 1; b.Loop(); number++ {
		batch := watch.Batch{At: now}
		for i := range n {
			tr := watch.Transition{AlarmID: int64(i + 1), Project: "p1", Alarm: fmt.Sprintf("web-%07d-Heartbeat", i), Revision: 1,
				Number: number, From: watch.OK, To: watch.Firing, At: now, Reason: "Nothing arrived for 2m15s: 1 datapoint was less than the threshold (1).", Data: []byte(`{"version":"1.0","threshold":1}`)}
			batch.Transitions = append(batch.Transitions, tr)
			batch.Events = append(batch.Events, watch.Event{At: now, Kind: watch.StateUpdate, Project: "p1", Alarm: tr.Alarm, Summary: "Alarm updated from OK to ALARM", Data: []byte(`{"version":"1.0","oldState":{"stateValue":"OK"},"newState":{"stateValue":"ALARM","stateReason":"Nothing arrived for 2m15s: 1 datapoint was less than the threshold (1)."}}`)})
		}
		if err := s.Record(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/(cpu(b)-begin).Seconds(), "transitions/cpu-s")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "transitions/s")
}

func BenchmarkStart(b *testing.B) {
	const n = 200000
	path := filepath.Join(b.TempDir(), "state.db")
	s := opened(b, path)
	populate(b, s, n)
	s.Close()
	var open, load time.Duration
	for b.Loop() {
		begin := cpu(b)
		s := opened(b, path)
		ready := cpu(b)
		count := 0
		if err := s.Load(context.Background(), func(watch.Alarm, watch.Kept) error { count++; return nil }); err != nil || count != n {
			b.Fatal(err, count)
		}
		open, load = open+ready-begin, load+cpu(b)-ready
		s.Close()
	}
	b.ReportMetric(open.Seconds()*1e6/float64(b.N)/n, "open-cpu-s/M")
	b.ReportMetric(load.Seconds()*1e6/float64(b.N)/n, "load-cpu-s/M")
}

// cpu is what the process has used of processors: other work on the machine
// is not in it.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
