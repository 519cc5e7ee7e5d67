package watch

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// sink is a store that keeps nothing.
type sink struct {
	Store
	last int64
}

func (s *sink) PutAlarm(_ context.Context, a Alarm, _ []Event) (Alarm, error) {
	s.last++
	a.ID = s.last
	return a, nil
}
func (s *sink) Record(context.Context, Batch) error               { return nil }
func (s *sink) Flush(context.Context, []Kept) error               { return nil }
func (s *sink) SaveFed(context.Context, map[string][]int64) error { return nil }
func (s *sink) ForgetFed(context.Context, []string) error         { return nil }

// fleet is an engine with n heartbeat alarms, each fed by a key of its own.
func fleet(b testing.TB, n int) (*bench, []Caller, [][]Sample) {
	b.Helper()
	f := newBench(b, Options{Store: &sink{Store: NewMemory()}, AlarmsPerProject: n})
	callers, samples := make([]Caller, n), make([][]Sample, n)
	for i := range n {
		project := fmt.Sprintf("%032x", i/1000)
		a := heartbeat(fmt.Sprintf("stack-%08d-HeartbeatFailureAlarm", i))
		a.Stack = fmt.Sprintf("stack-%08d", i)
		if _, err := f.e.Define(b.Context(), f.now, Caller{Project: project, Role: Member}, a); err != nil {
			b.Fatal(err)
		}
		callers[i] = Caller{Access: fmt.Sprintf("%032x", i), Project: project, Stack: a.Stack, Role: Guest}
		samples[i] = []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Unit: "Count", Alarm: a.Name, Count: 1, Sum: 1, Min: 1, Max: 1,
			Dimensions: []Dimension{{"InstanceId", fmt.Sprintf("%08d-aaaa-bbbb-cccc-%012d", i, i)}}}}
	}
	for i := range n {
		f.e.Put(f.now, callers[i], samples[i])
	}
	f.tick()
	return f, callers, samples
}

// cpu is what this thread has used of a processor: other programs on the
// machine make nothing of it.
func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rusageThread is RUSAGE_THREAD of getrusage(2).
const rusageThread = 1

// puts are n pushes of the guests of a fleet, in no order of theirs. What a
// request brings is in the cache, as it is where it was just decoded.
func (f *bench) puts(n int, callers []Caller, samples [][]Sample) time.Duration {
	const hot = 500
	var spent time.Duration
	for first := 0; first < n; first += hot {
		var who [hot]Caller
		var what [hot][]Sample
		for i := range hot {
			k := (first + i) * 7919 % len(callers)
			c, s := callers[k], samples[k][0]
			c.Access, c.Project, c.Stack = strings.Clone(c.Access), strings.Clone(c.Project), strings.Clone(c.Stack)
			s.Alarm, s.Dimensions = strings.Clone(s.Alarm), []Dimension{{"InstanceId", strings.Clone(s.Dimensions[0].Value)}}
			who[i], what[i] = c, []Sample{s}
		}
		begin := cpu(f.t)
		for i := range hot {
			f.e.Put(f.now, who[i], what[i])
		}
		spent += cpu(f.t) - begin
	}
	return spent / time.Duration(n)
}

// A fleet at its work: what an alarm takes, what a push costs, what a healthy
// fleet costs of a core, and how long ticks are when all fall silent at once.
func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				work(b, n)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func work(b *testing.B, n int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := resident()
	f, callers, samples := fleet(b, n)
	grown := resident() - before
	b.ReportMetric((float64(grown)-float64(fleetBytes(callers, samples)))/float64(n), "B/alarm")
	b.ReportMetric(float64(f.puts(1_000_000, callers, samples).Nanoseconds()), "ns/push")
	var idle time.Duration
	const idleFor = 180
	for second := range idleFor {
		f.now = f.now.Add(time.Second)
		f.puts(n/60+1, callers[second%60*(n/60):], samples[second%60*(n/60):])
		begin := cpu(b)
		f.tick()
		idle += cpu(b) - begin
	}
	b.ReportMetric(100*idle.Seconds()/idleFor, "%core-idle")
	var longest, all time.Duration
	for f.e.Totals().Firing < n {
		f.now = f.now.Add(time.Second)
		for more := true; more; {
			begin := cpu(b)
			res, err := f.e.Tick(b.Context(), f.now)
			if err != nil {
				b.Fatal(err)
			}
			more = res.More
			longest, all = max(longest, cpu(b)-begin), all+cpu(b)-begin
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest-tick")
	b.ReportMetric(all.Seconds(), "s/all-silent")
	b.ReportMetric(float64(resident()-before)/float64(grown), "x-memory-silent")
	runtime.KeepAlive(f)
	runtime.KeepAlive(callers)
	runtime.KeepAlive(samples)
}

// fleetBytes is what the callers and samples of a fleet take themselves.
func fleetBytes(callers []Caller, samples [][]Sample) uintptr {
	const dimension, access, stack, name, instance = 32, 32, 16, 48, 48
	return uintptr(len(callers)) * (unsafe.Sizeof(callers[0]) + unsafe.Sizeof(samples[0]) + unsafe.Sizeof(samples[0][0]) + dimension + access + stack + name + instance)
}

func BenchmarkPutWindow(b *testing.B) {
	f := newBench(b, Options{})
	f.define(Alarm{Name: "cpu", Namespace: "system/linux", Metric: "CPU", Statistic: Average, Period: time.Minute, Periods: 3, Threshold: 90,
		Comparison: Greater, Match: MatchSubset, Dimensions: []Dimension{{"InstanceId", "i"}}})
	s := []Sample{{Namespace: "system/linux", Metric: "CPU", Count: 1, Sum: 1, Min: 1, Max: 1, Dimensions: []Dimension{{"InstanceId", "i"}, {"Zone", "z"}}}}
	b.ReportAllocs()
	for b.Loop() {
		f.now = f.now.Add(100 * time.Millisecond)
		f.e.Put(f.now, member, s)
	}
}

func BenchmarkJudge(b *testing.B) {
	r := minutely(2, 3, MissingMissing)
	w := pointsOf(b, "0 - X 0 X", noon)
	heard := noon.Add(-time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if judge(r, w, heard, Firing, noon).state != Firing {
			b.Fatal("not firing")
		}
	}
}

func BenchmarkJudgePresence(b *testing.B) {
	a := heartbeat("h")
	r := newRule(&a)
	h := heartbeats{fed: true, last: 1}
	b.ReportAllocs()
	for b.Loop() {
		if state, _ := judgePresence(&r, h, OK, 2); state != OK {
			b.Fatal("not OK")
		}
	}
}

// resident is the heap that lives.
func resident() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
