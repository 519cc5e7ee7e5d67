package store

import (
	"context"
	"database/sql"
	"math"
	"sync"

	"github.com/cfn-agent/cfn-agent/watch"
)

const loadAlarms = "SELECT id, " + alarmColumns + `, state, number, since, reason, data
	FROM alarm JOIN state ON alarm_id = id WHERE id BETWEEN ? AND ? ORDER BY id`

// loaders is how many readers share the load: most of it is the work of one
// processor for each.
const loaders = 2

// Load calls f with every alarm, its state and its window, one at a time in no
// order, and stops with f's error.
func (s *Store) Load(ctx context.Context, f func(watch.Alarm, watch.Kept) error) error {
	var last int64
	err := s.readers.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM alarm").Scan(&last)
	if err != nil {
		return s.wrap("read alarms", err)
	}
	windows, err := readOnly(s.path+windowSuffix, loaders)
	if err != nil {
		return s.wrap("read windows", err)
	}
	defer windows.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l := load{s: s, windows: windows, f: f, stop: stop}
	var all sync.WaitGroup
	for i := range int64(loaders) {
		from, to := last*i/loaders+1, last*(i+1)/loaders
		if i == loaders-1 {
			to = math.MaxInt64 // windows of alarms that are gone may be there
		}
		all.Go(func() { l.part(ctx, from, to) })
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.wrap("forget windows", s.deleteWindows(ctx, l.orphans))
}

// A load is shared by its readers.
type load struct {
	s       *Store
	windows *sql.DB
	stop    context.CancelCauseFunc

	mu      sync.Mutex // of f and what follows
	f       func(watch.Alarm, watch.Kept) error
	orphans []int64
}

// part loads the alarms of a range of ids, or stops the load.
func (l *load) part(ctx context.Context, from, to int64) {
	windows := walkWindows(ctx, l.windows, from, to)
	defer windows.close()
	words := &words{known: map[string]string{}}
	var failed error
	err := each(ctx, l.s.readers, func(r *row) error {
		a := readAlarm(r, words)
		k := watch.Kept{AlarmID: a.ID, State: watch.State(words.share(r)), Number: int(r.number()), Since: r.time(), Reason: r.text(), Data: r.raw()}
		if r.err != nil {
			return nil // each tells
		}
		windows.find(&k)
		l.mu.Lock()
		defer l.mu.Unlock()
		failed = l.f(a, k)
		return failed
	}, loadAlarms, from, to)
	switch {
	case failed != nil:
		l.stop(failed)
	case err != nil:
		l.stop(l.s.wrap("read alarms", err))
	default:
		windows.find(&watch.Kept{AlarmID: to})
	}
	if windows.err != nil && ctx.Err() == nil {
		l.s.log.Warn("windows are not readable: their alarms begin with empty ones", "err", windows.err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphans = append(l.orphans, windows.orphans...)
}
