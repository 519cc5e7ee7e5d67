package watch

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
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

// guestOf is the i-th guest of a fleet, with a key of its own, and what it pushes.
func guestOf(i int) (Caller, []Sample) {
	stack := fmt.Sprintf("stack-%08d", i)
	return Caller{Access: fmt.Sprintf("%032x", i), Project: fmt.Sprintf("%032x", i/1000), Stack: stack, Role: Guest},
		[]Sample{{Namespace: "system/linux", Metric: "Heartbeat", Unit: "Count", Alarm: stack + "-HeartbeatFailureAlarm", Count: 1, Sum: 1, Min: 1, Max: 1,
			Dimensions: []Dimension{{"InstanceId", fmt.Sprintf("%08d-aaaa-bbbb-cccc-%012d", i, i)}}}}
}

// fleet is an engine with n heartbeat alarms, each fed by a key of its own.
func fleet(b testing.TB, n int) *bench {
	b.Helper()
	f := newBench(b, Options{Store: &sink{Store: NewMemory()}, AlarmsPerProject: n})
	for i := range n {
		c, s := guestOf(i)
		a := heartbeat(s[0].Alarm)
		a.Stack = c.Stack
		if _, err := f.e.Define(b.Context(), f.now, Caller{Project: c.Project, Role: Member}, a); err != nil {
			b.Fatal(err)
		}
		f.e.Put(f.now, c, s)
	}
	f.tick()
	return f
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

// puts are n pushes of the guests of a fleet from the first on, step by step.
// What a request brings is in the cache, as it is where it was just decoded.
func (f *bench) puts(n, fleet, first, step int) time.Duration {
	const hot = 500
	var spent time.Duration
	for done := 0; done < n; done += hot {
		var who [hot]Caller
		var what [hot][]Sample
		for i := range hot {
			who[i], what[i] = guestOf((first + (done+i)*step) % fleet)
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
	debug.FreeOSMemory()
	before := resident(b)
	f := fleet(b, n)
	b.ReportMetric(float64(f.puts(1_000_000, n, 0, 7919).Nanoseconds()), "ns/push")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	debug.FreeOSMemory() // as a server does that has loaded its fleet
	var idle time.Duration
	var grown int64
	const idleFor = 180
	for second := range idleFor {
		if f.now = f.now.Add(time.Second); second%60 == 0 {
			BoundMemory(false)
		}
		f.puts(n/60+1, n, second%60*(n/60), 1)
		begin := cpu(b)
		f.tick()
		idle += cpu(b) - begin
		if err := f.e.Flush(b.Context(), f.now); err != nil {
			b.Fatal(err)
		}
		if second >= 120 { // what was new of all keys at once is flushed
			grown = max(grown, resident(b)-before)
		}
	}
	b.ReportMetric(float64(grown)/float64(n), "B/alarm")
	b.ReportMetric(100*idle.Seconds()/idleFor, "%core-idle")
	BoundMemory(true)
	var longest, all time.Duration
	var most int64
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
			most = max(most, resident(b)-before)
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest-tick")
	b.ReportMetric(all.Seconds(), "s/all-silent")
	b.ReportMetric(float64(most)/float64(grown), "x-memory-silent")
	runtime.KeepAlive(f)
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
		if judgeAt(r, w, heard, Firing, noon).state != Firing {
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

// resident is what the process has of memory (proc(5)).
func resident(b testing.TB) (bytes int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &bytes); err == nil {
			return bytes << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
