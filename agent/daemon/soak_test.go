package daemon

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// soakConf has an interval that none of the others divides, so that what is
// due meets what is running in many ways.
const soakConf = polling + `
[heartbeat]
watch = H
interval = 10m
while = web
[check web]
probe = exec:web
interval = 13m
failures = 2
restart = web.service
report = F
[job fixed]
schedule = 30 * * * *
command = fixed
[job every]
schedule = @every 11m
command = every
[job long]
schedule = @every 20m
command = long
[job boot]
schedule = @reboot
command = boot
`

// A soak is a guest that runs for a month, and what is counted meanwhile.
type soak struct {
	*guest
	random  *rand.Rand
	version int // of the metadata
	away    bool
	answer  int
	web     int // exit status of the check
	fail    int // the hook fails so often from now on

	done    []string       // versions that the hook was run for with success
	runs    map[string]int // of jobs
	fixed   []time.Time    // on the wall: when the job with a fixed time was run
	running map[string]int
	spool   int64 // its largest size
}

func newSoak(t *testing.T) *soak {
	s := &soak{
		guest: newGuest(t, soakConf), random: rand.New(rand.NewPCG(1, 2)), version: 1, answer: http.StatusOK,
		runs: map[string]int{}, running: map[string]int{},
	}
	s.write("/etc/cfn/hooks.conf", "[h]\ntriggers = post.add, post.update\npath = Resources.R.Metadata.v\naction = hook\n")
	s.d.servicesEvery = 29 * time.Minute
	s.heat = func(string) (hup.Resource, error) {
		if s.away {
			return hup.Resource{}, fmt.Errorf("no answer")
		}
		return hup.Resource{Status: "UPDATE_COMPLETE", Metadata: document(t, fmt.Sprintf(`{"v": "%d"}`, s.version))}, nil
	}
	s.server = func() int { return s.answer }
	s.guest.run = s.command
	s.takes = func(c sys.Cmd) time.Duration {
		if c.Shell == "long" { // longer than its interval
			return 25 * time.Minute
		}
		return time.Second
	}
	return s
}

// command is called when a command begins, under the lock of the guest.
func (s *soak) command(c sys.Cmd) int {
	s.runs[c.Shell]++
	switch c.Shell {
	case "web":
		return s.web
	case "fixed":
		s.fixed = append(s.fixed, s.start.Add(time.Since(s.start)+s.slept+s.step).Truncate(time.Second))
	case "hook":
		if s.fail > 0 {
			s.fail--
			return 1
		}
		for _, v := range c.Env {
			if v, ok := strings.CutPrefix(v, "CFN_NEW_METADATA="); ok {
				s.done = append(s.done, v)
			}
		}
	}
	return 0
}

// upset has one thing after another go wrong for a part of a day.
func (s *soak) upset() {
	hours := func(n int) { time.Sleep(time.Duration(1+s.random.IntN(n*3600)) * time.Second) }
	minutes := func(n int) time.Duration { return time.Duration(1+s.random.IntN(n)) * time.Minute }
	s.do(func() { s.version++; s.fail = s.random.IntN(4) })
	s.do(func() { s.away = s.random.IntN(2) == 0 })
	hours(2)
	s.do(func() {
		s.answer = []int{refuses, hangs, http.StatusServiceUnavailable, http.StatusForbidden}[s.random.IntN(4)]
	})
	s.set(minutes(180) - 90*time.Minute)
	hours(1)
	s.do(func() { s.web = 1 })
	s.suspend(minutes(90))
	hours(1)
	s.do(func() { s.away, s.web = false, 0 })
	s.set(minutes(10) - 5*time.Minute)
	if info, err := os.Stat(s.guest.spool().Path); err == nil {
		s.do(func() { s.spool = max(s.spool, info.Size()) })
	}
	s.do(func() { s.answer = http.StatusOK })
	hours(1)
}

// resources are what may leak: goroutines, open files, objects in memory.
// They are counted while as little as may be is running.
func (s *soak) resources() (goroutines, files int, objects uint64) {
	goroutines, files, objects = math.MaxInt, math.MaxInt, math.MaxUint64
	for range 20 {
		time.Sleep(7 * time.Minute)
		synctest.Wait()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			s.t.Fatal(err)
		}
		goroutines, files = min(goroutines, runtime.NumGoroutine()), min(files, len(entries))
		objects = min(objects, m.HeapObjects)
	}
	return goroutines, files, objects
}

// A month of a guest whose Heat and alarm server come and go, whose service
// fails, whose clock is set and whose machine is suspended.
func TestSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSoak(t)
		s.daemon(0, func() {
			day := func() {
				end := time.Now().Add(24 * time.Hour)
				for time.Until(end) > 8*time.Hour {
					s.upset()
					time.Sleep(5*time.Hour - 7*time.Second)
				}
				time.Sleep(time.Until(end))
				// Nothing but what is there at the same time each day.
				s.do(func() { s.received, s.polls, s.notified = nil, nil, nil; s.log.Reset() })
			}
			time.Sleep(15 * time.Minute)
			day()
			goroutines, files, objects := s.resources()
			for range 29 {
				day()
			}
			g, f, o := s.resources()
			if g > goroutines || f > files {
				t.Errorf("after a month %d goroutines and %d files, after a day %d and %d", g, f, goroutines, files)
			}
			if o > objects+5000 {
				t.Errorf("after a month %d objects, after a day %d", o, objects)
			}
		})
		s.check()
	})
}

// check judges the month.
func (s *soak) check() {
	s.t.Helper()
	// No change is lost, and none is acted on twice.
	want := []string{}
	for v := 1; v <= s.version; v++ {
		want = append(want, fmt.Sprint(v))
	}
	if fmt.Sprint(s.done) != fmt.Sprint(want) {
		s.t.Errorf("the hook was run for %v, want 1 to %d", s.done, s.version)
	}
	// Whatever the clock does, a job with a fixed time runs once for it.
	seen := map[time.Time]bool{}
	for _, at := range s.fixed {
		if hour := at.Truncate(time.Hour); at.Minute() >= 30 && at.Minute() < 31 && seen[hour] {
			s.t.Errorf("the job with a fixed time ran twice at %v", at)
		} else {
			seen[hour] = seen[hour] || at.Minute() == 30
		}
	}
	s.t.Logf("%d versions, runs %v, %d restarts, spool %d bytes, slept %v, clock off by %v", s.version, s.runs, len(s.restarted), s.spool, s.slept, s.step)
	if s.spool == 0 || s.spool > stats.SpoolSize {
		s.t.Errorf("the spool had %d bytes", s.spool)
	}
	if s.runs["boot"] != 1 {
		s.t.Errorf("@reboot ran %d times", s.runs["boot"])
	}
	// 30 days and the time slept, of which each stretch counts for one run.
	if n := s.runs["every"]; n < 3800 || n > 4100 {
		s.t.Errorf("the job of each 11 minutes ran %d times", n)
	}
	if n := s.runs["long"]; n < 1000 || n > 1200 {
		s.t.Errorf("the job that takes longer than its interval ran %d times", n)
	}
	if n := len(s.fixed); n < 600 || n > 760 {
		s.t.Errorf("the job with a fixed time ran %d times", n)
	}
	if len(s.restarted) == 0 {
		s.t.Errorf("the service was never restarted")
	}
}
