package daemon

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
)

// A task is something to do again and again. It never overlaps itself.
type task struct {
	name     string
	key      string // its configuration: a task with another one is another task
	schedule cron.Schedule
	fixed    bool // the schedule is of the clock on the wall, not of the time since boot
	atOnce   bool // it is due when it is new
	run      func(context.Context)
	owner    reporter // may be nil

	next time.Time // zero: never
	late bool      // it was said that it was left out
}

// A scheduler starts tasks when they are due. One goroutine, that of loop,
// has all of its fields but calls and ended.
type scheduler struct {
	now   func() Instant
	log   *slog.Logger
	alive func()        // called at least twice in watchdog; may be nil
	watch time.Duration // 0: alive is never called
	after func()        // called when a task has ended; may be nil
	idle  func()        // called when nothing is running, before each wait; may be nil

	tasks   []*task
	running map[string]*task
	wanted  map[string]bool // is to be run again when it has ended
	last    Instant
	lived   lived

	done  chan *task
	calls chan func()
	ended chan struct{} // closed when nothing takes calls any longer
}

func newScheduler(now func() Instant, log *slog.Logger) *scheduler {
	return &scheduler{
		now: now, log: log, running: map[string]*task{}, wanted: map[string]bool{},
		done: make(chan *task), calls: make(chan func()), ended: make(chan struct{}),
	}
}

// longestSleep is how long the loop waits at most: timers stand still while
// the machine is suspended, and do not follow a clock that is set.
const longestSleep = 20 * time.Second

// loop starts tasks until ctx is done and those under way have ended.
func (s *scheduler) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var watchdog <-chan time.Time
	if s.watch > 0 && s.alive != nil {
		ticker := time.NewTicker(s.watch / 3)
		defer ticker.Stop()
		watchdog = ticker.C
	}
	for ctx.Err() == nil {
		now := s.now()
		for _, t := range s.due(now) {
			s.start(ctx, t)
		}
		if s.idle != nil && len(s.running) == 0 {
			s.idle()
		}
		timer.Reset(s.wait(now))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case t := <-s.done:
			s.end(ctx, t)
		case f := <-s.calls:
			f()
		case <-watchdog:
			s.alive()
		}
	}
	close(s.ended)
	for len(s.running) > 0 {
		select {
		case t := <-s.done:
			delete(s.running, t.name)
		case <-watchdog:
			s.alive()
		}
	}
}

// call has the loop call f, and waits for it. It is false when the loop has
// ended.
func (s *scheduler) call(f func()) bool {
	called := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(called) }:
		<-called
		return true
	case <-s.ended:
		return false
	}
}

// stopped says that nothing is called or started any longer.
func (s *scheduler) stopped() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// ask has a task run now, or again when the run under way has ended.
func (s *scheduler) ask(ctx context.Context, name string) {
	if s.running[name] != nil {
		s.wanted[name] = true
		return
	}
	for _, t := range s.tasks {
		if t.name == name {
			s.start(ctx, t)
		}
	}
}

// replace makes list the tasks. Those that were there with the same name and
// key stay as they are. What is running of others comes to its end, and only
// then one of its name begins: an action may itself change what it is run by.
func (s *scheduler) replace(list []*task) {
	now := s.now()
	step := s.see(now)
	old := s.tasks
	s.tasks = nil
	for _, t := range list {
		if i := slices.IndexFunc(old, func(o *task) bool { return o.name == t.name && o.key == t.key }); i >= 0 {
			if t = old[i]; step && t.fixed && t.next.After(now.Wall) {
				s.plan(t, now)
			}
			s.tasks = append(s.tasks, t)
			continue
		}
		s.plan(t, now)
		if t.atOnce {
			t.next = t.scale(now)
		}
		s.tasks = append(s.tasks, t)
	}
}

// scale is an instant on the clock of the task.
func (t *task) scale(now Instant) time.Time {
	if t.fixed {
		return now.Wall
	}
	return upTime(now.Up)
}

func (s *scheduler) plan(t *task, now Instant) {
	if t.fixed {
		t.next = s.lived.next(t.schedule)
	} else {
		t.next = t.schedule.Next(t.scale(now))
	}
}

// due returns what is to be started now, each task once however often it was
// missed, and plans it anew.
func (s *scheduler) due(now Instant) []*task {
	step := s.see(now)
	var list []*task
	for _, t := range s.tasks {
		switch {
		case t.next.IsZero() && !step:
		case !t.next.IsZero() && !t.next.After(t.scale(now)):
			list = append(list, t)
			s.plan(t, now)
		case step && t.fixed:
			s.plan(t, now)
		}
	}
	return list
}

// see notes the time, and says whether the clock was set by much since it was
// seen last.
func (s *scheduler) see(now Instant) bool {
	last := s.last
	s.last = now
	if last == (Instant{}) {
		s.lived.see(now.Wall)
		return false
	}
	step := now.Wall.Sub(last.Wall) - (now.Up - last.Up)
	if step > time.Minute && last.Wall.Year() < unset {
		// The clock is set for the first time: nothing was missed.
		s.lived = lived{}
		s.lived.see(now.Wall)
		for _, t := range s.tasks {
			if t.fixed {
				s.plan(t, now)
			}
		}
	}
	s.lived.see(now.Wall)
	if step.Abs() > time.Minute {
		s.log.Info("the clock was set", "by", step.Round(time.Second))
	}
	return step.Abs() > time.Second
}

// wait is how long to sleep.
func (s *scheduler) wait(now Instant) time.Duration {
	d := longestSleep
	for _, t := range s.tasks {
		if !t.next.IsZero() {
			d = min(d, t.next.Sub(t.scale(now)))
		}
	}
	return max(d, 0)
}

func (s *scheduler) start(ctx context.Context, t *task) {
	if s.running[t.name] != nil {
		if !t.late {
			s.log.Warn("still running when it was due again: it was left out, which is not said again", "name", t.name)
			t.late = true
		}
		return
	}
	s.running[t.name] = t
	go func() {
		t.run(ctx)
		s.done <- t
	}()
}

// end notes that a task has ended.
func (s *scheduler) end(ctx context.Context, t *task) {
	delete(s.running, t.name)
	if s.after != nil {
		s.after()
	}
	if s.wanted[t.name] {
		delete(s.wanted, t.name)
		s.ask(ctx, t.name)
	}
}
