package watch

import (
	"cmp"
	"runtime"
	"slices"
	"time"
)

// Timestamps that samples may have, from now.
const (
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour
)

// PutResult counts the samples of one push.
type PutResult struct {
	Fed       int // that reached an alarm
	Unknown   int // that are for no alarm
	Misrouted int // for alarms that the caller may not feed
	Untimely  int // too old or too far ahead for windows and metrics
	Dropped   int // not kept as metrics, which are too many
}

// Counts are of all pushes since the start.
type Counts struct{ Pushes, Samples, Fed, Unknown, Misrouted, Untimely, Dropped uint64 }

// Counts returns what was counted since the start.
func (e *Engine) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts
}

// A Misroute is guests that push to an alarm that their key may not feed.
type Misroute struct {
	Project, Stack, Alarm string // of the guests, and what they push to
	Guests                int    // access keys, as far as counted
	Pushes                uint64
	Last                  time.Time
	keys                  map[string]struct{}
}

type misrouteKey struct{ project, stack, alarm string }

// Bounds of what is remembered of misrouted pushes.
const (
	mostMisroutes      = 1_000
	misroutesOfProject = 100
	mostMisrouteKeys   = 100
	misroutesFor       = 24 * time.Hour // since the last push
)

// Misroutes lists them, the busiest first.
func (e *Engine) Misroutes() []Misroute {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]Misroute, 0, len(e.misroute))
	for _, m := range e.misroute {
		m.Guests = len(m.keys)
		shown := *m
		shown.keys = nil
		list = append(list, shown)
	}
	slices.SortFunc(list, func(a, b Misroute) int {
		return cmp.Or(cmp.Compare(b.Pushes, a.Pushes), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Alarm, b.Alarm), cmp.Compare(a.Stack, b.Stack))
	})
	return list
}

// expireMisroutes forgets those that have ended, so that there is room for new
// ones. A time to come is of before the clock was set back.
func (e *Engine) expireMisroutes(now time.Time) {
	for k, m := range e.misroute {
		if wallOf(now).Sub(m.Last).Abs() > misroutesFor {
			delete(e.misroute, k)
			if p := e.projects[k.project]; p != nil { // else it is counted no more
				p.misroutes = max(0, p.misroutes-1)
			}
		}
	}
}

// Put takes the samples of one push, which arrived now. It works in memory
// alone, and at the same cost whatever the number of alarms. Samples without a
// Time are of now. Samples that are for many alarms are taken a few at a time,
// so that no project keeps others waiting.
func (e *Engine) Put(now time.Time, c Caller, samples []Sample) PutResult {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.OfServer() {
		return PutResult{}
	}
	p := e.project(c.Project)
	push := push{e: e, caller: c, now: now, at: e.instant(now)}
	for i := range samples {
		push.take(p, &samples[i])
		if push.looked >= putSlice {
			p = push.pause()
		}
	}
	e.dropProject(p)
	r := push.result
	e.counts.Pushes++
	e.counts.Samples += uint64(len(samples))
	e.counts.Fed += uint64(r.Fed)
	e.counts.Unknown += uint64(r.Unknown)
	e.counts.Misrouted += uint64(r.Misrouted)
	e.counts.Untimely += uint64(r.Untimely)
	e.counts.Dropped += uint64(r.Dropped)
	return r
}

// putSlice is how many alarms are looked at before others have their turn.
const putSlice = 1_000

// pause gives others their turn. What they change is looked up again.
func (p *push) pause() *project {
	p.e.mu.Unlock()
	runtime.Gosched() // to whom the lock is given on a machine of one processor
	p.e.mu.Lock()
	p.looked, p.key = 0, nil
	return p.e.project(p.caller.Project)
}

// A push is the samples of one request on their way.
type push struct {
	e        *Engine
	caller   Caller
	now      time.Time
	at       instant
	key      *key
	replayed map[*entry]struct{} // alarms that a replayed sample was counted for
	result   PutResult
	looked   int // alarms, since others had their turn
}

func (p *push) take(project *project, s *Sample) {
	e := p.e
	timely := s.Time.IsZero() || !s.Time.Before(p.now.Add(-oldest)) && !s.Time.After(p.now.Add(newest))
	if !timely {
		p.result.Untimely++
	} else if !e.keepMetric(project, s, p.now) {
		p.result.Dropped++
	}
	fed, misrouted := false, false
	p.looked += e.route(project, s, func(en *entry) {
		if !en.fedBy(p.caller) {
			misrouted = true
			if s.Alarm != "" {
				e.misrouted(project, p.caller, s.Alarm, p.now)
			}
			p.otherStack(en)
			return
		}
		fed = true
		p.feed(en, s, timely)
	})
	switch {
	case fed:
		p.result.Fed++
	case misrouted && s.Alarm != "":
		p.result.Misrouted++
	default:
		p.result.Unknown++
	}
}

// misrouted remembers who pushes to what.
func (e *Engine) misrouted(of *project, c Caller, alarm string, now time.Time) {
	k := misrouteKey{c.Project, c.Stack, alarm}
	m := e.misroute[k]
	if m == nil {
		if len(e.misroute) >= mostMisroutes || of.misroutes >= misroutesOfProject {
			return
		}
		m = &Misroute{Project: c.Project, Stack: c.Stack, Alarm: alarm, keys: map[string]struct{}{}}
		e.misroute[k] = m
		of.misroutes++
	}
	m.Pushes++
	m.Last = wallOf(now)
	if len(m.keys) < mostMisrouteKeys {
		m.keys[c.Access] = struct{}{}
	}
}

// feed gives a sample to an alarm.
func (p *push) feed(en *entry, s *Sample, timely bool) {
	e := p.e
	p.remember(en)
	en.from(s, p.at)
	if en.kind.rule.presence {
		p.arrive(en, s)
		return
	}
	if !timely {
		return
	}
	at := p.at
	if !s.Time.IsZero() {
		at = at.plus(s.Time.Sub(wallOf(p.now)))
	}
	if en.fold(at, p.at, Stat{s.Count, s.Sum, s.Min, s.Max}) {
		en.held, en.fresh = 0, true
		e.keepWindow(en)
		e.mark(en, p.at)
	}
}

// remember notes that the key fed the alarm.
func (p *push) remember(en *entry) {
	access := p.caller.Access
	if access == "" {
		return
	}
	if last := p.e.keys.at(en.key); p.key == nil && last != nil && last.access == access {
		p.key = last // most often: nothing is looked up
	}
	if p.key == nil {
		p.key = p.e.keyNamed(access)
	}
	if p.key != nil {
		p.key.heard = p.at
		p.e.taken(p.key)
		if en.key == p.key.place || p.key.fed(en.place) {
			return
		}
	}
	if !p.e.roomForKeys(en.project, p.now) {
		return
	}
	if p.key == nil {
		p.key = p.e.keyOf(access)
		p.key.heard = p.at
	}
	pair(p.key, en)
	p.e.newFed[access] = append(p.e.newFed[access], en.id)
}

// from notes which instance a sample is of.
func (en *entry) from(s *Sample, at instant) {
	for _, d := range s.Dimensions {
		if d.Name == "InstanceId" && d.Value != en.instance {
			if en.instance != "" {
				en.mixed = at
			}
			en.instance, en.urgent = d.Value, true
		}
	}
}

// arrive is what a sample is to a presence alarm.
func (p *push) arrive(en *entry, s *Sample) {
	e, h := p.e, &en.beats
	first := !h.fed
	if first {
		e.totals.count(en, -1)
		h.fed, en.urgent = true, true
		e.totals.count(en, 1)
		if en.kind.rule.start == 0 {
			h.from = max(h.from, p.at)
		}
		h.last = p.at
		e.alive(en, 1)
	} else if gap := time.Duration(p.at - h.last); gap > 0 {
		if gap >= leastGap && h.last >= e.hearing.since {
			en.learn(gap)
		}
		h.last = p.at
	}
	if h.arrivals != nil {
		p.count(en, s)
	}
	e.setOverdue(en, false)
	e.keepArrival(en)
	if first || en.pending || en.held != 0 || en.state() != OK {
		en.held = 0
		e.mark(en, p.at)
	}
}

// leastGap is between pushes of a guest that are two.
const leastGap = time.Second

// count adds a sample to the arrivals of an alarm that needs several. Those of
// a replayed spool are one: the guest lives now, it did not push often.
func (p *push) count(en *entry, s *Sample) {
	n := s.Count
	if !s.Time.IsZero() && s.Time.Before(p.now.Add(-en.kind.rule.period)) {
		if _, counted := p.replayed[en]; counted {
			return
		}
		if p.replayed == nil {
			p.replayed = map[*entry]struct{}{}
		}
		p.replayed[en] = struct{}{}
		n = 1
	}
	w := en.beats.arrivals
	second := uint32(p.at / instant(time.Second))
	w.forget(second - uint32(en.kind.rule.silence/time.Second) - 1)
	w.add(second, Stat{Count: n, Sum: n, Min: n, Max: n})
}

// fold adds a sample to the alarm's window, if it is in the range that is
// looked at, or will be soon.
func (en *entry) fold(t, now instant, s Stat) bool {
	r := en.kind.rule
	at, end := t.bucket(r.width), now.bucket(r.width)+1
	reach := int64(r.r) * int64(r.period/r.width)
	ahead := min(max(reach, int64(leastAhead/r.width)), int64(newest/r.width))
	oldest := max(0, end-reach)
	if at < oldest || at >= end+ahead {
		return false
	}
	en.window.forget(uint32(oldest))
	en.window.add(uint32(at), s)
	return true
}

// leastAhead is by how much a sample may be ahead, however short the range.
const leastAhead = 5 * time.Minute
