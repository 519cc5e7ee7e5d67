package hup

import (
	"context"
	"time"

	"github.com/cfn-agent/cfn-agent/hooks"
)

// How a failed action is tried again: after 1, 2, 4... intervals, each at
// most an hour, ten times in all.
const (
	maxFailures = 10
	maxWait     = time.Hour
	maxEarly    = 30 * time.Second
)

// compare runs the action of a hook when its value is another one than at its
// last success. A change that the hook has no trigger for counts as seen.
func (r *run) compare(ctx context.Context, h hooks.Hook) error {
	s := r.subject(h.Target.Resource)
	if !s.settled || ctx.Err() != nil {
		return nil
	}
	now := valueOf(h.Target, s.now)
	last := r.state.Hooks[key(h)]
	trigger := change(r.state.Values[key(h)], now)
	if trigger == "" {
		if last.Failures > 0 { // the change that failed was taken back
			r.state.setHook(key(h), hookState{Ran: last.Ran, Trigger: last.Trigger})
		}
		return r.state.save()
	}
	if !h.Matches(hooks.Event{Name: trigger, Resource: s.id, Object: h.Path}) {
		r.state.set(key(h), now)
		return r.state.save()
	}
	if last.Digest == digest(now) && !last.due(time.Now()) {
		r.System.Log.Debug("hook waits", "hook", h.Name, "failures", last.Failures, "next", last.Next)
		return nil
	}
	return r.fire(ctx, h, s, trigger)
}

// due says that a failed action may be tried again. A clock that was set back
// delays it no more than the longest wait.
func (h hookState) due(now time.Time) bool {
	if h.Failures == 0 {
		return true
	}
	return h.Failures < maxFailures && (!now.Before(h.Next) || h.Next.Sub(now) > maxWait)
}

// fire runs the action of a hook for a value. Only its success makes the
// value the last one seen.
func (r *run) fire(ctx context.Context, h hooks.Hook, s *subject, trigger string) error {
	now, began := valueOf(h.Target, s.now), time.Now()
	err := r.act(ctx, action{hook: h, trigger: trigger, old: r.state.Values[key(h)], now: now})
	if err != nil && ctx.Err() != nil {
		return nil // it was cut short: the next pass runs it again
	}
	if err == nil {
		r.state.set(key(h), now)
		r.state.setHook(key(h), hookState{Ran: time.Now(), Trigger: trigger})
		return r.state.save()
	}
	failed := r.state.Hooks[key(h)]
	if d := digest(now); failed.Digest != d {
		failed = hookState{Digest: d}
	}
	failed.Ran, failed.Trigger, failed.Error = time.Now(), trigger, err.Error()
	if trigger != manual {
		failed.Failures++
		failed.Next = r.next(began, failed)
	}
	r.state.setHook(key(h), failed)
	r.note(r.state.save())
	if failed.Failures == maxFailures {
		r.System.Log.Error("hook has failed too often: it is left until the value changes again", "hook", h.Name, "failures", failed.Failures)
	}
	return err
}

// next is when an action that began then, and has failed, is tried again. A
// pass that comes a little early does not leave that to the one after it.
func (r *run) next(began time.Time, failed hookState) time.Time {
	interval := r.Config.Interval
	if failed.Ran.Sub(began) > interval {
		began = failed.Ran
	}
	return began.Add(wait(interval, failed.Failures, maxWait) - min(interval/5, maxEarly))
}

// wait is the time before the next try after so many failures: 1, 2, 4...
// intervals, each at most longest.
func wait(interval time.Duration, failures int, longest time.Duration) time.Duration {
	d := min(interval, longest)
	for n := 1; n < failures && d < longest; n++ {
		d = min(2*d, longest)
	}
	return d
}
