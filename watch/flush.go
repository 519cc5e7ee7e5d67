package watch

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	flushPiece    = 5_000       // rows of one transaction
	arrivalsEvery = time.Minute // last arrivals of presence alarms
	forgetEvery   = time.Hour   // keys that are not heard
)

// keepWindow notes that an alarm's window is to be flushed.
func (e *Engine) keepWindow(en *entry) {
	if !en.changed {
		en.changed = true
		e.changed = append(e.changed, en.place)
	}
}

// keepArrival notes that a presence alarm's arrivals are to be flushed: soon
// where they tell something new, else with those of the minute.
func (e *Engine) keepArrival(en *entry) {
	if en.urgent {
		en.urgent = false
		e.keepWindow(en)
	} else if !en.heard {
		en.heard = true
		e.heard = append(e.heard, en.place)
	}
}

// Flush stores the windows that changed, each FlushEvery, and once a minute the
// last arrivals of presence alarms. Between those times it does nothing.
func (e *Engine) Flush(ctx context.Context, now time.Time) error {
	e.mu.Lock()
	var entries []place
	if passed := now.Sub(e.flushed); passed >= e.FlushEvery || passed < 0 {
		entries, e.changed, e.flushed = e.changed, nil, now
	}
	if passed := now.Sub(e.arrivals); passed >= arrivalsEvery || passed < 0 {
		entries, e.heard, e.arrivals = append(entries, e.heard...), nil, now
		e.expireMetrics(now)
		e.expireMisroutes(now)
		e.noteRefusals(e.instant(now), refusedStep)
	}
	if passed := now.Sub(e.forgot); passed >= forgetEvery || passed < 0 {
		e.forgot = now
		e.forgetKeys(now)
	}
	keys := len(e.forgotten) + len(e.newRefused)
	e.mu.Unlock()
	if len(entries) == 0 && keys == 0 {
		return nil
	}
	return e.flush(ctx, entries, now)
}

// FlushAll stores all that changed.
func (e *Engine) FlushAll(ctx context.Context, now time.Time) error {
	e.mu.Lock()
	entries := append(e.changed, e.heard...)
	e.changed, e.heard = nil, nil
	e.noteRefusals(e.instant(now), 0)
	e.mu.Unlock()
	return e.flush(ctx, entries, now)
}

// flush stores alarms in the order in which they came to be, which is about that
// of the store: so it writes each of its pages once.
func (e *Engine) flush(ctx context.Context, entries []place, now time.Time) error {
	slices.Sort(entries)
	entries = slices.Compact(entries)
	err := e.forgetFed(ctx)
	if err == nil {
		err = e.saveFed(ctx)
	}
	if err == nil {
		err = e.saveRefused(ctx)
	}
	if err != nil {
		e.unflushed(entries)
		return err
	}
	for len(entries) > 0 {
		piece := entries[:min(flushPiece, len(entries))]
		if err := e.flushPiece(ctx, piece, now); err != nil {
			e.unflushed(entries)
			return fmt.Errorf("flush %d windows: %w", len(piece), err)
		}
		entries = entries[len(piece):]
	}
	return nil
}

// unflushed has entries flushed with the next.
func (e *Engine) unflushed(entries []place) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, at := range entries {
		if en := e.entries.at(at); en != nil {
			en.changed, en.heard = false, false
			e.keepWindow(en)
		}
	}
}

func (e *Engine) flushPiece(ctx context.Context, piece []place, now time.Time) error {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	kept := make([]Kept, 0, len(piece))
	for _, at := range piece {
		if en := e.entries.at(at); en != nil {
			en.changed, en.heard = false, false
			kept = append(kept, e.kept(en, now))
		}
	}
	e.mu.Unlock()
	if len(kept) == 0 {
		return nil
	}
	return e.Store.Flush(ctx, kept)
}

// kept is what a flush stores of an alarm.
func (e *Engine) kept(en *entry, now time.Time) Kept {
	k := Kept{AlarmID: en.id}
	p := packed{width: en.kind.rule.width, usual: en.usual, instance: en.instance, window: en.window}
	if en.beats.fed {
		k.Fed = e.wall(en.beats.last, now)
	}
	if en.beats.arrivals != nil {
		p.width, p.window = time.Second, en.beats.arrivals
	}
	// Rather older than they are than younger, but not for the nanoseconds between
	// which the clocks are read.
	parted := time.Duration(now.UnixNano() - int64(e.instant(now))).Round(time.Millisecond)
	p.shift = floorDiv(int64(parted), int64(p.width))
	k.Window = p.append(nil)
	return k
}

// restore sets what the store kept. The error is of its window, which is then
// empty.
func (en *entry) restore(k Kept, now time.Time) error {
	if k.State != "" {
		en.in, en.number = codeOf(k.State), int32(k.Number)
		if k.Reason != "" {
			en.told = &told{k.Reason, k.Data}
		}
	}
	if !k.Since.IsZero() {
		en.since = k.Since.UnixNano()
	}
	en.entered = instant(min(en.since, now.UnixNano())) // the clock may have been set back since
	en.skipRepeats(instant(now.UnixNano()))             // those missed while the server was away
	var p packed
	var err error
	if len(k.Window) > 0 {
		p, err = unpack(k.Window) // one that cannot be read is empty
	}
	if p.usual > 0 {
		en.usual = p.usual
	}
	en.instance = p.instance
	if !en.kind.rule.presence {
		if p.window != nil && p.width == en.kind.rule.width {
			en.window = p.window
		}
		return err
	}
	silent := k.State == Firing && k.judged()
	fed := k.Fed
	if fed.IsZero() {
		fed = en.kind.rule.fedBefore(k)
	}
	if !fed.IsZero() { // no later than now: the clock may have been set back since
		last := instant(min(fed.UnixNano(), now.UnixNano()))
		if silent { // for the same reason: it had been silent for so long
			last = min(last, instant(now.Add(-en.kind.rule.silence).UnixNano()))
		}
		en.beats.fed, en.beats.last = true, last
	}
	if !silent && en.beats.arrivals != nil && p.window != nil && p.width == time.Second {
		second := uint32(now.Unix())
		for _, b := range p.window.buckets {
			en.beats.arrivals.add(min(b.at, second), p.window.stat(b))
		}
	}
	return err
}

// forgetAhead drops the samples that are ahead at a start. If the clock was set
// back since, they have counted, and are not to count once more when it comes to
// their time again.
func (e *Engine) forgetAhead(en *entry, at instant) {
	if !en.kind.rule.presence && en.window.forgetAfter(uint32(at.bucket(en.kind.rule.width))) {
		e.keepWindow(en)
	}
}

// loadFed restores which key fed which alarms.
func (e *Engine) loadFed(ctx context.Context, now time.Time) error {
	fed, err := e.Store.LoadFed(ctx)
	if err != nil {
		return err
	}
	for access, ids := range fed {
		for _, id := range ids {
			if en := e.ofID(id); en != nil {
				k := e.keyOf(access)
				k.heard = e.instant(now) // or not long before
				pair(k, en)
			}
		}
	}
	return e.loadRefused(ctx, now)
}

// saveFed stores which key fed which alarms, as far as that is new.
func (e *Engine) saveFed(ctx context.Context) error {
	e.mu.Lock()
	fed := e.newFed
	if len(e.forgotten) > 0 { // since forgetFed, and perhaps come again: the next flush forgets them first
		e.mu.Unlock()
		return nil
	}
	e.newFed = map[string][]int64{}
	e.mu.Unlock()
	if len(fed) == 0 {
		return nil
	}
	err := e.Store.SaveFed(ctx, fed)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for access, ids := range fed {
		e.newFed[access] = append(ids, e.newFed[access]...)
	}
	return fmt.Errorf("store which alarms keys fed: %w", err)
}
