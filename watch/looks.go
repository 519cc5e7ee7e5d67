package watch

// looks is a heap of alarms by when they are to be looked at next. An alarm
// whose look is put off stays where it is, and finds its place when it comes
// up: so a guest that pushes costs nothing here, and items move without being
// looked at.
type looks struct {
	heap    heap
	entries *list[entry]
}

type heap []item

type item struct {
	at    instant
	place place
}

// arity of the heap: four items share a line of the cache.
const arity = 4

// set gives an alarm its next look; never: none.
func (l *looks) set(en *entry, next instant) {
	if en.next = next; next < en.queued {
		en.queued = next
		l.heap = append(l.heap, item{next, en.place})
		l.heap.up(len(l.heap) - 1)
	}
}

// due returns the next alarm to be looked at by then, or nil. It stays due
// until its next look is set, or it is taken.
func (l *looks) due(by instant) *entry {
	for len(l.heap) > 0 && l.heap[0].at <= by {
		top := &l.heap[0]
		en := l.entries.at(top.place)
		switch {
		case en == nil: // it is gone; another that has its place now is told from it by the time
			l.heap.pop()
		case top.at != en.queued, en.next == never: // a later one came before it, or none is wanted
			if top.at == en.queued {
				en.queued = never
			}
			l.heap.pop()
		case en.next > top.at:
			top.at, en.queued = en.next, en.next
			l.heap.down(0)
		default:
			return en
		}
	}
	return nil
}

// take takes the alarm that due returned.
func (l *looks) take(en *entry) {
	en.queued = never
	l.heap.pop()
}

func (l *heap) pop() {
	last := len(*l) - 1
	(*l)[0], (*l)[last] = (*l)[last], item{}
	*l = (*l)[:last]
	if last > 0 {
		l.down(0)
	}
}

func (l heap) up(i int) {
	moved := l[i]
	for i > 0 {
		parent := (i - 1) / arity
		if l[parent].at <= moved.at {
			break
		}
		l[i] = l[parent]
		i = parent
	}
	l[i] = moved
}

func (l heap) down(i int) {
	moved := l[i]
	for {
		least := arity*i + 1
		if least >= len(l) {
			break
		}
		for child := least + 1; child < min(arity*i+1+arity, len(l)); child++ {
			if l[child].at < l[least].at {
				least = child
			}
		}
		if moved.at <= l[least].at {
			break
		}
		l[i] = l[least]
		i = least
	}
	l[i] = moved
}
