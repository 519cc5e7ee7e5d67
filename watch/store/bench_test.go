package store

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// populate stores n alarms in one transaction, with windows.
func populate(t testing.TB, s *Store, n int) {
	t.Helper()
	populateWith(t, s, n, func(i int) watch.Alarm { return alarmNamed(fmt.Sprintf("web-%07d-Heartbeat", i)) },
		watch.Kept{Fed: now, Window: []byte("0123456789abcdef0123456789abcdef")})
}

// populateWith stores n alarms, each with the same window.
func populateWith(t testing.TB, s *Store, n int, alarm func(i int) watch.Alarm, window watch.Kept) {
	t.Helper()
	var kept []watch.Kept
	err := write(context.Background(), s.writer, func(t *tx) error {
		for i := range n {
			a := alarm(i)
			id, err := t.putAlarm(&a)
			if err != nil {
				return err
			}
			window.AlarmID = id
			kept = append(kept, window)
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

// tick is a batch in which the first n alarms fire; each may want an action.
func tick(n, number int, action string) watch.Batch {
	b := watch.Batch{At: now}
	for i := range n {
		tr := watch.Transition{AlarmID: int64(i + 1), Project: "p1", Alarm: fmt.Sprintf("web-%07d-Heartbeat", i), Revision: 1,
			Number: number, From: watch.OK, To: watch.Firing, At: now, Reason: "Nothing arrived for 2m15s: 1 datapoint was less than the threshold (1).",
			Data: json.RawMessage(`{"version":"1.0","threshold":1}`)}
		b.Transitions = append(b.Transitions, tr)
		if action != "" {
			b.Wanted = append(b.Wanted, watch.Wanted{Transition: tr, Action: action, Origin: watch.FromRules, Stack: "web", Span: time.Minute})
		}
	}
	return b
}

// report measures n things of each round by the wall clock, and by what the
// process used of processors, which other work on the machine does not change.
func report(b *testing.B, n int, used time.Duration, what string) {
	b.ReportMetric(float64(n)*float64(b.N)/used.Seconds(), what+"/cpu-s")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), what+"/s")
}

func BenchmarkRecord(b *testing.B) {
	const n = 20_000
	for name, action := range map[string]string{"transitions": "", "with messages": "https://example.com/", "with rough actions": "cfnwatch:restart:self"} {
		b.Run(name, func(b *testing.B) {
			s := fresh(b)
			populate(b, s, n)
			begin := cpu(b)
			for number := 1; b.Loop(); number++ {
				if err := s.Record(context.Background(), tick(n, number, action)); err != nil {
					b.Fatal(err)
				}
			}
			report(b, n, cpu(b)-begin, "transitions")
		})
	}
}

// BenchmarkHold is what a storm does to the outbox: everything that is due is
// read, and held.
func BenchmarkHold(b *testing.B) {
	const n = 5000
	s := fresh(b)
	begin := cpu(b)
	for number := 1; b.Loop(); number++ {
		if err := s.Record(context.Background(), watch.Batch{At: now, Wanted: tick(n, number, "cfnwatch:restart:self").Wanted}); err != nil {
			b.Fatal(err)
		}
		due, err := s.Due(context.Background(), now, n)
		if err != nil || len(due) != n {
			b.Fatal(len(due), err)
		}
		changes := make([]outbox.Change, len(due))
		for i, r := range due {
			r.Status, r.Gate, r.Why, r.Since, r.Next = outbox.Held, "g3", "12 of 40 in all overdue since 03:10", now, now.Add(time.Hour)
			changes[i] = outbox.Change{Row: r, Hold: true}
		}
		if _, err := s.Update(context.Background(), changes...); err != nil {
			b.Fatal(err)
		}
	}
	report(b, n, cpu(b)-begin, "rows")
}

func BenchmarkFlush(b *testing.B) {
	const n = 100_000
	s := fresh(b)
	kept := make([]watch.Kept, n)
	begin := cpu(b)
	for round := 1; b.Loop(); round++ {
		for i := range kept {
			kept[i] = watch.Kept{AlarmID: int64(i + 1), Fed: now.Add(time.Duration(round) * time.Minute)}
		}
		if err := s.Flush(context.Background(), kept); err != nil {
			b.Fatal(err)
		}
	}
	report(b, n, cpu(b)-begin, "windows")
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
