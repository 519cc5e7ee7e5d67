// Package outbox brings the actions of alarms about: each runs once, or the
// history says why not. An action that a transition wants is a row of the
// store, written with the transition itself. A row's life is
//
//	wanted → claimed → looked → acting → acted → verifying → done
//
// and each arrow is durable before the next step is taken, so that a row that
// a dead process left says how far it had come. A row that was acting is
// looked at first: whether its action has happened is asked of the outside,
// never of memory, and where nobody can tell it is unknown.
//
// Messages (webhooks, Heat's signal URLs, notices to the operator) only tell;
// rough actions touch machines, and pass gates and budgets first.
package outbox

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Limits on what is under way at once. A slow receiver takes the places that a
// project has at its endpoint, a busy project those of the project, and leaves
// the others.
const (
	messages           = 64
	messagesOfEndpoint = 4
	messagesOfProject  = 16
	roughs             = 64

	page     = 5000             // rows looked at in one transaction
	lease    = 60 * time.Second // of a claim, renewed at a third of it
	deferral = 2 * time.Second  // of a row for which there is no place
	pause    = time.Second      // between looks at the store, if nobody wakes us
)

// Options are what an outbox works with. Store, Engine and Log must be set.
type Options struct {
	Store   Store
	Engine  Engine
	Log     *slog.Logger
	Witness Witness       // what the cloud knows; nil: it is not asked
	Owner   string        // of claims: differs between processes
	Grace   time.Duration // for what is under way when Run is to end; 0: 10 s
	Settings

	// Clock is the wall clock; nil: time.Now. For tests of clocks that are set.
	Clock func() time.Time
}

// Settings are what may change while an outbox runs.
type Settings struct {
	Actions    map[Kind]Action // a kind that is missing here is refused
	Gates      Gates
	DryRun     bool          // rough actions are refused, messages say that it is one
	RetryFor   time.Duration // calls to the cloud
	MessageFor time.Duration // how long a message is retried
}

// An Outbox works on the rows of its store. Its methods may be called at once.
type Outbox struct {
	Store    Store
	Engine   Engine
	Log      *slog.Logger
	Witness  Witness
	Owner    string
	Grace    time.Duration
	settings atomic.Pointer[Settings]
	now      func() time.Time

	wake     chan struct{}
	breakers breakers
	storms   storms
	deaf     bool // and the operator was told
	refused  refusals
	fair     fair

	begin sync.Mutex // held from the last look at budgets until acting is written

	mu        sync.Mutex
	clockSet  time.Time        // when it was, by itself, or Run began
	busy      map[string]*work // by key
	count     map[string]int   // of messages under way, by endpoint and by project
	suspended []int64          // suspensions for which guests are left out of storms
	counted   time.Time        // when they last were
	ended     map[Outcome]int
	hopeless  map[int64]bool // alarms of guests that were given up, until they are OK
	wg        sync.WaitGroup
}

// New returns an outbox that does nothing until Run.
func New(o Options) *Outbox {
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	box := &Outbox{
		Store: o.Store, Engine: o.Engine, Log: o.Log, Witness: o.Witness, Owner: o.Owner, Grace: o.Grace, now: o.Clock,
		wake: make(chan struct{}, 1), busy: map[string]*work{}, count: map[string]int{}, hopeless: map[int64]bool{}, ended: map[Outcome]int{},
	}
	box.settings.Store(&o.Settings)
	return box
}

// Set takes over other settings. What is under way goes on as it began; what is
// held is asked about anew.
func (o *Outbox) Set(ctx context.Context, s Settings) error {
	o.settings.Store(&s)
	err := o.Store.Rouse(ctx, "", o.now())
	o.Wake()
	return err
}

// Wake says that there may be new rows. It never waits.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx is done, and then waits for what is under way, but not
// long: what is cut off then is looked at by the next Run. Claims that a dead
// process left end first. The error is the store's, if its own cannot be ended.
func (o *Outbox) Run(ctx context.Context) error {
	if !o.takeOver(ctx) {
		return nil
	}
	working, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	last, at := o.now(), time.Now()
	o.mu.Lock()
	o.clockSet = last
	o.mu.Unlock()
	for ctx.Err() == nil {
		now := o.now()
		passed := time.Since(at)
		o.followClock(ctx, now, now.Round(0).Sub(last.Round(0))-passed)
		last, at = now, at.Add(passed)
		more, err := o.pass(ctx, working, now)
		if err != nil && ctx.Err() == nil {
			o.Log.Error("outbox cannot be read or written", "err", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-time.After(pause):
		}
	}
	return o.stop(working, cut)
}

// takeOver ends the claims of before, and has what was held asked about anew. A
// store that takes nothing yet, as of a full disk, is tried until it does.
// False: ctx is done.
func (o *Outbox) takeOver(ctx context.Context) bool {
	for ctx.Err() == nil {
		err := o.Store.Release(ctx)
		if err == nil {
			err = o.Store.Rouse(ctx, "", o.now())
		}
		if err == nil {
			err = o.recallGivenUp(ctx)
		}
		if err == nil {
			return true
		}
		o.Log.Error("no action is taken until the store takes what was done", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return false
}

// followClock makes all held rows due when the wall clock was set: their times
// mean nothing any more.
func (o *Outbox) followClock(ctx context.Context, now time.Time, step time.Duration) {
	if step.Abs() < 2*time.Second {
		return
	}
	o.mu.Lock()
	o.clockSet = now
	o.mu.Unlock()
	o.storms.follow(step)
	if err := o.Store.Rouse(ctx, "", now); err != nil {
		o.Log.Error("outbox cannot follow the clock", "step", step, "err", err)
	}
}

// stop waits for what is under way, cuts it off after the grace, and gives
// back what is still claimed.
func (o *Outbox) stop(ctx context.Context, cut context.CancelCauseFunc) error {
	ended := make(chan struct{})
	go func() { o.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(o.Grace):
		cut(errStopping)
		<-ended
	}
	return o.Store.Release(context.WithoutCancel(ctx))
}

// pass looks once at what is due: what gates hold is written down in one
// transaction, what may go is claimed and begun. It says whether more is due.
func (o *Outbox) pass(ctx, working context.Context, now time.Time) (more bool, err error) {
	if err := errors.Join(o.countOut(ctx, now), o.watchStorms(ctx, now), o.watchHearing(ctx, now), o.watchRefused(ctx, now)); err != nil {
		return false, err
	}
	look, err := o.lookout(ctx, now)
	if err != nil {
		return false, err
	}
	o.Store.Standstill(look.standstill())
	rows, err := o.Store.Due(ctx, now, page)
	if err != nil {
		return false, err
	}
	changes := make([]Change, 0, len(rows)+1)
	moved := len(rows) == page
	o.fair.order(rows)
	for i := range rows {
		change, err := o.take(ctx, working, look, &rows[i])
		if err != nil {
			return false, err
		}
		changes = append(changes, change...)
	}
	if len(look.events) > 0 {
		changes = append(changes, Change{Events: look.events})
	}
	if len(changes) == 0 {
		return false, nil
	}
	if _, err := o.Store.Update(ctx, changes...); err != nil {
		return false, err
	}
	o.written(changes)
	return moved, nil
}

// take begins a row that is due, or returns why not as changes.
func (o *Outbox) take(ctx, working context.Context, look *lookout, r *Row) ([]Change, error) {
	if o.has(r.Key) { // its lease is over, by a clock that was set ahead: it has gone on since it was read
		return nil, nil
	}
	if !r.Status.InFlight() {
		answer, err := look.ask(ctx, r)
		if err != nil {
			return nil, err
		}
		if answer.Verdict != Pass {
			return o.answered(look.now, *r, answer), nil
		}
	}
	w := &work{o: o, action: look.Actions[r.kind()], places: places(r)}
	if !o.reserve(r, w) {
		if r.Status.InFlight() {
			return nil, nil
		}
		held := *r
		held.Next = look.now.Add(deferral)
		return []Change{{Row: held, Owner: r.Claim}}, nil
	}
	claimed, ok, err := o.Store.Claim(ctx, r.ID, o.Owner, look.now, look.now.Add(lease))
	if err != nil || !ok {
		o.leave(r.Key, w)
		return nil, err
	}
	w.row = claimed
	if r.Rough && !r.Status.InFlight() {
		look.begun++
		o.fair.begins(r.Project, time.Now())
	}
	o.wg.Go(func() {
		w.run(working)
		o.leave(claimed.Key, w)
		o.Wake()
	})
	return nil, nil
}

// places are the names under which a row takes a place, and how many there
// are of each.
func places(r *Row) map[string]int {
	if r.Rough {
		return map[string]int{"rough": roughs}
	}
	return map[string]int{
		"messages":             messages,
		"project " + r.Project: messagesOfProject,
		"at " + r.Project + " " + endpointOf(r.Action): messagesOfEndpoint,
	}
}

// has says whether a row is worked on here.
func (o *Outbox) has(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy[key] != nil
}

func (o *Outbox) reserve(r *Row, w *work) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy[r.Key] != nil {
		return false
	}
	for name, limit := range w.places {
		if o.count[name] >= limit {
			return false
		}
	}
	for name := range w.places {
		o.count[name]++
	}
	o.busy[r.Key] = w
	return true
}

func (o *Outbox) leave(key string, w *work) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, key)
	for name := range w.places {
		if o.count[name]--; o.count[name] == 0 {
			delete(o.count, name)
		}
	}
}

// An Outcome is how actions of a kind have ended.
type Outcome struct {
	Kind   Kind // empty: nobody knows what it was to do
	Status Status
}

// Outcomes counts actions that have ended since the start.
func (o *Outbox) Outcomes() map[Outcome]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.ended)
}

// written is told of changes that the store has: it counts ends, and logs a
// line for each entry of the history.
func (o *Outbox) written(changes []Change) {
	for _, c := range changes {
		if c.Row.Key != "" && c.Row.Status.Ended() {
			o.mu.Lock()
			o.ended[Outcome{c.Row.kind(), c.Row.Status}]++
			o.mu.Unlock()
		}
		for _, e := range c.Events {
			o.log(e)
		}
	}
}

func (o *Outbox) log(e watch.Event) {
	o.Log.Info("action", "kind", e.Kind, "project", e.Project, "alarm", e.Alarm, "target", e.Target, "key", e.Key, "summary", e.Summary)
}
