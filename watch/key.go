package watch

import (
	"iter"
	"slices"
)

// A key is an access key, and the alarms that it fed: few, as a rule one, and
// many where the guests of a group share it.
type key struct {
	access  string
	few     []*entry
	many    map[*entry]struct{} // instead of few; nil: few
	refused instant             // first refused push since one was taken; 0: none
	told    instant             // when the history was last told of refused ones
}

// fewAlarms are looked through one by one.
const fewAlarms = 8

// add adds an alarm, and says whether it is new.
func (k *key) add(en *entry) bool {
	switch _, known := k.many[en]; {
	case known, slices.Contains(k.few, en):
		return false
	case k.many != nil:
		k.many[en] = struct{}{}
	default:
		k.few = append(k.few, en)
	}
	if len(k.few) > fewAlarms {
		k.many = make(map[*entry]struct{}, len(k.few))
		for _, en := range k.few {
			k.many[en] = struct{}{}
		}
		k.few = nil
	}
	return true
}

func (k *key) remove(en *entry) {
	delete(k.many, en)
	k.few = slices.DeleteFunc(k.few, func(other *entry) bool { return other == en })
}

func (k *key) empty() bool { return len(k.few) == 0 && len(k.many) == 0 }

// alarms are those that the key fed.
func (k *key) alarms() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, en := range k.few {
			if !yield(en) {
				return
			}
		}
		for en := range k.many {
			if !yield(en) {
				return
			}
		}
	}
}
