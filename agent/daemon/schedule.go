package daemon

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"golang.org/x/sys/unix"
)

// An Instant is a point in time on two clocks.
type Instant struct {
	Wall time.Time     // of the clock on the wall, which may be set
	Up   time.Duration // since boot, also while the machine was suspended; it is never set
}

// Clock is the present instant of this machine.
func Clock() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		ts = unix.NsecToTimespec(time.Now().UnixNano()) // no Linux since 2.6.39 gives one
	}
	return Instant{Wall: time.Now().Round(0), Up: time.Duration(ts.Nano())}
}

// upTime is a time since boot as schedules take times.
func upTime(d time.Duration) time.Time { return time.Unix(0, int64(d)).UTC() }

// every is the schedule of what has an interval: a grid since boot, moved by
// a phase of this instance, so that guests that boot together do not all come
// at the same moment. Setting the clock does not touch it.
type every struct{ interval, phase time.Duration }

// spread returns the schedule for an interval. The phase follows from the
// seed, which is of the instance and of what is done.
func spread(interval time.Duration, seed string) every {
	sum := sha256.Sum256([]byte(seed))
	return every{interval, time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(interval))}
}

// Next returns the first point of the grid after t.
func (e every) Next(t time.Time) time.Time {
	since := t.UnixNano() - int64(e.phase)
	n := since / int64(e.interval)
	if since >= 0 {
		n++
	}
	return upTime(e.phase + time.Duration(n)*e.interval)
}

// atReboot is the schedule of what is run once for each boot.
type atReboot struct{}

// Next returns no time: what comes first is not for schedules to say.
func (atReboot) Next(time.Time) time.Time { return time.Time{} }

// parseSchedule reads the schedule of a job: five fields as in crontab(5),
// @every and a time, @hourly and the like, or @reboot. A number of seconds or
// minutes comes as cron.ConstantDelaySchedule.
func parseSchedule(text string) (cron.Schedule, error) {
	bad := func(err error) (cron.Schedule, error) {
		return nil, fmt.Errorf("schedule %q: %w: write five fields as in crontab(5), @every 5m or @reboot", text, err)
	}
	if text == "@reboot" {
		return atReboot{}, nil
	}
	// The parser takes a time zone first, and panics when nothing follows it.
	if strings.Contains(text, "TZ=") {
		return bad(errors.New("a time zone is not for a schedule"))
	}
	s, err := cron.ParseStandard(sunday(text))
	if err != nil {
		return bad(err)
	}
	if spec, ok := s.(*cron.SpecSchedule); ok {
		bothDays(spec, strings.Fields(text))
	}
	if _, interval := s.(cron.ConstantDelaySchedule); !interval && s.Next(time.Now()).IsZero() {
		return bad(errors.New("it never comes"))
	}
	// The parser makes a second of less.
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "@every ")); err == nil && d < time.Second {
		return bad(errors.New("it is not of a second or more"))
	}
	if ofHours(text) {
		s = daily{s}
	}
	return s, nil
}

// bothDays has a schedule keep to both of its fields of days where one of them
// begins with a star, as in */2, and not only where one is a star: so cron(8)
// tells a field that restricts from one that does not. Else either is enough.
func bothDays(s *cron.SpecSchedule, fields []string) {
	const starBit = 1 << 63 // of the parser
	if len(fields) == 5 && (fields[2][0] == '*' || fields[4][0] == '*') {
		s.Dom |= starBit
	}
}

// ofHours says that a schedule names its hours, as crontab(5) has it: neither
// minutes nor hours begin with a star, or what the parser takes for one.
func ofHours(text string) bool {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 5:
		return !strings.ContainsAny(fields[0][:1]+fields[1][:1], "*?")
	case len(fields) == 1:
		return text != "@hourly"
	}
	return false // @every
}

// daily is a schedule that names its hours. It goes by what the clock shows, so
// that an hour that summer time has twice counts once, and what is due in one
// that it leaves out is run an hour later: cron(8) does much the same.
type daily struct{ schedule cron.Schedule }

// Next returns the first time after t.
func (d daily) Next(t time.Time) time.Time {
	shown := func(t time.Time, zone *time.Location) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	}
	for next := shown(t.Local(), time.UTC); ; {
		if next = d.schedule.Next(next); next.IsZero() {
			return next
		}
		real := shown(next, time.Local)
		if left := next.Sub(shown(real, time.UTC)); left > 0 { // there is no such time
			real = real.Add(left)
		}
		if real.After(t) {
			return real
		}
	}
}

// sunday writes Sunday as 0 where the last of five fields has 7, which
// crontab(5) knows and the parser does not.
func sunday(text string) string {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return text
	}
	days := strings.Split(fields[4], ",")
	for i, d := range days {
		if d == "7" {
			days[i] = "0"
		} else if from, ok := strings.CutSuffix(d, "-7"); ok {
			days[i] = from + "-6,0"
		}
	}
	fields[4] = strings.Join(days, ",")
	return strings.Join(fields, " ")
}

// A span is a time on the wall, from the first moment to the last.
type span struct{ from, to time.Time }

// lived is the time on the wall that this process has lived through: all that
// is run at fixed times has been run for it, and is not run again when the
// clock is set back. When it is set back by more than a day it was wrong, and
// the new time is taken for the right one, as cron(8) does after three hours.
type lived struct {
	span         // up to now, or beyond it when the clock was set back; at most a day
	ahead []span // from before the clock was set back, in their order
}

const (
	livedLimit = 24 * time.Hour
	aheadLimit = 8 // of a clock that is set again and again
)

func (l *lived) see(now time.Time) {
	switch {
	case l.to.IsZero():
		l.span = span{now, now}
	case now.Before(l.from):
		l.ahead = append([]span{l.span}, l.ahead...)
		if l.from.Sub(now) > livedLimit {
			l.ahead = nil
		}
		l.ahead = l.ahead[:min(len(l.ahead), aheadLimit)]
		l.span = span{now, now}
	case now.After(l.to):
		l.to = now
	}
	for len(l.ahead) > 0 && !l.ahead[0].from.After(l.to) {
		if to := l.ahead[0].to; to.After(l.to) {
			l.to = to
		}
		l.ahead = l.ahead[1:]
	}
	if day := l.to.Add(-livedLimit); day.After(l.from) {
		l.from = day
	}
}

// next is the time at which a schedule comes next, zero: never.
func (l *lived) next(s cron.Schedule) time.Time {
	next := s.Next(l.to)
	for _, a := range l.ahead {
		if next.After(a.from) && !next.After(a.to) {
			next = s.Next(a.to)
		}
	}
	return next
}

// unset is the year before which a clock has not been set since it lost its
// battery: what it seems to have missed when it is set was not missed.
const unset = 2020
