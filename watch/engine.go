package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options are what an Engine is made of. The zero value works, in memory.
type Options struct {
	Store            Store                   // nil: a Memory
	Log              *slog.Logger            // nil: none
	AlarmsPerProject int                     // 0: 10,000; rules and stacks are not counted
	SeriesPerProject int                     // metrics kept for people; 0: 1,000
	Series           int                     // of all projects; 0: 20,000
	Retention        time.Duration           // of those metrics; 0: 3 h
	FlushEvery       time.Duration           // of changed windows; 0: 10 s
	OnTick           func(TickResult, error) // called by Run after each tick; nil: nobody
	OnBatch          func(Batch)             // called once a batch of Run or SetState is durable; it must not wait; nil: nobody

	// Monotonic reads the clock that nobody sets, as the time since any fixed
	// moment. nil: that in the time itself, as time.Now gives it. For tests of
	// clocks that are set.
	Monotonic func(now time.Time) time.Duration
	Clock     func() time.Time // that Run reads; nil: time.Now. For the same tests.
}

// Limits that Options leaves to their defaults.
const (
	defaultAlarms     = 10_000
	defaultSeries     = 1_000
	defaultAllSeries  = 20_000
	defaultRetention  = 3 * time.Hour
	defaultFlushEvery = 10 * time.Second
)

// An Engine keeps alarms, takes samples and judges. Start comes first; its
// methods may be called at once from everywhere.
type Engine struct {
	Options
	origin  time.Time     // when it started
	started time.Duration // the same, by Monotonic

	// change is held by what changes definitions or states from before it is
	// stored until it is visible; mu guards everything below. change is locked
	// first; nobody waits for the store with mu locked.
	change turn
	mu     sync.Mutex

	projects  map[string]*project
	entries   list[entry]
	byID      map[int64]place
	keys      list[key]
	access    names // of keys
	kinds     map[string]*kind
	looks     looks
	late      map[place]struct{} // those that are overdue
	totals    Totals
	newFed    map[string][]int64 // access keys and alarms they fed first, to be flushed
	forgotten []string           // access keys that the store is to forget
	turns     turns              // to be looked at in the next tick
	changed   []place            // windows, since the last flush
	heard     []place            // arrivals, since the last flush of those
	series    int                // of all projects
	hearing   hearing
	storms    storms
	told      []Event // to be stored with the next batch
	misroute  map[misrouteKey]*Misroute
	counts    Counts
	scratch   []byte
	flushed   time.Time // when the last flush began
	arrivals  time.Time // when the last flush of arrivals began
	forgot    time.Time // when keys were last forgotten

	refusals   map[place]*refusal       // by key
	newRefused map[string]time.Duration // how long they have lasted, to be flushed
}

// A turn is a lock that is held while the store writes. Unlike for a mutex,
// time passes in a test's bubble for who waits for it.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// A project is what belongs to one of a cloud's.
type project struct {
	id     string
	alarms names
	routes map[string]*route // by namespace and metric
	series map[string]*series
	storms storms
	dirty  queue

	api, buckets int // alarms that count for the limit, and how many buckets their windows may have

	allowance allowance

	pairs    int  // of keys and alarms that they fed
	manyKeys bool // that there are too many was told

	misroutes int // of the project that are remembered
}

// New returns an Engine without alarms.
func New(o Options) *Engine {
	if o.Store == nil {
		o.Store = NewMemory()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &Engine{
		Options:  o,
		change:   make(turn, 1),
		projects: map[string]*project{},
		byID:     map[int64]place{},
		access:   names{},
		kinds:    map[string]*kind{},
		misroute: map[misrouteKey]*Misroute{},
		late:     map[place]struct{}{},
		newFed:   map[string][]int64{},

		refusals:   map[place]*refusal{},
		newRefused: map[string]time.Duration{},
	}
	e.looks.entries, e.turns.entries = &e.entries, &e.entries
	e.limit(o)
	return e
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Limit takes over what bounds the engine while it runs: AlarmsPerProject,
// SeriesPerProject, Series, Retention and FlushEvery, and nothing else of o.
func (e *Engine) Limit(o Options) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.limit(o)
}

func (e *Engine) limit(o Options) {
	e.AlarmsPerProject = orElse(o.AlarmsPerProject, defaultAlarms)
	e.SeriesPerProject = orElse(o.SeriesPerProject, defaultSeries)
	e.Series = orElse(o.Series, defaultAllSeries)
	e.Retention = orElse(o.Retention, defaultRetention)
	e.FlushEvery = orElse(o.FlushEvery, defaultFlushEvery)
}

// Start loads every alarm from the store. The engine listens from now.
func (e *Engine) Start(ctx context.Context, now time.Time) error {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.origin, e.flushed, e.arrivals = now, now, now
	if e.Monotonic == nil {
		e.Monotonic = func(t time.Time) time.Duration { return t.Sub(now) }
	}
	e.started = e.Monotonic(now)
	e.hearing = hearing{since: e.instant(now), at: wallOf(now), wall: wallOf(now), tick: e.instant(now)}
	var damaged []error
	err := e.Store.Load(ctx, func(a Alarm, k Kept) error {
		en := e.insert(a)
		e.totals.count(en, -1)
		if err := en.restore(k, now); err != nil {
			damaged = append(damaged, fmt.Errorf("%s/%s: %w", a.Project, a.Name, err))
		}
		e.totals.count(en, 1)
		e.forgetAhead(en, e.hearing.since)
		e.begin(en, now)
		return nil
	})
	if err != nil {
		return err
	}
	if len(damaged) > 0 {
		e.Log.Warn("windows cannot be read: their alarms begin with empty ones", "alarms", len(damaged), "first", damaged[0])
	}
	if err := e.loadFed(ctx, now); err != nil {
		return err
	}
	e.tell(now, Event{Kind: Deafness, Summary: "started, and listens from now"})
	return nil
}

// instant is a time by the clock that nobody sets.
func (e *Engine) instant(now time.Time) instant {
	return instant(e.origin.UnixNano()).plus(e.Monotonic(now) - e.started)
}

// wall is when an instant was or will be, as the clock goes now.
func (e *Engine) wall(i instant, now time.Time) time.Time {
	if i == never {
		return time.Time{}
	}
	return wallOf(now).Add(time.Duration(i - e.instant(now)))
}

// wallOf is a time without its monotonic reading.
func wallOf(t time.Time) time.Time { return t.Round(0) }

// Run ticks each second and flushes, until ctx is done; then it flushes all.
func (e *Engine) Run(ctx context.Context) {
	flusher := make(chan struct{})
	go func() {
		defer close(flusher)
		e.runFlush(ctx)
	}()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			e.tickAll(ctx)
		}
	}
	<-flusher
	if err := e.FlushAll(context.WithoutCancel(ctx), e.Clock()); err != nil {
		e.Log.Warn("windows not flushed at the end", "err", err)
	}
}

// tickAll ticks until nothing is due.
func (e *Engine) tickAll(ctx context.Context) {
	for ctx.Err() == nil {
		res, err := e.Tick(ctx, e.Clock())
		if e.OnTick != nil {
			e.OnTick(res, err)
		}
		if err != nil {
			e.Log.Error("no state changes while the store does not take them", "err", err)
			return
		}
		if e.OnBatch != nil && !res.Batch.Empty() {
			e.OnBatch(res.Batch)
		}
		if !res.More {
			return
		}
	}
}

func (e *Engine) runFlush(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := e.Flush(ctx, e.Clock()); err != nil {
				e.Log.Warn("windows not flushed", "err", err)
			}
		}
	}
}

// insert gives an alarm its place, in memory.
func (e *Engine) insert(a Alarm) *entry {
	p := e.project(a.Project)
	en := &entry{project: p, next: never, queued: never, cell: -1}
	e.set(en, a)
	en.clear()
	en.place = e.entries.add(en)
	p.alarms.add(a.Name, en.place)
	e.byID[a.ID] = en.place
	en.limited(1)
	e.addRoute(en)
	e.totals.count(en, 1)
	return en
}

// remove takes an alarm's place away.
func (e *Engine) remove(en *entry) {
	e.removeRoute(en)
	e.totals.count(en, -1)
	e.setOverdue(en, false)
	e.alive(en, -1)
	e.unshare(en.kind)
	en.next = never
	en.project.alarms.remove(en.name, en.place, e.nameOf)
	delete(e.byID, en.id)
	e.entries.remove(en.place)
	en.limited(-1)
	for at := range en.keys() {
		en.project.pairs--
		if k := e.keys.at(at); k.remove(en.place) {
			e.dropKey(k)
		}
	}
	en.gone = true
	e.dropProject(en.project)
}

func (e *Engine) project(id string) *project {
	p := e.projects[id]
	if p == nil {
		p = &project{id: id, alarms: names{}, routes: map[string]*route{}, series: map[string]*series{}}
		e.projects[id] = p
	}
	return p
}

// alarm is one of a project by its name, or nil; p may be nil too.
func (e *Engine) alarm(p *project, name string) *entry {
	if p == nil {
		return nil
	}
	return e.entries.at(p.alarms.find(name, e.nameOf))
}

// ofID is the alarm of an ID, or nil.
func (e *Engine) ofID(id int64) *entry { return e.entries.at(e.byID[id]) }

func (e *Engine) nameOf(at place) string { return e.entries.at(at).name }

// dropProject forgets a project that has nothing any more.
func (e *Engine) dropProject(p *project) {
	if len(p.alarms) == 0 && len(p.series) == 0 {
		delete(e.projects, p.id)
	}
}

// tell remembers an event for the next batch.
func (e *Engine) tell(now time.Time, event Event) {
	event.At = wallOf(now)
	e.told = append(e.told, event)
	if len(e.told) >= 2*mostTold { // the store is away: the newest count
		e.told = slices.Delete(e.told, 0, len(e.told)-mostTold)
	}
}

const mostTold = 1_000
