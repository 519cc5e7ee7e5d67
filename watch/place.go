package watch

import (
	"hash/maphash"
	"iter"
)

// A place is where an alarm or a key is in the list of all, from 1. What there is
// for each alarm refers to others by their places: the collector follows each
// pointer that it comes upon, and those in maps lead it through a large memory
// in no order, which is most of what collecting costs.
type place uint32

// A list has what it holds in the order in which it came, but that places which
// are free are taken first.
type list[T any] struct {
	all  []*T // the first is nil: no place is 0
	free []place
}

func (l *list[T]) add(v *T) place {
	if n := len(l.free); n > 0 {
		at := l.free[n-1]
		l.free = l.free[:n-1]
		l.all[at] = v
		return at
	}
	if len(l.all) == 0 {
		l.all = append(l.all, nil)
	}
	l.all = append(l.all, v)
	return place(len(l.all) - 1)
}

// at is what has a place, or nil.
func (l *list[T]) at(p place) *T {
	if p == 0 {
		return nil
	}
	return l.all[p]
}

// remove frees a place. Who still knows it may find something else there.
func (l *list[T]) remove(p place) {
	l.all[p] = nil
	l.free = append(l.free, p)
}

func (l *list[T]) len() int { return max(0, len(l.all)-1-len(l.free)) }

func (l *list[T]) each() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, v := range l.all {
			if v != nil && !yield(v) {
				return
			}
		}
	}
}

// names finds places by names, which it does not hold: what has a place says its
// name. The key is the name's hash, or the next that was free.
type names map[uint32]place

var seed = maphash.MakeSeed()

func hashOf(name string) uint32 { return uint32(maphash.String(seed, name)) }

func (n names) find(name string, nameOf func(place) string) place {
	for h := hashOf(name); ; h++ {
		if at := n[h]; at == 0 || nameOf(at) == name {
			return at
		}
	}
}

func (n names) add(name string, at place) {
	h := hashOf(name)
	for n[h] != 0 {
		h++
	}
	n[h] = at
}

// remove forgets the name of a place. Those that had to stand behind it move up.
func (n names) remove(name string, at place, nameOf func(place) string) {
	gap := hashOf(name)
	for n[gap] != at {
		gap++
	}
	for h := gap + 1; n[h] != 0; h++ {
		if own := hashOf(nameOf(n[h])); gap-own < h-own { // the gap is no farther from where it belongs
			n[gap], gap = n[h], h
		}
	}
	delete(n, gap)
}
