package watch

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// A key is an access key, and the alarms that it fed: as a rule one, and many
// where the guests of a group share it.
type key struct {
	access  string
	one     *entry
	many    map[*entry]struct{} // instead of one; nil: one
	refused instant             // first refused push since one was taken; 0: none
	told    instant             // when the history was last told of refused ones
	heard   instant             // last push, taken or refused, that told of its alarms
}

// add adds an alarm, and says whether it is new.
func (k *key) add(en *entry) bool {
	switch _, known := k.many[en]; {
	case known, k.one == en:
		return false
	case k.many != nil:
		k.many[en] = struct{}{}
	case k.one != nil:
		k.many = map[*entry]struct{}{k.one: {}, en: {}}
		k.one = nil
	default:
		k.one = en
	}
	return true
}

func (k *key) remove(en *entry) {
	if delete(k.many, en); k.one == en {
		k.one = nil
	}
}

func (k *key) empty() bool { return k.one == nil && len(k.many) == 0 }

// alarms are those that the key fed.
func (k *key) alarms() iter.Seq[*entry] {
	if k.one != nil {
		return func(yield func(*entry) bool) { yield(k.one) }
	}
	return maps.Keys(k.many)
}

// forgetKeys forgets the keys that have not been heard for a day, and for as
// long as the alarms that they fed may be silent: by then those alarms do not
// depend on them. Keys are made for each new server, and few are used for long.
func (e *Engine) forgetKeys(now time.Time) {
	at := e.instant(now)
	for access, k := range e.keys {
		quiet := at - k.heard - instant(signOfLife)
		if quiet <= 0 || quiet <= k.silence() {
			continue
		}
		delete(e.keys, access)
		delete(e.newFed, access)
		for en := range k.alarms() {
			en.keys = slices.DeleteFunc(en.keys, func(other *key) bool { return other == k })
		}
		e.forgotten = append(e.forgotten, access)
	}
}

// silence is the longest that any of a key's alarms allows.
func (k *key) silence() (longest instant) {
	for en := range k.alarms() {
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
