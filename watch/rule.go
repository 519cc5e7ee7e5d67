package watch

import (
	"math"
	"time"
)

// A rule is what judging needs of an alarm, worked out once.
type rule struct {
	statistic  Statistic
	comparison Comparison
	threshold  float64
	missing    Missing       // as it is read: see Alarm.Reading
	period     time.Duration // of a datapoint
	width      time.Duration // of a bucket: see bucketWidth
	n, m, r    int           // datapoints looked at, that must breach, and periods in range
	presence   bool
	need       float64       // samples in silence that keep a presence alarm quiet
	silence    time.Duration // allowed to a presence alarm
	start      time.Duration // StartAfter
}

func newRule(a *Alarm) rule {
	r := rule{
		statistic: a.Statistic, comparison: a.Comparison, threshold: a.Threshold,
		missing: a.Reading(), period: a.Period, width: bucketWidth(a.Period),
		n: a.Periods, m: a.Datapoints, r: a.EvaluationRange(),
		presence: a.Presence(), silence: a.Silence(), start: a.StartAfter,
	}
	if r.m == 0 {
		r.m = r.n
	}
	if r.presence {
		r.need = math.Ceil(r.threshold)
		if r.comparison == LessOrEqual {
			r.need = math.Floor(r.threshold) + 1
		}
	}
	return r
}

// bucketWidth is how finely samples are told apart in time: a thirtieth of the
// period, in whole seconds. Each period that an alarm may have is a whole
// number of them.
func bucketWidth(period time.Duration) time.Duration {
	return max(time.Second, period/30)
}

// buckets is how many a window may have: each takes memory, and time when the
// alarm is judged.
func (r *rule) buckets() int {
	switch {
	case !r.presence:
		return r.r * int(r.period/r.width)
	case r.need > 1:
		return int(r.silence / time.Second)
	}
	return 0
}

// cadence is how often an alarm may be looked at: once a bucket, and once a
// minute where buckets are longer.
func (r *rule) cadence() time.Duration { return min(r.width, time.Minute) }

func (r *rule) breaches(v float64) bool {
	switch r.comparison {
	case GreaterOrEqual:
		return v >= r.threshold
	case Greater:
		return v > r.threshold
	case Less:
		return v < r.threshold
	}
	return v <= r.threshold
}

// Reading is how the alarm reads a period without samples. To old Heat,
// SampleCount and Sum were then 0, and compared like any number; a Legacy alarm
// that does not say what it wants has that.
func (a *Alarm) Reading() Missing {
	switch {
	case a.Missing != "":
		return a.Missing
	case !a.Legacy || a.Statistic != SampleCount && a.Statistic != Sum:
		return MissingMissing
	}
	if zero := (&rule{comparison: a.Comparison, threshold: a.Threshold}); zero.breaches(0) {
		return MissingBreaching
	}
	return MissingNotBreaching
}

// EvaluationRange is how many periods are looked at for datapoints: more than
// EvaluationPeriods, so that late samples count and a gap decides nothing. Old
// Heat knew no such thing.
func (a *Alarm) EvaluationRange() int {
	switch {
	case a.Range != 0:
		return a.Range
	case a.Legacy:
		return a.Periods
	}
	return a.Periods + 2
}

// Presence says whether the alarm is on heartbeats: it counts samples, and
// fires when there are too few. Such an alarm is judged by what arrived in the
// Silence it allows, not by the datapoints of its periods: a guest that pushes
// each minute with a second of jitter leaves whole minutes empty.
func (a *Alarm) Presence() bool {
	return a.Statistic == SampleCount && (a.Comparison == Less || a.Comparison == LessOrEqual) &&
		a.Reading() == MissingBreaching
}

// leastTolerance is of silence, for alarms of several periods.
const leastTolerance = 15 * time.Second

// Silence is how long a presence alarm may hear nothing before it fires: its
// periods and a Tolerance, by default so much that one lost push is forgiven.
func (a *Alarm) Silence() time.Duration {
	tolerance := a.Tolerance
	switch {
	case tolerance != 0:
	case a.Periods == 1:
		tolerance = a.Period * 5 / 4
	default:
		tolerance = max(a.Period/2, leastTolerance)
	}
	return a.Period*time.Duration(a.Periods) + tolerance
}
