package watch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A verdict is what judging an alarm comes to.
type verdict struct {
	state   State
	reason  string          // empty where the state stays
	data    json.RawMessage // likewise
	derived bool            // see Transition
	next    instant         // when the answer can change without a sample; never: it cannot
}

// A point is the datapoint of a period that had samples.
type point struct {
	number int // of the period, from 0, the newest
	value  float64
}

// points are the datapoints of an alarm's range.
type points struct {
	of      *rule
	end     int64   // bucket after the newest period
	real    []point // newest first
	breach  int     // of real
	missing int     // periods without samples, that are needed for n
	heard   int     // of missing, those in which a sample would have been heard
	next    instant
}

// judge decides the state of an alarm that is not on presence. Its periods end
// with the bucket that at is in, which is now by the wall clock. heard is since
// when samples would have been heard: an answer that rests on a period before it
// is none, and the state stays.
//
// The rows of CloudWatch's tables of missing datapoints ("Configuring how
// CloudWatch alarms treat missing data") are its tests.
func judge(r *rule, w *window, heard instant, was State, at instant, now time.Time) verdict {
	p := r.points(w, heard, at)
	v := verdict{state: p.state(was), next: p.next}
	if v.state != was {
		v.reason, v.data = p.reason(v.state), p.data(at, now)
	}
	return v
}

func (p *points) state(was State) State {
	m := p.of.m
	is := func(firing bool) State {
		if firing {
			return Firing
		}
		return OK
	}
	unheard := p.missing - p.heard
	switch {
	case p.missing <= 0: // the newest n alone count
		breach := 0
		for _, x := range p.real[:p.of.n] {
			if p.of.breaches(x.value) {
				breach++
			}
		}
		return is(breach >= m)
	case p.breach >= m:
		return Firing
	case p.of.missing == MissingBreaching && p.breach+p.heard >= m:
		return Firing
	case p.of.missing == MissingBreaching || p.of.missing == MissingNotBreaching:
		if unheard > 0 && p.breach+p.missing >= m {
			return was
		}
		return OK
	case p.breach < len(p.real): // one within the threshold
		return OK
	case unheard > 0 || p.of.missing == MissingIgnore:
		return was
	case len(p.real) == 0:
		return NoData
	case p.real[len(p.real)-1].number+1 >= m: // no newer period than this can undo it
		return Firing
	}
	return was
}

// points folds a window into datapoints.
func (r *rule) points(w *window, heard, at instant) points {
	per := int64(r.period / r.width) // buckets in a period
	p := points{of: r, end: at.bucket(r.width) + 1, next: never}
	next := int64(0)
	soonest := func(end int64) {
		if next == 0 || end < next {
			next = end
		}
	}
	var s Stat
	for i := len(w.buckets) - 1; i >= 0; i-- {
		b := w.buckets[i]
		age := p.end - 1 - int64(b.at)
		if age < 0 {
			soonest(int64(b.at) + 1)
			continue
		}
		number := int(age / per)
		if number >= r.r {
			break
		}
		soonest(p.end + per - age%per)
		if last := len(p.real) - 1; last < 0 || p.real[last].number != number {
			p.real, s = append(p.real, point{number: number}), Stat{}
		}
		s = s.plus(w.stat(b))
		p.real[len(p.real)-1].value = s.Value(r.statistic)
	}
	p.missing = max(0, r.n-len(p.real))
	whole := int64(-1) // periods that were heard whole
	if since := p.end*int64(r.width) - int64(heard); since >= 0 {
		whole = min(since/int64(r.period), int64(r.r))
	} else {
		whole = 0
	}
	if whole < int64(r.r) {
		soonest(ceilDiv(int64(heard)+(whole+1)*int64(r.period), int64(r.width)))
	}
	p.heard = int(whole)
	for _, x := range p.real {
		if r.breaches(x.value) {
			p.breach++
		}
		if int64(x.number) < whole {
			p.heard--
		}
	}
	p.heard = min(p.heard, p.missing)
	if next != 0 {
		p.next = instant((next - 1) * int64(r.width))
	}
	return p
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// reason tells people what the points say.
func (p *points) reason(state State) string {
	r := p.of
	if state == NoData {
		return fmt.Sprintf("no samples in the last %s", spell(time.Duration(r.r)*r.period))
	}
	shown := p.shown()
	return fmt.Sprintf("%s of the last %d periods of %s, newest first: %s; %s breach %s %s; missing ones are read as %s",
		r.statistic, len(shown), spell(r.period), strings.Join(shown, ", "),
		map[State]string{Firing: "at least " + strconv.Itoa(r.m), OK: "fewer than " + strconv.Itoa(r.m)}[state],
		r.comparison, number(r.threshold), r.missing)
}

// mostShown bounds the datapoints that are told of.
const mostShown = 10

// shown spells the newest periods.
func (p *points) shown() []string {
	count := min(mostShown, p.of.r)
	if p.missing <= 0 {
		count = min(mostShown, p.real[p.of.n-1].number+1)
	}
	all := make([]string, count)
	for i := range all {
		all[i] = "missing"
	}
	for _, x := range p.real {
		if x.number < count {
			all[x.number] = number(x.value)
		}
	}
	return all
}

// data is the points in the form of CloudWatch's StateReasonData.
func (p *points) data(at instant, now time.Time) json.RawMessage {
	const stamp = "2006-01-02T15:04:05.000-0700"
	type evaluated struct {
		Timestamp string  `json:"timestamp"`
		Value     float64 `json:"value"`
	}
	said := struct {
		Version   string      `json:"version"`
		QueryDate string      `json:"queryDate"`
		StartDate string      `json:"startDate"`
		Statistic Statistic   `json:"statistic"`
		Period    int         `json:"period"`
		Recent    []float64   `json:"recentDatapoints"`
		Threshold float64     `json:"threshold"`
		Evaluated []evaluated `json:"evaluatedDatapoints"`
	}{Version: "1.0", Statistic: p.of.statistic, Period: int(p.of.period / time.Second), Threshold: p.of.threshold,
		Recent: []float64{}, Evaluated: []evaluated{}}
	end := beginOf(p.end, p.of.width, at, now).UTC()
	said.QueryDate = now.UTC().Format(stamp)
	said.StartDate = end.Add(-time.Duration(p.of.r) * p.of.period).Format(stamp)
	for _, x := range p.real[:min(len(p.real), mostShown)] {
		said.Recent = append(said.Recent, x.value)
		said.Evaluated = append(said.Evaluated, evaluated{end.Add(-time.Duration(x.number+1) * p.of.period).Format(stamp), x.value})
	}
	data, err := json.Marshal(said)
	if err != nil {
		return nil // values are finite: it cannot be
	}
	return data
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// spell writes a duration without the units that are zero: 2m15s, 5m.
func spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
