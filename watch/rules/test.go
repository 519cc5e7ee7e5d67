package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Failure is something in a case that was wanted and is not so.
type Failure struct {
	File      string
	Line      int // of the step
	Case      string
	At        time.Duration // since the start
	Alarm     string
	Want, Got string
	Hint      string // what may be the reason; may be empty
}

// String is one line: FILE:LINE: case: at TIME: alarm: got …, want ….
func (f Failure) String() string {
	line := fmt.Sprintf("%s: %s: at %s: %s: got %s, want %s", place{f.File, f.Line}, f.Case, f.At, f.Alarm, f.Got, f.Want)
	if f.Hint != "" {
		line += " (" + f.Hint + ")"
	}
	return oneLine(line)
}

// Test runs cases of a set, each on a server of its own whose clock is not
// that of the machine: a day passes in an instant. It returns what failed. The
// error is that of ctx, or of an alarm that the server does not take.
//
// In each second, first the server is stopped, started and its clock set, then
// guests push, then the server judges, and then what is wanted is looked at. A
// server that is stopped hears no push.
func Test(ctx context.Context, s *Set, cases []Case) (failed []Failure, err error) {
	for _, c := range cases {
		r := &run{ctx: ctx, set: s, c: c, store: watch.NewMemory(), lost: map[place]int{}}
		if err := r.all(); err != nil {
			return failed, fmt.Errorf("%s: %s: %w", c.at, c.Name, err)
		}
		failed = append(failed, r.failed...)
	}
	return failed, nil
}

// epoch is when every test begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A run is a case under way.
type run struct {
	ctx    context.Context
	set    *Set
	c      Case
	store  *watch.Memory
	engine *watch.Engine

	passed  time.Duration // since the start
	moved   time.Duration // by which the wall clock was set
	stopped bool
	lost    map[place]int // pushes of a step that reached no alarm
	failed  []Failure
}

// now is what the server's wall clock says.
func (r *run) now() time.Time { return epoch.Add(r.passed + r.moved) }

// all runs the case, second by second.
func (r *run) all() error {
	if err := r.start(); err != nil {
		return err
	}
	if _, err := r.set.Apply(r.ctx, r.now(), r.engine); err != nil {
		return err
	}
	last := time.Duration(0)
	for _, st := range r.c.steps {
		last = max(last, st.after)
	}
	for r.passed = 0; r.passed <= last; r.passed += resolution {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.second(); err != nil {
			return err
		}
	}
	return nil
}

// start starts a server over what the store has.
func (r *run) start() error {
	r.stopped = false
	r.engine = watch.New(watch.Options{Store: r.store, Monotonic: func(now time.Time) time.Duration {
		return now.Sub(epoch) - r.moved
	}})
	return r.engine.Start(r.ctx, r.now())
}

func (r *run) second() error {
	for _, st := range r.c.steps {
		if st.after == r.passed {
			if err := r.meddle(st); err != nil {
				return err
			}
		}
	}
	for _, st := range r.c.steps {
		if st.push.due(st.after, r.passed) {
			r.push(st)
		}
	}
	if !r.stopped {
		for more := true; more; {
			result, err := r.engine.Tick(r.ctx, r.now())
			if err != nil {
				return err
			}
			more = result.More
		}
	}
	for _, st := range r.c.steps {
		if st.want != nil && st.after == r.passed {
			r.want(st)
		}
	}
	return nil
}

// meddle does what a step does to the server.
func (r *run) meddle(st step) error {
	r.moved += st.clock
	switch st.server {
	case "stop":
		r.stopped = true
	case "continue":
		r.stopped = false
	case "restart":
		if err := r.engine.FlushAll(r.ctx, r.now()); err != nil {
			return err
		}
		return r.start()
	}
	return nil
}

func (r *run) push(st step) {
	if r.stopped {
		return
	}
	if got := r.engine.Put(r.now(), st.push.caller, []watch.Sample{st.push.sample}); got.Fed == 0 {
		r.lost[st.at]++
	}
}

// want compares an alarm with what a step wants.
func (r *run) want(st step) {
	w := st.want
	f := Failure{File: st.at.file, Line: st.at.line, Case: r.c.Name, At: st.after, Alarm: w.alarm, Hint: r.hint()}
	v, _ := r.engine.View(r.now(), w.project, w.alarm)
	if w.state != "" && v.State != w.state {
		f.Want, f.Got = string(w.state), string(v.State)
		if v.Reason != "" {
			f.Got += " (" + v.Reason + ")"
		}
		r.failed = append(r.failed, f)
	}
	if !w.checked {
		return
	}
	var got []string
	for _, action := range r.store.Wanted() {
		if action.Project == w.project && action.Alarm == w.alarm {
			got = append(got, action.Action)
		}
	}
	if !slices.Equal(got, w.actions) {
		f.Want, f.Got = fmt.Sprintf("actions %q", w.actions), fmt.Sprintf("actions %q", got)
		r.failed = append(r.failed, f)
	}
}

// hint tells of pushes that reached no alarm.
func (r *run) hint() string {
	var hints []string
	for _, st := range r.c.steps {
		if n := r.lost[st.at]; n > 0 {
			hints = append(hints, fmt.Sprintf("%d pushes of line %d reached no alarm: their stack or dimensions are others", n, st.at.line))
		}
	}
	return strings.Join(slices.Compact(hints), "; ")
}
