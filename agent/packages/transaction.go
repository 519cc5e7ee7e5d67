package packages

import "context"

// fulfil installs what is missing: one transaction for what is to be
// installed or upgraded, one for what is to be downgraded, and one for each
// whole wish, since what such a one changed shows only by itself.
func (h *host) fulfil(ctx context.Context, m manager, wishes []*wish) error {
	if err := m.prepare(ctx, wishes); err != nil {
		return err
	}
	for _, w := range wishes {
		w.had = w.has
	}
	var up, down, whole []*wish
	for _, w := range open(wishes) {
		switch {
		case w.whole:
			whole = append(whole, w)
		case w.down:
			down = append(down, w)
		default:
			up = append(up, w)
		}
	}
	if err := settle(ctx, m, up, false); err != nil {
		return err
	}
	if err := settle(ctx, m, down, true); err != nil {
		return err
	}
	return each(ctx, m, whole, false)
}

// settle tries a batch. Of one that fails it leaves out what is not available
// and tries the rest once more; what is then still missing gets an attempt of
// its own, so that one bad package keeps no other from being installed.
func settle(ctx context.Context, m manager, batch []*wish, downgrade bool) error {
	if len(batch) < 2 {
		return each(ctx, m, batch, downgrade)
	}
	a, err := try(ctx, m, batch, downgrade)
	if err != nil {
		return err
	}
	left := giveUp(m, a, open(batch))
	if len(left) > 1 && len(left) < len(batch) && a.failed {
		if a, err = try(ctx, m, left, downgrade); err != nil {
			return err
		}
		left = giveUp(m, a, open(left))
	}
	return each(ctx, m, left, downgrade)
}

// each gives every wish an attempt of its own.
func each(ctx context.Context, m manager, wishes []*wish, downgrade bool) error {
	for _, w := range wishes {
		a, err := try(ctx, m, []*wish{w}, downgrade)
		if err != nil {
			return err
		}
		if left := giveUp(m, a, open([]*wish{w})); len(left) > 0 {
			w.err = a.reason(w)
		}
		if a.all != "" {
			fail(open(wishes), a.all)
			return nil
		}
	}
	return nil
}

// try runs one transaction and asks the database what came of it.
func try(ctx context.Context, m manager, batch []*wish, downgrade bool) (attempt, error) {
	a, err := m.install(ctx, batch, downgrade)
	if err != nil {
		return a, err
	}
	for _, w := range batch {
		w.here = w.whole && !a.failed
	}
	return a, m.look(ctx, batch)
}

// giveUp notes which wishes can't be fulfilled after an attempt, and returns
// the others.
func giveUp(m manager, a attempt, wishes []*wish) []*wish {
	for _, w := range wishes {
		switch line := missing(m, a, w); {
		case line != "" && a.hint != "":
			w.err = line + "; " + a.hint
		case line != "":
			w.err = line
		case a.all != "":
			w.err = a.all
		}
	}
	return open(wishes)
}

// missing returns the line with which the tool says that there is no such
// package, empty when it does not.
func missing(m manager, a attempt, w *wish) string {
	if line := says(a.output, m.unavailable(), w.spec); line != "" {
		return line
	}
	return says(a.output, m.unavailable(), w.target)
}

// reason says why an attempt did not fulfil a wish.
func (a attempt) reason(w *wish) string {
	if !a.failed {
		return "the package manager reported success, but it is not installed"
	}
	if a.cause != "" {
		return a.cause
	}
	return lastError(a.output, w.target)
}
