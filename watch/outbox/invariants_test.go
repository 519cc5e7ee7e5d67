package outbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// checkRestarts wants no restart twice, none of a living guest, none of a dead
// one again before it was heard, and no more than a second allows.
func (h *history) checkRestarts() {
	keys, last := map[string]bool{}, map[string]time.Time{}
	for i, r := range h.restarts {
		if keys[r.key] {
			h.t.Errorf("%s ran twice", r.key)
		}
		keys[r.key] = true
		if heard := r.at.Sub(r.heard); !r.service && heard > 2*time.Second && heard < allowedSilence {
			h.t.Errorf("%s restarted at %s: heard %s before", r.guest, r.at, heard)
		}
		if !r.service && r.reachable > allowedSilence {
			h.t.Errorf("%s restarted at %s: it pushed for %s", r.guest, r.at, r.reachable)
		}
		// One period in which it failed, the one in which it is well, and a tick; of a
		// guest that pushes no more, the three periods for which its samples count.
		most := 2*pushes + 2*time.Second
		if r.silent {
			most += pushes
		}
		if r.service && r.well > most+r.waited {
			h.t.Errorf("%s restarted at %s for its service, which was well for %s", r.guest, r.at, r.well)
		}
		// A push of the same instant may have come after the last one began.
		if before, ok := last[r.guest]; ok && !r.service && r.heard.Before(before) && !r.byHand {
			h.t.Errorf("%s restarted at %s again: not heard since the last at %s", r.guest, r.at, before)
		}
		if !r.service {
			last[r.guest] = r.at
		}
		if i > 0 && r.at.Sub(h.restarts[i-1].at) < time.Second && !r.clocked {
			h.t.Errorf("restarts %s apart", r.at.Sub(h.restarts[i-1].at))
		}
	}
	h.checkBudgets()
}

// checkBudgets counts by the wall clock, as budgets do; what was reset or is of
// a clock that was set back is not counted.
func (h *history) checkBudgets() {
	for i, r := range h.restarts {
		n := 0
		for _, other := range h.restarts[:i+1] {
			row := h.store.rows[other.key]
			if before := r.wall.Sub(other.wall); other.guest == r.guest && before >= 0 && before < 10*time.Minute && row != nil && !row.Forgiven {
				n++
			}
		}
		if n > 3 {
			h.t.Errorf("%s restarted %d times within ten minutes", r.guest, n)
		}
	}
}

// checkRows holds each row to its end, and to a line that tells of it.
func (h *history) checkRows() {
	ran := map[string]bool{}
	for _, r := range h.restarts {
		ran[r.key] = true
	}
	events, _, err := h.store.Events(h.t.Context(), watch.EventQuery{Limit: 1 << 30})
	if err != nil {
		h.t.Fatal(err)
	}
	lines := map[string][]string{}
	for _, e := range events {
		lines[e.Key] = append(lines[e.Key], e.Summary)
	}
	for key, r := range h.store.rows {
		text := strings.Join(lines[key], "\n")
		// What the API has done without an answer is seen by a look, or by its guest.
		certain := r.Status != Unknown && (strings.Contains(r.Action, ":exec:") || r.Began.IsZero())
		switch {
		case !r.Status.Ended():
			h.t.Errorf("%s is still %s (%s)", key, r.Status, r.Why)
		case !strings.Contains(text, string(r.Status)+": ") && !strings.HasSuffix(text, ": "+string(r.Status)) && !strings.Contains(text, ": "+string(r.Status)+"\n"):
			h.t.Errorf("%s is %s, and the history does not say so:\n%s", key, r.Status, text)
		case r.Rough && certain && (r.Status != Refused) != ran[key]:
			h.t.Errorf("%s is %s (%s), ran: %v", key, r.Status, r.Why, ran[key])
		}
	}
}

// checkDead wants something done for each guest that is dead in the end, or the
// operator told.
func (h *history) checkDead() {
	for _, g := range h.guests {
		v, ok := h.engine.View(h.now(), g.project, g.name)
		if !ok || g.up || v.State == watch.NoData {
			continue
		}
		if time.Since(g.heard) <= allowedSilence+time.Second {
			continue // the last restart ended it: nobody knows yet
		}
		if v.State != watch.Firing {
			h.t.Errorf("%s is dead, and its alarm %s", g.name, v.State)
			continue
		}
		answered, why := false, "no action is there"
		for key, r := range h.store.rough {
			if r.AlarmID == v.ID && r.Number == v.Number {
				_, told := h.store.rows["notice|"+string(r.Status)+"|"+key]
				answered = answered || r.Status == Done || told
				why = fmt.Sprintf("%s is %s: %+v", key, r.Status, r.Steps)
			}
		}
		if !answered {
			h.t.Errorf("%s is dead, nothing was done in answer to transition %d, and nobody told: %s", g.name, v.Number, why)
		}
	}
}

// checkReplay plays the history over, to the states there are.
func (h *history) checkReplay() {
	type item struct {
		New        struct{ StateValue watch.State } `json:"newState"`
		Transition int                              `json:"transition"`
	}
	for _, v := range h.engine.Alarms(h.now(), rules, watch.AlarmQuery{}) {
		events, _, err := h.store.Events(h.t.Context(), watch.EventQuery{
			Project: v.Project, Alarm: v.Name, Kinds: []watch.EventKind{watch.StateUpdate}, OldestFirst: true, Limit: 10_000})
		if err != nil {
			h.t.Fatal(err)
		}
		state, n := watch.NoData, 0
		for _, e := range events {
			var i item
			err := json.Unmarshal(e.Data, &i)
			if err == nil && i.Transition == n && i.New.StateValue == state {
				continue // it was set to what it was
			}
			if err != nil || i.Transition != n+1 {
				h.t.Fatalf("transition %d of %s after %d: %v", i.Transition, v.Name, n, err)
			}
			state, n = i.New.StateValue, i.Transition
		}
		if state != v.State || n != v.Number {
			h.t.Errorf("%s: the history comes to %s (%d), it is %s (%d)", v.Name, state, n, v.State, v.Number)
		}
	}
}

// checkMail looks at what came: each message, and of an alarm in their order.
func (h *history) checkMail() {
	first, newest := map[string]bool{}, map[int64]int{}
	for _, key := range h.mail.got {
		r := h.store.rows[key]
		if r == nil {
			h.t.Fatalf("a message with key %s, of which there is no row", key)
		}
		if !first[key] && r.Number < newest[r.AlarmID] {
			h.t.Errorf("%s came after transition %d", key, newest[r.AlarmID])
		}
		first[key], newest[r.AlarmID] = true, max(newest[r.AlarmID], r.Number)
	}
	for key, r := range h.store.rows {
		if !r.Rough && r.Status == Done && !first[key] {
			h.t.Errorf("%s is done, and never came", key)
		}
	}
}
