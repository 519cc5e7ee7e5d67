package watch

import (
	"math"
	"slices"
	"sort"
	"time"
)

// A Stat is what samples of one time come to. The zero Stat is of none.
type Stat struct{ Count, Sum, Min, Max float64 }

func (s Stat) plus(o Stat) Stat {
	switch {
	case o.Count == 0:
		return s
	case s.Count == 0:
		return o
	}
	return Stat{s.Count + o.Count, s.Sum + o.Sum, math.Min(s.Min, o.Min), math.Max(s.Max, o.Max)}
}

// Value is one statistic. That of no samples means nothing.
func (s Stat) Value(of Statistic) float64 {
	switch of {
	case SampleCount:
		return s.Count
	case Sum:
		return s.Sum
	case Minimum:
		return s.Min
	case Maximum:
		return s.Max
	}
	return s.Sum / s.Count
}

// A window keeps samples folded into buckets of one width. Buckets without
// samples take no room, and one of a single sample keeps one number.
type window struct {
	buckets []bucket // by time
	sets    []Stat   // of buckets with more than one sample
}

// A bucket begins at its number times the width after 1970: as an instant, in
// windows of alarms, so that samples keep their age though the wall clock is set.
type bucket struct {
	at    uint32
	set   int32 // in sets, from 1; 0: one sample
	value float64
}

// bucket is the number of that which an instant is in.
func (i instant) bucket(width time.Duration) int64 { return floorDiv(int64(i), int64(width)) }

// beginOf is when a bucket begins, as people are told of it: by the wall clock that
// shows now where it is at, which is not read in the same nanosecond.
func beginOf(bucket int64, width time.Duration, at instant, now time.Time) time.Time {
	return now.Add(time.Duration(bucket*int64(width) - int64(at))).Round(time.Second)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (w *window) stat(b bucket) Stat {
	if b.set == 0 {
		return Stat{1, b.value, b.value, b.value}
	}
	return w.sets[b.set-1]
}

// find returns where the bucket of a time is, or would be.
func (w *window) find(at uint32) (int, bool) {
	if n := len(w.buckets); n > 0 && w.buckets[n-1].at == at { // most often
		return n - 1, true
	}
	i := sort.Search(len(w.buckets), func(i int) bool { return w.buckets[i].at >= at })
	return i, i < len(w.buckets) && w.buckets[i].at == at
}

func (w *window) add(at uint32, s Stat) {
	i, found := w.find(at)
	if !found {
		w.buckets = slices.Insert(w.buckets, i, bucket{at: at})
	} else {
		s = w.stat(w.buckets[i]).plus(s)
	}
	b := &w.buckets[i]
	switch {
	case b.set != 0:
		w.sets[b.set-1] = s
	case s.Count == 1 && s.Sum == s.Min && s.Sum == s.Max:
		b.value = s.Sum
	default:
		w.sets = append(w.sets, s)
		b.set, b.value = int32(len(w.sets)), 0
	}
}

// forget drops the buckets before a time.
func (w *window) forget(before uint32) {
	if i, _ := w.find(before); i > 0 {
		w.drop(0, i)
	}
}

// forgetAfter drops the buckets after one, and says whether there were any.
func (w *window) forgetAfter(at uint32) bool {
	i, _ := w.find(at + 1)
	if i == len(w.buckets) {
		return false
	}
	w.drop(i, len(w.buckets))
	return true
}

// drop drops the buckets at i to j.
func (w *window) drop(i, j int) {
	w.buckets = slices.Delete(w.buckets, i, j)
	sets := w.sets[:0:0]
	for i := range w.buckets {
		if b := &w.buckets[i]; b.set != 0 {
			sets = append(sets, w.sets[b.set-1])
			b.set = int32(len(sets))
		}
	}
	w.sets = sets
}

// between is what the buckets from one to before another come to.
func (w *window) between(from, to uint32) Stat {
	var s Stat
	for i, _ := w.find(from); i < len(w.buckets) && w.buckets[i].at < to; i++ {
		s = s.plus(w.stat(w.buckets[i]))
	}
	return s
}
