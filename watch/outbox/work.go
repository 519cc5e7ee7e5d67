package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// work is one row in the hands of this process. Its steps are taken one after
// the other, each when the one before is durable.
type work struct {
	o      *Outbox
	row    Row
	action Action
	places map[string]int
	lost   bool // another has the row, or it cannot be written: hands off
}

// run takes steps until the row has ended, waits, or is lost.
func (w *work) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewed := make(chan struct{})
	id := w.row.ID
	go func() { w.renew(ctx, id, cancel); close(renewed) }()
	defer func() { cancel(); <-renewed }()
	for !w.lost && ctx.Err() == nil && w.row.Claim != "" {
		switch w.row.Status {
		case Claimed:
			w.look(ctx)
		case Looked:
			w.act(ctx)
		case Acting:
			w.recover(ctx)
		case Acted, Verifying:
			w.verify(ctx)
		default:
			return
		}
	}
}

// renew keeps the claim while the row is worked on, and ends the work when the
// claim is lost.
func (w *work) renew(ctx context.Context, id int64, lost context.CancelFunc) {
	ticker := time.NewTicker(lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			ours, err := w.o.Store.Renew(ctx, id, w.o.Owner, w.o.now().Add(lease))
			if err == nil && !ours {
				w.o.Log.Warn("claim lost", "row", id)
				lost()
				return
			}
		}
	}
}

// save makes the row durable as it is now, with what the history shall say.
func (w *work) save(ctx context.Context, changes ...Change) bool {
	lost, err := w.o.Store.Update(context.WithoutCancel(ctx), changes...)
	if err != nil {
		w.o.Log.Error("outbox row cannot be written", "key", w.row.Key, "status", w.row.Status, "err", err)
	}
	if err != nil || len(lost) > 0 {
		return false
	}
	w.o.written(changes)
	return true
}

// keep is save for an answer that must not be forgotten: it is tried until
// the store takes it, or the server stops; then the row is looked at again.
func (w *work) keep(ctx context.Context, changes ...Change) bool {
	for !w.save(ctx, changes...) {
		ours, err := w.o.Store.Renew(context.WithoutCancel(ctx), w.row.ID, w.o.Owner, w.o.now().Add(lease))
		if err == nil && !ours {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
	return true
}

// step is the row with one step more.
func (w *work) step(s Status, a Answer) Row {
	r := w.row
	r.Status = s
	if a.Baseline != nil {
		r.Baseline = a.Baseline
	}
	r.note(Step{At: w.o.now(), Status: s, HTTP: a.HTTP, Request: a.Request, Text: a.Text})
	return r
}

// put writes the row as it shall be, and works on with it. A row that ends or
// waits is given back.
func (w *work) put(ctx context.Context, r Row, events ...watch.Event) {
	if s := r.Status; s.Ended() || s == Held || s == Failed {
		r.Claim, r.Lease = "", time.Time{}
	}
	changes := []Change{{Row: r, Owner: w.o.Owner, Events: events}}
	if r.Status.Ended() {
		changes = append(changes, w.o.tellOfEnd(r)...)
	}
	write := w.save
	if w.row.Status == Acting {
		write = w.keep
	}
	w.lost = !write(ctx, changes...)
	w.row = r
}

// look asks whether the action is still to be done, and takes the baseline. A
// message has nothing to look at, and a row without an action ends here.
func (w *work) look(ctx context.Context) {
	if w.action == nil {
		w.end(ctx, Refused, Answer{Text: noAction(w.row.Action)})
		return
	}
	if !w.row.Rough {
		w.row.Status = Looked
		return
	}
	sight, err := w.action.Look(ctx, w.row)
	if err != nil {
		w.failed(ctx, Answer{}, &Failure{Err: err, Fate: Again})
		return
	}
	w.saw(ctx, sight)
}

// saw goes on from what Look saw of a row that is not acting.
func (w *work) saw(ctx context.Context, s Sight) {
	a := Answer{Baseline: s.Baseline, Text: s.Text}
	switch s.Verdict {
	case Go:
		w.put(ctx, w.step(Looked, a))
	case Already:
		w.put(ctx, w.step(Acted, a))
	case Wait:
		w.wait(ctx, Held, s)
	case Lost:
		w.end(ctx, Unknown, a)
	default:
		w.end(ctx, Refused, a)
	}
}

// recover takes up a row that was acting when its server died.
func (w *work) recover(ctx context.Context) {
	if w.action == nil {
		w.end(ctx, Unknown, Answer{Text: "broke off in the middle, and " + noAction(w.row.Action)})
		return
	}
	sight, err := w.action.Look(ctx, w.row)
	if err != nil {
		w.wait(ctx, Acting, Sight{After: 10 * time.Second, Text: err.Error()})
		return
	}
	switch sight.Verdict {
	case Go:
		r := w.step(Looked, Answer{Baseline: sight.Baseline, Text: "broke off: once more"})
		w.put(ctx, r, event(r, watch.Action, w.o.now(), "broke off in the middle, nothing tells that it came about: once more"))
	case Wait:
		w.wait(ctx, Acting, sight)
	default:
		w.saw(ctx, sight)
	}
}

// wait gives the row back until later.
func (w *work) wait(ctx context.Context, s Status, sight Sight) {
	r := w.step(s, Answer{Baseline: sight.Baseline, Text: sight.Text})
	r.Next = w.o.now().Add(max(sight.After, time.Second))
	r.Why = sight.Text
	r.Claim, r.Lease = "", time.Time{}
	w.lost = !w.save(ctx, Change{Row: r, Owner: w.o.Owner})
	w.row = r
}

// act passes the gates once more, writes down that the action may have begun,
// and begins it. Budgets count what is acting: nothing else gets there between
// the last look at them and that line.
func (w *work) act(ctx context.Context) {
	if !w.enter(ctx) {
		return
	}
	answer, err := w.action.Act(ctx, w.row)
	if err == nil || failureOf(err).Fate != NotHere { // which says nothing of the endpoint
		w.o.breakers.report(w.row.endpoint(), statusOf(answer, err), time.Now())
	}
	if err != nil {
		w.failed(ctx, answer, failureOf(err))
		return
	}
	if w.row.Rough {
		w.put(ctx, w.step(Acted, answer))
		return
	}
	// The answer to a message is all there is to verify.
	w.end(ctx, Done, answer)
}

// enter leads a row from looked to acting, or holds it.
func (w *work) enter(ctx context.Context) bool {
	now := w.o.now()
	look, err := w.o.lookout(ctx, now)
	var answer Reply
	if err == nil {
		answer, err = look.ask(ctx, &w.row)
	}
	if err == nil && answer.Verdict == Pass && w.row.Rough {
		w.o.begin.Lock()
		defer w.o.begin.Unlock()
		answer, err = look.reserve(ctx, &w.row)
	}
	if err != nil {
		w.o.Log.Error("gates cannot be asked", "key", w.row.Key, "err", err)
		w.lost = true
		return false
	}
	if answer.Verdict != Pass {
		w.lost = !w.save(ctx, append(w.o.answered(now, w.row, answer), Change{Events: look.events})...)
		w.row.Claim = ""
		return false
	}
	w.row.noteStorm()
	r := w.step(Acting, Answer{})
	if r.Rough || r.Began.IsZero() {
		r.Began = now
	}
	var events []watch.Event
	if r.Gate != "" && r.Gate != breakerGate {
		events = append(events, event(r, watch.Gate, now, r.Gate+" lets it go"))
		r.Why = ""
	}
	r.Gate, r.Since, r.Told = "", time.Time{}, false
	if r.Rough {
		events = append(events, event(r, watch.Action, now, "begins"))
	}
	w.put(ctx, r, append(events, look.events...)...)
	return !w.lost
}

// verify asks whether the effect is there.
func (w *work) verify(ctx context.Context) {
	if w.action == nil {
		w.end(ctx, Unknown, Answer{Text: "cannot be verified: " + noAction(w.row.Action)})
		return
	}
	if w.row.Status == Acted {
		w.put(ctx, w.step(Verifying, Answer{}))
		return
	}
	sight, err := w.action.Verify(ctx, w.row)
	if err != nil {
		w.wait(ctx, Verifying, Sight{After: 10 * time.Second, Text: err.Error()})
		return
	}
	a := Answer{Baseline: sight.Baseline, Text: sight.Text}
	switch sight.Verdict {
	case Go, Already:
		w.end(ctx, Done, a)
	case Wait:
		w.wait(ctx, Verifying, sight)
	case Lost:
		w.end(ctx, Unknown, a)
	default:
		w.end(ctx, GaveUp, a)
	}
}

// end writes the last status of a row.
func (w *work) end(ctx context.Context, s Status, a Answer) {
	r := w.step(s, a)
	r.Why = a.Text
	w.put(ctx, r, event(r, watch.Action, w.o.now(), outcome(r, a)))
}

// outcome is what the history says of an end.
func outcome(r Row, a Answer) string {
	text := string(r.Status)
	if a.HTTP != 0 && !strings.HasPrefix(a.Text, "HTTP ") {
		text += fmt.Sprintf(": HTTP %d", a.HTTP)
	}
	if a.Text != "" {
		text += ": " + a.Text
	}
	return text
}

// failed ends a row or has it tried again, as the failure says.
func (w *work) failed(ctx context.Context, a Answer, f *Failure) {
	a.HTTP, a.Text = f.HTTP, f.Error()
	now := w.o.now()
	switch {
	case f.Fate == Unsure:
		w.end(ctx, Unknown, a)
		return
	case f.Fate == NotHere:
		w.end(ctx, Refused, a)
		return
	case f.Fate == Hopeless:
		w.end(ctx, GaveUp, a)
		return
	}
	after := max(f.After, backoff(w.row, w.row.Tries))
	tried, patience := w.o.tried(w.row, now, after)
	if tried > patience {
		a.Text += fmt.Sprintf(" (for %s)", patience)
		w.end(ctx, GaveUp, a)
		return
	}
	r := w.step(Failed, a)
	r.Tries++
	r.Next, r.PutOff = now.Add(after), r.PutOff+after
	var events []watch.Event
	if r.Why != a.Text {
		events = append(events, event(r, watch.Action, now, outcome(r, a)+"; tried again"))
	}
	r.Why = a.Text
	w.put(ctx, r, events...)
}

// tried is for how long a row will have been tried after one wait more, and for how
// long it may be. A rough action begins anew with each try: of one the waits are
// counted.
func (o *Outbox) tried(r Row, now time.Time, wait time.Duration) (tried, patience time.Duration) {
	s := o.settings.Load()
	switch {
	case r.Rough:
		return r.PutOff + wait, s.RetryFor
	case r.Began.IsZero():
		return 0, s.MessageFor
	}
	return now.Add(wait).Sub(r.Began), s.MessageFor
}

// backoff is the wait after a failure: full jitter from 1 s up to a minute, or
// for messages, which go on for a day, up to five.
func backoff(r Row, tries int) time.Duration {
	most := time.Minute
	if !r.Rough {
		most = 5 * time.Minute
	}
	return rand.N(min(most, time.Second<<min(tries, 10)))
}

// statusOf is the HTTP status of an answer or a failure; 0: there was none.
func statusOf(a Answer, err error) int {
	if err != nil {
		return failureOf(err).HTTP
	}
	return a.HTTP
}
