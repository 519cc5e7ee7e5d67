package watch

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// A key is an access key, and the alarms that it fed: as a rule one, and many
// where the guests of a group share it.
type key struct {
	access string
	place  place
	one    place
	many   map[place]struct{} // instead of one; nil: one
	heard  instant            // last push, taken or refused, that told of its alarms
}

// keyNamed is the key of an id, or nil.
func (e *Engine) keyNamed(access string) *key {
	return e.keys.at(e.access.find(access, e.accessOf))
}

func (e *Engine) accessOf(at place) string { return e.keys.at(at).access }

// Keys lists the access keys that have fed alarms, in no order.
func (e *Engine) Keys() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []string
	for k := range e.keys.each() {
		list = append(list, k.access)
	}
	return list
}

// keyOf is the key of an id, which is made if there was none.
func (e *Engine) keyOf(access string) *key {
	k := e.keyNamed(access)
	if k == nil {
		k = &key{access: access}
		k.place = e.keys.add(k)
		e.access.add(access, k.place)
	}
	return k
}

func (e *Engine) dropKey(k *key) {
	e.dropRefusal(k)
	e.access.remove(k.access, k.place, e.accessOf)
	e.keys.remove(k.place)
}

// pair notes that a key feeds an alarm, and says whether that is new.
func pair(k *key, en *entry) bool {
	if !k.add(en.place) {
		return false
	}
	en.project.pairs++
	if en.key != 0 {
		if en.others == nil {
			en.others = map[place]struct{}{}
		}
		en.others[en.key] = struct{}{}
	}
	en.key = k.place
	return true
}

// add adds an alarm, and says whether it is new.
func (k *key) add(at place) bool {
	switch {
	case k.fed(at):
		return false
	case k.many != nil:
		k.many[at] = struct{}{}
	case k.one != 0:
		k.many = map[place]struct{}{k.one: {}, at: {}}
		k.one = 0
	default:
		k.one = at
	}
	return true
}

// fed says whether the key fed an alarm.
func (k *key) fed(at place) bool {
	_, many := k.many[at]
	return many || k.one == at
}

// remove takes an alarm away, and says whether it was the last.
func (k *key) remove(at place) bool {
	if delete(k.many, at); k.one == at {
		k.one = 0
	}
	return k.one == 0 && len(k.many) == 0
}

// fedWith are the alarms that a key fed.
func (e *Engine) fedWith(k *key) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if k.one != 0 {
			yield(e.entries.at(k.one))
			return
		}
		for at := range k.many {
			if !yield(e.entries.at(at)) {
				return
			}
		}
	}
}

// keys are those that fed an alarm.
func (en *entry) keys() iter.Seq[place] {
	return func(yield func(place) bool) {
		if en.key != 0 && !yield(en.key) {
			return
		}
		for at := range en.others {
			if !yield(at) {
				return
			}
		}
	}
}

// keysOfAlarm is how many keys are remembered for each alarm that a project may
// have, on average: more than are in use, though there may be one for each guest
// of a group.
const keysOfAlarm = 16

// roomForKeys says whether one key more may be remembered to have fed an alarm of
// a project. Where it may not, its refused pushes will be no sign of life.
func (e *Engine) roomForKeys(p *project, now time.Time) bool {
	most := keysOfAlarm * max(e.AlarmsPerProject, len(p.alarms))
	if p.pairs < most {
		return true
	}
	if !p.manyKeys {
		p.manyKeys = true
		e.tell(now, Event{Kind: Deafness, Project: p.id, Summary: fmt.Sprintf(
			"more than %d pairs of an access key and an alarm that it feeds: of others a refused push will not count as a sign of life", most)})
	}
	return false
}

// forgetKey takes a key away from those that fed an alarm.
func (en *entry) forgetKey(at place) {
	en.project.pairs--
	delete(en.others, at)
	if en.key != at {
		return
	}
	en.key = 0
	for other := range en.others {
		en.key = other
		delete(en.others, other)
		return
	}
}

// forgetKeys forgets the keys that have not been heard for a day, and for as
// long as the alarms that they fed may be silent: by then those alarms do not
// depend on them. Keys are made for each new server, and few are used for long.
func (e *Engine) forgetKeys(now time.Time) {
	at := e.instant(now)
	for k := range e.keys.each() {
		quiet := at - k.heard - instant(signOfLife)
		if quiet <= 0 || quiet <= e.silence(k) {
			continue
		}
		for en := range e.fedWith(k) {
			en.forgetKey(k.place)
		}
		e.dropKey(k)
		delete(e.newFed, k.access)
		e.forgotten = append(e.forgotten, k.access)
	}
}

// silence is the longest that any of a key's alarms allows.
func (e *Engine) silence(k *key) (longest instant) {
	for en := range e.fedWith(k) {
		longest = max(longest, instant(en.kind.rule.silence))
	}
	return longest
}

// forgetFed has the store forget those keys. It comes before saveFed, so that one
// that has come again is there again.
func (e *Engine) forgetFed(ctx context.Context) error {
	e.mu.Lock()
	list := e.forgotten
	e.forgotten = nil
	e.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if err := e.Store.ForgetFed(ctx, list); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.forgotten = append(e.forgotten, list...)
		return fmt.Errorf("forget keys that are not heard: %w", err)
	}
	return nil
}
