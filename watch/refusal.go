package watch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	signOfLife   = 24 * time.Hour   // for which refused pushes keep a guest from being silent
	tellAgain    = 10 * time.Minute // of refused pushes, where others are taken meanwhile
	refusedOnce  = time.Second      // in which refused pushes of a key are one: anybody can send them, and each costs for all alarms of the key
	refusedStep  = 10 * time.Minute // by which a refusal lasts longer before the store has it
	refusedShown = time.Hour        // since the last refused push
	refusedNames = 5                // of the alarms of a key
)

// A refusal is that pushes of an access key are refused or cannot be verified.
// Who knows no more than the key's id can bring it about, and so keep the
// guests behind it from being restarted; but for signOfLife and no longer,
// until a push is taken again. The store keeps how long it has lasted while
// the server ran: a restart neither begins it anew, nor counts a time in which
// nothing could be heard.
type refusal struct {
	since instant       // first refused push since one was taken; 0: one was
	last  instant       // refused push; 0: none since the start
	told  instant       // when the history was last told that it began
	over  bool          // it has lasted for signOfLife
	kept  time.Duration // how long it has lasted, as the store has it
}

// lasted is how long it has, as far as that counts.
func (r *refusal) lasted(at instant) time.Duration {
	if r.since == 0 {
		return 0
	}
	return min(time.Duration(at-r.since), signOfLife)
}

// SignOfLife says that a push of an access key was refused, or could not be
// verified: the guests behind it live, but are not heard. The alarms that the
// key has fed are not judged silent for it, for a day at most.
func (e *Engine) SignOfLife(now time.Time, access string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.keyNamed(access)
	if k == nil {
		return
	}
	at := e.instant(now)
	r := e.refusals[k.place]
	if r == nil {
		r = &refusal{}
		e.refusals[k.place] = r
	}
	if r.last != 0 && at-r.last < instant(refusedOnce) {
		return
	}
	r.last = at
	if r.since == 0 {
		r.since = at
		if r.told == 0 || at-r.told >= instant(tellAgain) { // some are taken and refused by turns
			r.told = at
			e.tellOfKey(now, k, "not heard: pushes of key "+access+" are refused or cannot be verified")
		}
	}
	if at-r.since > instant(signOfLife) && !r.over {
		r.over = true
		e.tellOfKey(now, k, fmt.Sprintf("judged silent again, if it is: pushes of key %s are refused for %s", access, signOfLife))
	}
	if r.over {
		return
	}
	k.heard = at
	for en := range e.fedWith(k) {
		if en.kind.rule.presence {
			en.beats.from = max(en.beats.from, at)
			if en.overdue {
				e.setOverdue(en, false)
				e.again(en)
			}
		}
	}
}

// otherStack says that a sample for an alarm is refused, since the key is of
// another stack. If it has fed the alarm before, its guest lives, though it is
// not heard: that is no silence of this alarm, for a day since its last sample.
func (p *push) otherStack(en *entry) {
	h, k := &en.beats, p.e.keyNamed(p.caller.Access)
	if k == nil || !k.fed(en.place) || !en.kind.rule.presence || p.at-h.last > instant(signOfLife) {
		return
	}
	if h.from <= h.last {
		p.e.tell(p.now, Event{Kind: Deafness, Project: en.project.id, Alarm: en.name,
			Summary: "not heard: pushes of key " + k.access + " are refused, as it is of another stack"})
	}
	h.from = max(h.from, p.at)
	if en.overdue {
		p.e.setOverdue(en, false)
		p.e.again(en)
	}
}

// tellOfKey tells the history of each presence alarm that a key has fed.
func (e *Engine) tellOfKey(now time.Time, k *key, text string) {
	for en := range e.fedWith(k) {
		if en.kind.rule.presence {
			e.tell(now, Event{Kind: Deafness, Project: en.project.id, Alarm: en.name, Summary: text})
		}
	}
}

// taken ends the refusal of a key, if there is one: a push has fed an alarm.
func (e *Engine) taken(k *key) {
	if r := e.refusals[k.place]; r != nil {
		r.since, r.over = 0, false
	}
}

// dropRefusal forgets the refusal of a key that is no more.
func (e *Engine) dropRefusal(k *key) {
	r := e.refusals[k.place]
	if r == nil {
		return
	}
	delete(e.refusals, k.place)
	delete(e.newRefused, k.access)
	if r.kept > 0 {
		e.forgotten = append(e.forgotten, k.access)
	}
}

// A Refused is an access key whose pushes are refused or cannot be verified,
// and that has fed alarms on heartbeats.
type Refused struct {
	Access string
	Since  time.Time // the first of them since a push was taken, but for times in which the server did not run
	Last   time.Time
	Until  time.Time // when its alarms may be judged silent all the same
	Over   bool      // they may
	Alarms []string  // PROJECT/NAME, some of them
}

// Refused lists the keys of which pushes were refused within the last hour,
// and none was taken since, the longest first.
func (e *Engine) Refused(now time.Time) []Refused {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.instant(now)
	var list []Refused
	for place, r := range e.refusals {
		if r.since == 0 || r.last == 0 || at-r.last > instant(refusedShown) {
			continue
		}
		k := e.keys.at(place)
		one := Refused{Access: k.access, Since: e.wall(r.since, now), Last: e.wall(r.last, now), Until: e.wall(r.since.plus(signOfLife), now), Over: r.over}
		for en := range e.fedWith(k) {
			if en.kind.rule.presence && len(one.Alarms) < refusedNames {
				one.Alarms = append(one.Alarms, en.project.id+"/"+en.name)
			}
		}
		if len(one.Alarms) > 0 {
			slices.Sort(one.Alarms)
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Refused) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Access, b.Access)) })
	return list
}

// noteRefusals has those stored that have ended, or last longer by a step.
func (e *Engine) noteRefusals(at instant, step time.Duration) {
	for place, r := range e.refusals {
		lasted := r.lasted(at)
		switch grown := lasted - r.kept; {
		case r.since == 0 && r.kept == 0:
			if at-r.told >= instant(tellAgain) {
				delete(e.refusals, place)
			}
		case grown < 0, grown > 0 && (grown >= step || lasted == signOfLife):
			r.kept = lasted
			e.newRefused[e.keys.at(place).access] = lasted
		}
	}
}

// saveRefused stores how long refusals have lasted.
func (e *Engine) saveRefused(ctx context.Context) error {
	e.mu.Lock()
	list := e.newRefused
	e.newRefused = map[string]time.Duration{}
	e.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := e.Store.SaveRefused(ctx, list)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.Copy(e.newRefused, list)
	return fmt.Errorf("store which keys are refused: %w", err)
}

// loadRefused restores refusals, of which the next refused push is one more.
func (e *Engine) loadRefused(ctx context.Context, now time.Time) error {
	list, err := e.Store.LoadRefused(ctx)
	if err != nil {
		return err
	}
	for access, lasted := range list {
		k := e.keyNamed(access)
		if k == nil {
			e.forgotten = append(e.forgotten, access)
			continue
		}
		e.refusals[k.place] = &refusal{since: e.instant(now) - instant(lasted), over: lasted >= signOfLife, kept: lasted}
	}
	return nil
}
