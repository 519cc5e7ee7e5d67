package watch

// looks is a heap of alarms by when they are to be looked at next.
type looks []*entry

// set gives an alarm its next look; never: none.
func (l *looks) set(en *entry, next instant) {
	if next == never {
		l.remove(en)
		return
	}
	if en.index < 0 {
		en.next, en.index = next, len(*l)
		*l = append(*l, en)
		l.up(en.index)
		return
	}
	before := en.next
	en.next = next
	if next < before {
		l.up(en.index)
	} else {
		l.down(en.index)
	}
}

func (l *looks) remove(en *entry) {
	i := en.index
	en.index, en.next = -1, never
	if i < 0 {
		return
	}
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	if i != last {
		(*l)[i], moved.index = moved, i
		l.up(i)
		l.down(moved.index)
	}
}

func (l *looks) up(i int) {
	h := *l
	en := h[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].next <= en.next {
			break
		}
		h[i], h[parent].index = h[parent], i
		i = parent
	}
	h[i], en.index = en, i
}

func (l *looks) down(i int) {
	h := *l
	en := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].next < h[child].next {
			child++
		}
		if en.next <= h[child].next {
			break
		}
		h[i], h[child].index = h[child], i
		i = child
	}
	h[i], en.index = en, i
}
