package watch

import (
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
		return OK, max(silent, enough)
	case now >= silent:
		return Firing, never
	case silent == never:
		return NoData, never
	default:
		return was, silent
	}
}

// presenceData is the StateReasonData of a presence alarm.
type presenceData struct {
	Version   string    `json:"version"`
	QueryDate time.Time `json:"queryDate"`
	Statistic Statistic `json:"statistic"`
	Period    int       `json:"period"`
	Threshold float64   `json:"threshold"`
	Last      time.Time `json:"lastArrival,omitzero"`
	Silence   float64   `json:"allowedSilence"`
}

// arrivalIn is the last arrival that StateReasonData tells of, if it does.
func arrivalIn(data json.RawMessage) time.Time {
	var said presenceData
	if json.Unmarshal(data, &said) != nil {
		return time.Time{}
	}
	return said.Last
}

// presenceReason tells people, and programs, why.
func (r *rule) presenceReason(h heartbeats, state State, now time.Time, at instant) (string, json.RawMessage) {
	ago := func(i instant) time.Duration { return time.Duration(at - i).Round(time.Second) }
	var reason string
	switch {
	case state == NoData:
		return "no sample has arrived yet", nil
	case state == OK:
		reason = fmt.Sprintf("a sample arrived within %s", spell(r.silence))
		if r.need != 1 {
			reason = fmt.Sprintf("%s samples or more arrived within %s", number(r.need), spell(r.silence))
		}
	case !h.fed:
		reason = fmt.Sprintf("nothing has ever arrived, though awaited for %s", spell(r.silence))
	case r.need == 1:
		reason = fmt.Sprintf("nothing arrived for %s, %s are allowed", spell(ago(h.last)), spell(r.silence))
	default:
		reason = fmt.Sprintf("fewer than %s samples arrived in the last %s, the last %s ago",
			number(r.need), spell(r.silence), spell(ago(h.last)))
	}
	said := presenceData{"1.0", now.UTC().Truncate(time.Second), r.statistic, int(r.period / time.Second), r.threshold, time.Time{}, r.silence.Seconds()}
	if h.fed {
		said.Last = now.Add(time.Duration(h.last - at)).UTC()
	}
	data, err := json.Marshal(said)
	if err != nil {
		return reason, nil // numbers are finite: it cannot be
	}
	return reason, data
}
