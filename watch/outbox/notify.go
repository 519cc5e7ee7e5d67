package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Operator sends cfnwatch:notify to the operator's own webhooks.
type Operator struct {
	Post *Post
	URLs []string
}

// Look has nothing to ask.
func (n *Operator) Look(context.Context, Row) (Sight, error) { return Sight{}, nil }

// Verify has nothing to ask.
func (n *Operator) Verify(context.Context, Row) (Sight, error) { return Sight{}, nil }

// Act posts to each webhook that has not got it yet.
func (n *Operator) Act(ctx context.Context, r Row) (Answer, error) {
	var got []string
	if len(r.Baseline) > 0 {
		if err := json.Unmarshal(r.Baseline, &got); err != nil {
			got = nil
		}
	}
	var a Answer
	var failures []error
	for _, text := range n.URLs {
		id := shortHash(text)
		if slices.Contains(got, id) {
			continue
		}
		answer, err := n.one(ctx, r, text)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", Shown(text), err))
			continue
		}
		got = append(got, id)
		a = answer
	}
	a.Baseline, _ = json.Marshal(got)
	return a, together(failures)
}

func (n *Operator) one(ctx context.Context, r Row, text string) (Answer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Answer{}, errors.New("the URL cannot be read")
	}
	r.Action, r.Origin = text, watch.FromRules
	return n.Post.post(ctx, r, u, r.Key)
}

// together is one failure of several: as long as one may pass, all are tried
// again.
func together(failures []error) error {
	if len(failures) == 0 {
		return nil
	}
	f := &Failure{Err: errors.Join(failures...)}
	for _, err := range failures {
		if one := failureOf(err); one.Fate == Again {
			f.Fate, f.After = Again, max(f.After, one.After)
		}
	}
	return f
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// tell is a row that tells the operator of another, once for each kind of
// news; none where nobody is to be told, or the other is such a row itself.
func (o *Outbox) tell(r Row, news string, now time.Time, text string) []Change {
	n, err := ParseName(r.Action)
	if o.settings.Load().Actions[Notify] == nil || r.Notice != "" || err == nil && n.Kind == Notify {
		return nil
	}
	notice := Row{
		Key: "notice|" + news + "|" + r.Key, Wanted: r.Wanted, Born: now, Status: Wanted, Next: now,
		Notice: Shown(r.Action) + ": " + text,
	}
	notice.Action = prefix + string(Notify)
	notice.AlarmID, notice.Number, notice.Repeat = 0, 0, 0 // in no order with the alarm's own messages, which may be held up
	return []Change{{Row: notice, New: true}}
}

// Tell sends the operator a notice that is about no action. One with a key
// that was sent before is not sent again.
func (o *Outbox) Tell(ctx context.Context, key, text string) error {
	if o.settings.Load().Actions[Notify] == nil {
		return nil
	}
	now := o.now()
	r := Row{Key: "notice|" + key, Born: now, Status: Wanted, Next: now, Notice: text}
	r.Action, r.Alarm, r.At, r.To = prefix+string(Notify), "cfn-watch", now, watch.Firing
	_, err := o.Store.Update(ctx, Change{Row: r, New: true})
	if err == nil { // else whoever is woken tells again, at once, until the store takes it
		o.Wake()
	}
	return err
}

// watchHearing tells the operator once of a server that is deaf too often.
func (o *Outbox) watchHearing(ctx context.Context, now time.Time) error {
	hears := o.Engine.Hears(now)
	if hears || o.deaf {
		o.deaf = !hears
		return nil
	}
	err := o.Tell(ctx, "deaf|"+now.UTC().Format(time.RFC3339), "the server was deaf for ten minutes or more of the last thirty: nothing is judged silent in such times")
	o.deaf = err == nil
	return err
}

// tellOfEnd tells the operator of an end that is not what was wanted.
func (o *Outbox) tellOfEnd(r Row) []Change {
	if r.Status == GaveUp && r.Rough {
		o.giveUp(r.AlarmID)
	}
	if r.Status == Done || r.Status == Refused && !r.Rough {
		return nil
	}
	return o.tell(r, string(r.Status), o.now(), string(r.Status)+": "+r.Why)
}

// giveUp leaves a guest out of the counts of storms until it is back.
func (o *Outbox) giveUp(alarm int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hopeless[alarm] = true
	o.Engine.LeaveOut(alarm, true)
}

// recallGivenUp leaves out those that were given up before the server started,
// and are still in the ALARM for which they were.
func (o *Outbox) recallGivenUp(ctx context.Context) error {
	given, err := o.Store.GivenUp(ctx)
	for alarm, number := range given {
		if v, known := o.Engine.ViewID(o.now(), alarm); known && v.State == watch.Firing && v.Number == number {
			o.giveUp(alarm)
		}
	}
	return err
}
