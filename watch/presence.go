package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// An instant is a time by a clock that nobody sets: nanoseconds since 1970 as
// the wall clock had it when the server started, and then by the monotonic
// clock. What arrives is told by it alone.
type instant int64

// never is an instant that does not come.
const never instant = math.MaxInt64

func (i instant) plus(d time.Duration) instant { return i + instant(d) }

// heartbeats is what a presence alarm was fed.
type heartbeats struct {
	fed      bool
	last     instant // arrival of the newest sample
	arrivals *window // of seconds, where more than one sample is needed; else nil
	from     instant // absence counts from here: the server listened, the alarm had begun
}

// silent is when a presence alarm falls silent if nothing more arrives; never
// where absence does not count yet.
func (r *rule) silentAt(h heartbeats) instant {
	switch {
	case r.need <= 0, !h.fed && r.start == 0:
		return never
	case r.need == 1:
		return max(h.from, h.last).plus(r.silence)
	}
	return max(h.from.plus(r.silence), r.enoughUntil(h))
}

// enoughUntil is until when as many samples as are needed have arrived in the
// silence allowed, as things are.
func (r *rule) enoughUntil(h heartbeats) instant {
	if !h.fed {
		return math.MinInt64
	}
	if r.need <= 1 {
		return h.last.plus(r.silence)
	}
	count := 0.0
	for i := len(h.arrivals.buckets) - 1; i >= 0; i-- {
		b := h.arrivals.buckets[i]
		if count += h.arrivals.stat(b).Count; count >= r.need {
			return instant(b.at+1)*instant(time.Second) + instant(r.silence)
		}
	}
	return math.MinInt64
}

// judgePresence decides the state of a presence alarm: it fires when too
// little arrived in the silence allowed, and is OK at once with the sample that
// makes it so. Before absence counts nothing fires, and what fired stays.
func judgePresence(r *rule, h heartbeats, was State, now instant) (state State, next instant) {
	enough := r.enoughUntil(h)
	switch silent := r.silentAt(h); {
	case r.need <= 0:
		return OK, never
	case now < enough:
		return OK, silent // which is no sooner
	case now >= silent:
		return Firing, never
	case silent == never:
		return NoData, never
	default:
		return was, silent
	}
}

// heardReason is why a presence alarm is OK.
func (r *rule) heardReason() string {
	if r.need == 1 {
		return "a sample arrived within " + spell(r.silence)
	}
	return fmt.Sprintf("%s samples or more arrived within %s", number(r.need), spell(r.silence))
}

// silentReason is why a presence alarm is not OK.
func (r *rule) silentReason(h heartbeats, state State, now time.Time, at instant) string {
	last := now.Add(time.Duration(h.last - at)).UTC().Format(time.RFC3339)
	switch {
	case state == NoData:
		return "no sample has arrived yet"
	case !h.fed:
		return fmt.Sprintf("nothing has ever arrived, though awaited for %s", spell(r.silence))
	case r.need == 1:
		return fmt.Sprintf("nothing arrived within %s: the last sample at %s", spell(r.silence), last)
	}
	return fmt.Sprintf("fewer than %s samples arrived within %s, the last at %s", number(r.need), spell(r.silence), last)
}

// fedBefore is when an alarm was fed last, at the latest, by its state: its
// arrivals may not have been flushed when the server died, or be lost with the
// windows, and who fell silent must not become somebody never heard of. Zero:
// its state does not tell.
func (r *rule) fedBefore(k Kept) time.Time {
	switch {
	case k.judged() && k.State == OK:
		return k.Since
	case k.judged() && k.State == Firing && r.start == 0:
		return k.Since.Add(-r.silence)
	}
	return time.Time{}
}

// judged says whether the state of a presence alarm comes from its arrivals. One
// that was set says nothing of them.
func (k *Kept) judged() bool {
	return k.Number > 0 && k.Reason == "" || bytes.Contains(k.Data, []byte(silenceKey))
}

// silenceKey is in the data of what was judged by these rules alone.
const silenceKey = `"allowedSilence":`

// byHand is data that somebody gave, which says the same and does not look as
// if it came from these rules.
func byHand(data json.RawMessage) json.RawMessage {
	return bytes.ReplaceAll(data, []byte(silenceKey), []byte(`"allowedSilence" :`)) // in no string: there the quote is escaped
}

// presenceData is the StateReasonData of a presence alarm: of the datapoints
// that CloudWatch tells there it has none.
func (r *rule) presenceData() json.RawMessage {
	data, err := json.Marshal(struct {
		Version   string    `json:"version"`
		Statistic Statistic `json:"statistic"`
		Period    int       `json:"period"`
		Threshold float64   `json:"threshold"`
		Silence   float64   `json:"allowedSilence"`
	}{"1.0", r.statistic, int(r.period / time.Second), r.threshold, r.silence.Seconds()})
	if err != nil {
		return nil // numbers are finite: it cannot be
	}
	return data
}
