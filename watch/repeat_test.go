package watch

import (
	"testing"
	"time"
)

// repeating is a bench with an alarm in ALARM, whose message is repeated each
// minute, and returns how many times it was asked for since last asked.
func repeating(t *testing.T) (b *bench, a Alarm, asked func() int) {
	t.Helper()
	b = newBench(t, Options{})
	a = heartbeat("h")
	a.OnAlarm, a.Repeat = []string{"https://a.example"}, time.Minute
	b.define(a)
	b.beat("h")
	b.pass(3 * time.Minute)
	b.want("h", Firing)
	return b, a, func() int {
		n := len(b.store.Wanted()) - b.seen
		b.seen += n
		return n
	}
}

// Messages go on though the wall clock is set back; they once paused until it
// was again what it had been. Nor are those made up for that it jumped over.
func TestMessagesRepeatThoughTheClockIsSet(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		b, _, asked := repeating(t)
		b.pass(5 * time.Minute)
		asked()
		b.now, b.set = b.now.Add(step), b.set+step
		b.pass(5 * time.Minute)
		if got := asked(); got != 5 {
			t.Errorf("%d messages in the five minutes after the clock was set by %s, want 5", got, step)
		}
	}
}

// A server that starts by a clock that was set back meanwhile goes on at once.
func TestMessagesRepeatAfterAStartInThePast(t *testing.T) {
	b, _, asked := repeating(t)
	asked()
	b.now, b.set = b.now.Add(-time.Hour), b.set-time.Hour
	b.restart()
	b.pass(5 * time.Minute)
	if got := asked(); got != 5 {
		t.Errorf("%d messages in five minutes, want 5", got)
	}
}

// From now on messages go as seldom as they are to: they once stopped until as
// many of the longer times had passed as there were of the shorter.
func TestMessagesRepeatAsTheyAreNowTo(t *testing.T) {
	b, a, asked := repeating(t)
	b.pass(2 * time.Hour)
	asked()
	a.Repeat = 5 * time.Minute
	b.define(a)
	b.pass(20 * time.Minute)
	if got := asked(); got != 4 {
		t.Errorf("%d messages in 20 minutes, want 4", got)
	}
	a.Repeat = time.Minute
	b.define(a)
	b.pass(5 * time.Minute)
	if got := asked(); got != 5 {
		t.Errorf("%d messages in 5 minutes, want 5", got)
	}
}
