package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// guests is how many fall silent in BenchmarkStorm: their store fits in no
// cache, as that of a million does not.
const guests = 200_000

// BenchmarkStorm is a fleet that falls silent at once, with all that follows:
// alarms are judged, their transitions recorded with a restart that each wants,
// and all of these held by the gate of storms, in a store on disk and with the
// lines that a server logs. It tells the time of processors, of all threads,
// that a million would take, and the resident memory against that before. Its
// longest tick is by the wall clock: ticks and the outbox wait for each other.
func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		s := fresh(b)
		populateWith(b, s, guests, func(i int) watch.Alarm {
			a := alarmNamed(guestOf(i))
			a.Project, a.OnAlarm, a.File = projectOf(i), []string{"cfnwatch:exec:restart"}, ""
			return a
		}, watch.Kept{})
		storm(b, s)
	}
}

func guestOf(i int) string   { return fmt.Sprintf("stack-%08d-HeartbeatFailureAlarm", i) }
func projectOf(i int) string { return fmt.Sprintf("%032x", i/1000) }

func storm(b *testing.B, s *Store) {
	lines, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer lines.Close()
	log := slog.New(slog.NewTextHandler(lines, nil))
	var o *outbox.Outbox
	e := watch.New(watch.Options{Store: s, Log: log, OnBatch: func(batch watch.Batch) { o.OnBatch(batch) }})
	restart := &outbox.Commands{Dir: b.TempDir(), ByName: map[string]outbox.Command{"restart": {Argv: []string{"false"}, Timeout: time.Minute}}}
	o = outbox.New(outbox.Options{Store: s, Engine: e, Log: log, Owner: "bench", Settings: outbox.Settings{
		Gates: outbox.DefaultGates(), Actions: map[outbox.Kind]outbox.Action{outbox.Exec: restart}}})

	// What is judged now began so long ago that silence is over now. Guests push
	// in no order, and so fall silent: what a batch has of them is anywhere in
	// the store.
	now := time.Now().Add(-5 * time.Minute)
	if err := e.Start(b.Context(), now); err != nil {
		b.Fatal(err)
	}
	now = now.Add(time.Second)
	for pushed, i := range rand.Perm(guests) {
		e.Put(now.Add(time.Duration(pushed)*time.Microsecond), watch.Caller{Project: projectOf(i), Role: watch.Member},
			[]watch.Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: guestOf(i), Count: 1, Sum: 1, Min: 1, Max: 1}})
	}
	for e.Totals().OK < guests {
		now = now.Add(time.Second)
		tickAll(b, e, now)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	debug.FreeOSMemory() // as a server does that has loaded its fleet
	watch.BoundMemory(false)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()

	begin, before := cpu(b), resident(b)
	watch.BoundMemory(true)
	var longest time.Duration
	var most int64
	for e.Totals().Firing < guests {
		now = now.Add(time.Second)
		longest, most = max(longest, tickAll(b, e, now)), max(most, resident(b))
	}
	var used time.Duration
	for all := 0; all < guests; all = held(b, s) {
		<-time.After(2 * time.Second)
		used = cpu(b) - begin // but for the count
	}
	most = max(most, resident(b))
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(used.Seconds()*1e6/guests, "cpu-s/M")
	b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-tick")
	b.ReportMetric(float64(most)/float64(before), "x-memory")
	runtime.KeepAlive(e)
	runtime.KeepAlive(o)
}

// tickAll ticks as a server does until nothing is due, and returns how long the
// longest tick took.
func tickAll(b *testing.B, e *watch.Engine, now time.Time) (longest time.Duration) {
	for more := true; more; {
		begin := time.Now()
		res, err := e.Tick(b.Context(), now)
		if err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
		e.OnBatch(res.Batch)
		more = res.More
	}
	return longest
}

// held is how many actions a storm holds. Any other end of one is a mistake.
func held(b *testing.B, s *Store) int {
	open, err := s.OpenRows(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	all := 0
	for _, o := range open {
		all += o.Rows
	}
	if e := guests - all; e != 0 {
		b.Fatalf("%d of %d actions have ended", e, guests)
	}
	i := slices.IndexFunc(open, func(o OpenRows) bool { return o.Status == outbox.Held && o.Gate == "g3" })
	if i < 0 {
		return 0
	}
	return open[i].Rows
}

// resident is what the process has of memory (proc(5)).
func resident(b *testing.B) (bytes int64) {
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
