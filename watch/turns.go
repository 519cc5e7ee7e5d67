package watch

import "slices"

// turns are alarms that are to be looked at as soon as can be. Their projects
// take turns, of one alarm each: so none waits for all that another has.
type turns struct {
	entries     *list[entry]
	first, last *project // that have some
}

// queue is what a project has in turns.
type queue struct {
	places []place
	taken  int // of places
	after  *project
}

// add adds an alarm, unless it is there.
func (t *turns) add(en *entry) {
	if en.dirty || en.gone {
		return
	}
	en.dirty = true
	p := en.project
	if len(p.dirty.places) == 0 {
		t.push(p)
	}
	p.dirty.places = append(p.dirty.places, en.place)
}

func (t *turns) push(p *project) {
	if t.last == nil {
		t.first = p
	} else {
		t.last.dirty.after = p
	}
	t.last = p
}

func (t *turns) empty() bool { return t.first == nil }

// next takes the alarm whose turn it is; nil: there is none.
func (t *turns) next() *entry {
	for t.first != nil {
		p := t.first
		q := &p.dirty
		if t.first = q.after; t.first == nil {
			t.last = nil
		}
		q.after = nil
		en := t.entries.at(q.places[q.taken])
		if q.taken++; 2*q.taken >= len(q.places) { // one that is never empty does not grow for ever
			q.places, q.taken = slices.Delete(q.places, 0, q.taken), 0
		}
		if len(q.places) > 0 {
			t.push(p)
		}
		if en != nil && en.dirty { // else it is gone, and another may have its place
			en.dirty = false
			return en
		}
	}
	return nil
}
