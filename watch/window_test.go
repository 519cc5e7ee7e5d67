package watch

import (
	"testing"
	"time"
)

// Old Heat stored EvaluationPeriods and never used them: one bad minute fired.
func TestEvaluationPeriodsCount(t *testing.T) {
	b := newBench(t, Options{})
	a := cpuAlarm("cpu")
	a.Periods, a.Datapoints = 3, 2
	b.define(a)
	for _, value := range []float64{1, 1, 99, 1, 1} {
		b.push("CPU", value)
		b.pass(time.Minute)
		b.want("cpu", OK)
	}
	b.push("CPU", 99)
	b.pass(time.Minute)
	b.push("CPU", 99)
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
}

// Old Heat began its windows anew when its engine started.
func TestWindowsSurviveARestart(t *testing.T) {
	b := newBench(t, Options{})
	a := cpuAlarm("cpu")
	a.Statistic, a.Threshold, a.Period = Sum, 100, 5*time.Minute
	b.define(a)
	b.push("CPU", 60)
	b.pass(30 * time.Second)
	b.want("cpu", OK)
	if err := b.e.Flush(t.Context(), b.now); err != nil { // ten seconds have passed
		t.Fatal(err)
	}
	b.restart()
	b.push("CPU", 60)
	b.pass(10 * time.Second)
	b.want("cpu", Firing)
}

// Old Heat kept the samples of an alarm as long as the alarm, and read all of
// them each minute.
func TestWindowsForget(t *testing.T) {
	b := newBench(t, Options{})
	a := cpuAlarm("cpu")
	b.define(a)
	for range 10_000 {
		b.push("CPU", 1)
		b.push("CPU", 2)
		b.now = b.now.Add(time.Second)
	}
	en := b.e.alarm(b.e.projects["p"], "cpu")
	const most = 3 * 30 // three periods of thirty buckets
	if buckets, sets := len(en.window.buckets), len(en.window.sets); buckets > most || sets > most {
		t.Errorf("%d buckets and %d sets after hours, want %d at most", buckets, sets, most)
	}
	if buckets := len(b.e.projects["p"].series["system/linux\x00CPU\x00"].window.buckets); buckets > 180 {
		t.Errorf("%d minutes of a metric, want 180 at most", buckets)
	}
}

// A bucket of one sample keeps one number.
func TestBucketsOfOneSample(t *testing.T) {
	w := &window{}
	for i := range uint32(100) {
		w.add(i, Stat{1, 5, 5, 5})
	}
	w.add(50, Stat{2, 3, 1, 2})
	if len(w.sets) != 1 {
		t.Errorf("%d sets, want 1", len(w.sets))
	}
	if got, want := w.between(50, 51), (Stat{3, 8, 1, 5}); got != want {
		t.Errorf("the bucket of three samples is %v, want %v", got, want)
	}
	if got, want := w.between(0, 50), (Stat{50, 250, 5, 5}); got != want {
		t.Errorf("the first fifty are %v, want %v", got, want)
	}
	w.add(10, Stat{1, 1, 1, 1}) // a late one
	w.forget(20)
	if got, want := w.between(0, 100), (Stat{82, 403, 1, 5}); got != want {
		t.Errorf("what is left is %v, want %v", got, want)
	}
}

// Late samples fill the past, and those that are ahead wait for their time.
func TestTimesOfSamples(t *testing.T) {
	b := newBench(t, Options{})
	a := cpuAlarm("cpu")
	a.Periods = 2
	b.define(a)
	at := func(age time.Duration, value float64) {
		b.e.Put(b.now, member, []Sample{{Namespace: "system/linux", Metric: "CPU", Count: 1, Sum: value, Min: value, Max: value, Time: b.now.Add(-age)}})
	}
	b.pass(10 * time.Minute)
	at(0, 99)
	b.pass(2 * time.Second)
	b.want("cpu", NoData) // one of two: too new to say
	at(70*time.Second, 99)
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
	at(10*time.Minute, 1) // before the range
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
	at(-3*time.Minute, 1)
	b.pass(2 * time.Minute)
	b.want("cpu", Firing)
	b.pass(70 * time.Second)
	b.want("cpu", OK)
}
