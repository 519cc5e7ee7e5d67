package services

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A pace says how a unit is watched after it was told to start or stop.
type pace struct {
	poll  time.Duration // between two looks
	watch time.Duration // for so long it must stay up
	limit time.Duration // for so long it may be on its way
}

// realPace: a daemon with a bad configuration commonly ends within the first
// second. 90 s is systemd's own limit for a start, DefaultTimeoutStartSec.
var realPace = pace{poll: 250 * time.Millisecond, watch: 2 * time.Second, limit: 90 * time.Second}

// ensure sees to it that the unit runs. On its way up it counts as running,
// until it is seen not to arrive.
func (j *job) ensure(ctx context.Context, st status) {
	if st.running() || st.rising() && j.DryRun {
		return
	}
	if st.rising() && j.settle(ctx) == "" {
		return
	}
	j.act(ctx, st, start)
}

// act starts or restarts the unit and watches what becomes of it.
func (j *job) act(ctx context.Context, st status, v verb) {
	if j.DryRun {
		j.done(string(v))
		return
	}
	if err := j.do(ctx, j.unit, v); err != nil {
		j.problem("%s %s: %v%s", v, j.unit, err, j.said(ctx))
		return
	}
	j.done(string(v))
	if problem := j.settle(ctx); problem != "" {
		j.problem("%s %s: %s%s", v, j.unit, problem, j.said(ctx))
		return
	}
	if v != reloadOrRestart || !st.running() {
		return
	}
	if now, err := j.status(ctx, j.unit); err == nil && now.reloaded != "" && now.reloaded != "success" {
		j.problem("%s %s: the reload failed (%s)%s", v, j.unit, now.reloaded, j.said(ctx))
	}
}

// halt stops the unit when it runs.
func (j *job) halt(ctx context.Context, st status, because []string) {
	if st.active == "inactive" && !st.working || st.active == "failed" {
		return
	}
	j.out.Causes = because
	if j.DryRun {
		j.done(string(stop))
		return
	}
	if err := j.do(ctx, j.unit, stop); err != nil {
		j.problem("stop %s: %v", j.unit, err)
		return
	}
	j.done(string(stop))
	for end := time.Now().Add(j.limit); ; {
		st, err := j.status(ctx, j.unit)
		switch {
		case err != nil:
			j.problem("%s: %v", j.unit, err)
			return
		case !st.working && (st.active == "inactive" || st.active == "failed"):
			return
		case time.Now().After(end):
			j.problem("%s is still %s %s after it was told to stop", j.unit, st.active, j.limit)
			return
		}
		if !pause(ctx, j.poll) {
			return
		}
	}
}

// settle waits until the unit is up and has stayed so for a while, and returns
// what is wrong when it is not.
func (j *job) settle(ctx context.Context) string {
	var up time.Time // since when
	first := -1      // restarts at the first look
	for end := time.Now().Add(j.limit); ; {
		st, err := j.status(ctx, j.unit)
		if err != nil {
			return err.Error()
		}
		if first < 0 {
			first = st.restarts
		}
		now := time.Now()
		switch {
		case st.sub == "auto-restart" || st.restarts > first:
			return fmt.Sprintf("it ends again and again (%s)", st.result)
		case st.working || st.rising() || st.active == "reloading" || st.active == "deactivating":
			up = time.Time{}
		case st.active != "active":
			return ended(st)
		case st.sub == "exited" || !strings.HasSuffix(j.unit, ".service") && hasUnitSuffix(j.unit):
			return "" // up for good, with no process that could end
		case up.IsZero():
			up = now
		case now.Sub(up) >= j.watch:
			return ""
		}
		if up.IsZero() && now.After(end) {
			return fmt.Sprintf("it is still %s after %s", st.active, j.limit)
		}
		if !pause(ctx, j.poll) {
			return "it was not waited for"
		}
	}
}

// ended says why a unit that is down should not be; empty when it should.
func ended(st status) string {
	switch {
	case st.skipped:
		return "it was not started: a condition or assertion of the unit does not hold"
	case st.oneshot && st.active == "inactive" && st.result == "success":
		return ""
	case st.result == "":
		return "it is not running"
	case st.result != "success":
		return fmt.Sprintf("it did not stay up (%s)", st.result)
	}
	// systemd forgets the rest about a unit that nothing refers to.
	return "it ended by itself, or a condition of the unit kept it from starting"
}

// said is the end of what the unit wrote, on lines of its own.
func (j *job) said(ctx context.Context) string {
	text := strings.TrimSpace(j.log(ctx, j.unit))
	if text == "" {
		return ""
	}
	return "; the last it wrote:\n    " + strings.ReplaceAll(text, "\n", "\n    ")
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
