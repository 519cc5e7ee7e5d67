package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"
)

// A machine is a scheduler with the times of a machine, on paper: nothing
// runs but what is due.
type machine struct {
	t *testing.T
	s *scheduler
	Instant
}

func newMachine(t *testing.T, at string, schedules ...string) *machine {
	t.Helper()
	m := &machine{t: t, Instant: Instant{Wall: clockTime(t, at), Up: time.Hour}}
	m.s = newScheduler(func() Instant { return m.Instant }, slog.New(slog.DiscardHandler))
	var list []*task
	for _, text := range schedules {
		schedule, err := parseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		c, interval := schedule.(cron.ConstantDelaySchedule)
		if interval {
			schedule = every{c.Delay, 0}
		}
		list = append(list, &task{name: text, schedule: schedule, fixed: !interval})
	}
	m.s.replace(list)
	return m
}

func clockTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation(time.DateTime, text, time.Local)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// pass lets so much time go by, second by second, and returns when what was
// due, by the clock on the wall.
func (m *machine) pass(d time.Duration) string {
	var list []string
	for end := m.Up + d; m.Up < end; {
		m.Up, m.Wall = m.Up+time.Second, m.Wall.Add(time.Second)
		for range m.s.due(m.Instant) {
			list = append(list, m.Wall.Format("15:04:05"))
		}
	}
	return strings.Join(list, " ")
}

// set moves the clock alone, suspend both.
func (m *machine) set(d time.Duration)     { m.Wall = m.Wall.Add(d) }
func (m *machine) suspend(d time.Duration) { m.set(d); m.Up += d }

func (m *machine) want(got, want string) {
	m.t.Helper()
	if got != want {
		m.t.Errorf("due at %q, want %q", got, want)
	}
}

func TestClockThatIsSetBackRunsNothingTwice(t *testing.T) {
	m := newMachine(t, "2026-03-01 09:50:00", "0 * * * *")
	m.want(m.pass(20*time.Minute), "10:00:00")
	m.set(-15 * time.Minute) // 09:55
	m.want(m.pass(64*time.Minute), "")
	m.want(m.pass(2*time.Minute), "11:00:00")
	// Again and again, as a clock does that two services set.
	for range 5 {
		m.set(-2 * time.Minute)
		m.want(m.pass(time.Minute), "")
	}
}

// A guest boots with a clock that is an hour ahead, as one in local time is,
// until it is set.
func TestClockThatWasAheadAtBootRunsNothingTwice(t *testing.T) {
	m := newMachine(t, "2026-03-01 10:00:00", "1 * * * *")
	m.want(m.pass(2*time.Minute), "10:01:00")
	m.set(-time.Hour) // 09:02
	m.want(m.pass(2*time.Minute), "")
	m.set(-30 * time.Minute) // 08:34
	m.want(m.pass(150*time.Minute), "09:01:00 11:01:00")
	if n := len(m.s.lived.ahead); n != 0 {
		t.Errorf("%d spans are left", n)
	}
	for range 100 { // a clock that goes back and back keeps no more and more
		m.set(-time.Hour)
		m.pass(time.Second)
	}
	if n := len(m.s.lived.ahead); n > aheadLimit {
		t.Errorf("%d spans are kept", n)
	}
}

// A clock that was days ahead was wrong: jobs do not wait for days.
func TestClockThatIsSetBackByDaysIsTakenForRight(t *testing.T) {
	m := newMachine(t, "2026-01-19 09:50:00", "0 * * * *")
	m.want(m.pass(20*time.Minute), "10:00:00")
	m.set(-4 * 24 * time.Hour)
	m.want(m.pass(time.Hour), "11:00:00")
	m.set(-4 * 24 * time.Hour)
	m.s.replace(m.s.tasks) // a reload that sees it first
	m.want(m.pass(time.Hour), "12:00:00")
}

// The clock of a guest that boots without a battery says 1970, until it is
// set: that is no time that jobs have missed.
func TestClockThatIsSetFirstMissesNothing(t *testing.T) {
	m := newMachine(t, "1970-01-01 00:01:00", "0 * * * *")
	m.pass(time.Minute)
	m.Wall = clockTime(t, "2026-03-01 09:30:00")
	m.want(m.pass(time.Hour), "10:00:00")
}

func TestSuspendedMachineRunsMissedJobOnce(t *testing.T) {
	for _, schedule := range []string{"*/5 * * * *", "@every 5m"} {
		m := newMachine(t, "2026-03-01 09:55:00", schedule)
		m.want(m.pass(6*time.Minute), "10:00:00")
		m.suspend(7*time.Hour + 10*time.Second)
		m.want(m.pass(6*time.Minute), "17:01:11 17:05:00")
	}
	// A hypervisor that pauses its guest leaves its clock behind; then it is set.
	m := newMachine(t, "2026-03-01 09:59:00", "*/5 * * * *")
	m.want(m.pass(2*time.Minute), "10:00:00")
	m.set(7 * time.Hour)
	m.want(m.pass(6*time.Minute), "17:01:01 17:05:00")
}

func TestClockThatIsSetDoesNotTouchIntervals(t *testing.T) {
	m := newMachine(t, "2026-03-01 10:00:00", "@every 5m")
	m.want(m.pass(6*time.Minute), "10:05:00")
	m.set(-3 * time.Hour)
	m.want(m.pass(5*time.Minute), "07:10:00")
	m.set(24 * time.Hour)
	m.want(m.pass(5*time.Minute), "07:15:00")
}

// In a year without a phase each point of the grid is met.
func TestSpreadIsAGridWithAPhase(t *testing.T) {
	e := spread(10*time.Minute, "some guest")
	if e.phase < 0 || e.phase >= e.interval || e == spread(10*time.Minute, "another guest") {
		t.Errorf("phase %v of %v", e.phase, e.interval)
	}
	at := upTime(0)
	for n := range 1000 {
		next := e.Next(at)
		if want := upTime(e.phase + time.Duration(n)*e.interval); !next.Equal(want) {
			t.Fatalf("after %v comes %v, want %v", at, next, want)
		}
		at = next
	}
	if next := e.Next(upTime(e.phase - 1)); !next.Equal(upTime(e.phase)) {
		t.Errorf("just before its phase: %v", next)
	}
}

func TestParseSchedule(t *testing.T) {
	sunday := clockTime(t, "2026-03-01 00:00:00")
	f := func(text string, want ...string) {
		t.Helper()
		s, err := parseSchedule(text)
		if err != nil {
			t.Errorf("parseSchedule(%q): %v", text, err)
			return
		}
		at := sunday.Add(-time.Second)
		for _, w := range want {
			if at = s.Next(at); at.Format("Mon 15:04") != w {
				t.Errorf("%q: %s, want %s", text, at.Format("Mon 15:04"), w)
			}
		}
	}
	f("30 3 * * 1-5", "Mon 03:30", "Tue 03:30")
	f("0 12 * * 7", "Sun 12:00", "Sun 12:00") // which cron knows as 0 too
	f("0 12 * * 5-7", "Sun 12:00", "Fri 12:00", "Sat 12:00", "Sun 12:00")
	f("0 12 * * sat,7", "Sun 12:00", "Sat 12:00")
	f("*/20 4 * * *", "Sun 04:00", "Sun 04:20", "Sun 04:40", "Mon 04:00")
	f("0 3 */2 * 1-5", "Tue 03:00", "Thu 03:00", "Mon 03:00")    // both days, as for cron(8)
	f("0 3 1-31/2 * mon", "Sun 03:00", "Mon 03:00", "Tue 03:00") // either
	f("@daily", "Sun 00:00", "Mon 00:00")
	f("@reboot")
	f("@every 90s")
	for text, want := range map[string]string{
		"":                      "empty spec string",
		"* * * *":               "expected exactly 5 fields",
		"61 * * * *":            "above maximum",
		"0 0 30 2 *":            "it never comes",
		"@never":                "unrecognized descriptor",
		"TZ=UTC":                "a time zone is not for a schedule",
		"CRON_TZ=UTC 0 * * * *": "a time zone is not for a schedule",
		"@every":                "unrecognized descriptor",
		"@every 0s":             "it is not of a second or more",
		"@every -5m":            "it is not of a second or more",
	} {
		if _, err := parseSchedule(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseSchedule(%q) = %v, want %q", text, err, want)
		}
	}
}

// FuzzSchedule: whatever is a schedule comes after now, or is for boots.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"*/5 * * * *", "0 12 * * 5-7", "@every 5m", "@reboot", "@weekly", "TZ=", "CRON_TZ=a b", "1-5/2,7 3 L * ?"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSchedule(text)
		if err != nil || text == "@reboot" {
			return
		}
		if next := s.Next(now); !next.After(now) {
			t.Errorf("%q comes at %v", text, next)
		}
	})
}

// run runs tasks in a bubble for so long.
func runTasks(t *testing.T, length time.Duration, during func(s *scheduler), list ...*task) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	begun := time.Now()
	s := newScheduler(func() Instant { return Instant{Wall: time.Now().Round(0), Up: time.Since(begun)} }, slog.New(slog.DiscardHandler))
	alive := 0
	s.watch, s.alive = 30*time.Second, func() { alive++ }
	s.replace(list)
	if during != nil {
		go during(s)
	}
	s.loop(ctx)
	if len(s.running) != 0 {
		t.Errorf("still running after the loop: %v", s.running)
	}
	if least := int(length / (15 * time.Second)); alive < least {
		t.Errorf("alive %d times in %v, want %d at least", alive, length, least)
	}
}

func TestTaskDoesNotOverlapItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, runs := 0, 0
		runTasks(t, time.Hour, nil, &task{name: "slow", schedule: every{time.Minute, 0}, run: func(ctx context.Context) {
			if running++; running > 1 {
				t.Error("it overlaps itself")
			}
			runs++
			select {
			case <-ctx.Done():
			case <-time.After(90 * time.Second):
			}
			running--
		}})
		if running != 0 || runs != 30 {
			t.Errorf("%d runs, %d still running", runs, running)
		}
	})
}

// A task that takes no notice of the end is waited for.
func TestLoopWaitsForWhatIsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ended := time.Now(), time.Time{}
		runTasks(t, 2*time.Minute, nil, &task{name: "deaf", schedule: every{time.Minute, 0}, run: func(context.Context) {
			time.Sleep(10 * time.Minute)
			ended = time.Now()
		}})
		if got := ended.Sub(begun); got != 11*time.Minute {
			t.Errorf("it ended after %v", got)
		}
	})
}

func TestTaskThatIsAskedForRunsNowOrNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var at []string
		slow := &task{name: "t", schedule: every{time.Hour, 0}, run: func(context.Context) {
			at = append(at, fmt.Sprint(time.Since(begun)))
			time.Sleep(10 * time.Minute)
		}}
		runTasks(t, 50*time.Minute, func(s *scheduler) {
			for _, after := range []time.Duration{20 * time.Minute, time.Minute, 0} {
				time.Sleep(after)
				s.call(func() { s.ask(t.Context(), "t") })
			}
		}, slow)
		if got, want := strings.Join(at, " "), "20m0s 30m0s"; got != want {
			t.Errorf("it ran at %s, want %s", got, want)
		}
		if slow.late {
			t.Error("what was asked for counts as left out")
		}
	})
}

// While what was started comes to its end, nobody waits for a scheduler that
// starts nothing any more.
func TestStoppedSchedulerTakesNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(Clock, slog.New(slog.DiscardHandler))
		s.replace([]*task{{name: "slow", schedule: every{time.Hour, 0}, atOnce: true, run: func(context.Context) { time.Sleep(time.Minute) }}})
		ctx, cancel := context.WithCancel(t.Context())
		go s.loop(ctx)
		time.Sleep(time.Second)
		cancel()
		begun := time.Now()
		if s.call(func() {}) || time.Since(begun) > 0 {
			t.Errorf("call was taken, or waited for, after %v", time.Since(begun))
		}
		time.Sleep(time.Minute)
	})
}

func TestIdleIsCalledOnlyWhileNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := newScheduler(func() Instant { return Instant{Wall: time.Now().Round(0), Up: time.Since(begun)} }, slog.New(slog.DiscardHandler))
		var busy atomic.Bool
		calls, runs := 0, 0
		s.idle = func() {
			if calls++; busy.Load() {
				t.Error("called while a task runs")
			}
		}
		s.replace([]*task{{name: "slow", schedule: every{2 * time.Minute, 0}, run: func(context.Context) {
			busy.Store(true)
			runs++
			time.Sleep(time.Minute)
			busy.Store(false)
		}}})
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if s.loop(ctx); calls < 10 || runs < 4 {
			t.Errorf("called %d times in ten minutes, with %d runs of a task", calls, runs)
		}
	})
}
