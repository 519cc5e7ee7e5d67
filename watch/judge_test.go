package watch

import (
	"strings"
	"testing"
	"time"
)

// pointsOf makes a window of one-minute datapoints, newest on the right: 0 is
// within the threshold of 1, X beyond it, - missing.
func pointsOf(t testing.TB, points string, now time.Time) *window {
	t.Helper()
	w := &window{}
	fields := strings.Fields(points)
	for i, p := range fields {
		at := now.Add(-time.Duration(len(fields)-1-i) * time.Minute)
		value := map[string]float64{"0": 0, "X": 2}[p]
		if p != "-" {
			w.add(uint32(at.Unix()/2), Stat{1, value, value, value})
		}
	}
	return w
}

func minutely(m, n int, missing Missing) *rule {
	r := newRule(&Alarm{Statistic: Average, Comparison: Greater, Threshold: 1, Period: time.Minute, Periods: n, Datapoints: m, Missing: missing})
	return &r
}

// judgeAt is judge where no clock was ever set.
func judgeAt(r *rule, w *window, heard time.Time, was State, now time.Time) verdict {
	return judge(r, w, instant(heard.UnixNano()), was, instant(now.UnixNano()), now)
}

var noon = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// Reason and data are for people and for clients of CloudWatch: both are
// bounded however many periods are looked at.
func TestWhatAVerdictSays(t *testing.T) {
	v := judgeAt(minutely(2, 2, MissingMissing), pointsOf(t, "0 - X X", noon), time.Time{}, OK, noon)
	const reason = "Average of the last 2 periods of 1m, newest first: 2, 2; at least 2 breach GreaterThanThreshold 1; missing ones are read as missing"
	if v.reason != reason {
		t.Errorf("reason %q, want %q", v.reason, reason)
	}
	const data = `{"version":"1.0","queryDate":"2026-03-01T12:00:30.000+0000","startDate":"2026-03-01T11:56:32.000+0000","statistic":"Average",` +
		`"period":60,"recentDatapoints":[2,2,0],"threshold":1,"evaluatedDatapoints":[{"timestamp":"2026-03-01T11:59:32.000+0000","value":2},` +
		`{"timestamp":"2026-03-01T11:58:32.000+0000","value":2},{"timestamp":"2026-03-01T11:56:32.000+0000","value":0}]}`
	if string(v.data) != data {
		t.Errorf("data %s, want %s", v.data, data)
	}
	// The clocks of the server are not read in the same nanosecond.
	if off := judge(minutely(2, 2, MissingMissing), pointsOf(t, "0 - X X", noon), 0, OK, instant(noon.UnixNano())+40, noon); string(off.data) != data {
		t.Errorf("data %s, want %s", off.data, data)
	}
	for _, points := range []int{999, 1_000} {
		long := judgeAt(minutely(1_000, 1_000, MissingBreaching), pointsOf(t, strings.Repeat("X ", points), noon), time.Time{}, OK, noon)
		if long.state != Firing || len(long.reason) > 1_023 || len(long.data) > 4_095 || strings.Count(long.reason, "2, ") != 9 {
			t.Errorf("%d points of a thousand periods: %s, %q, %s", points, long.state, long.reason, long.data)
		}
	}
}

// The tables of "Configuring how CloudWatch alarms treat missing data", row by
// row: five periods are looked at.
func TestMissingDatapoints(t *testing.T) {
	const id, retain = NoData, State("")
	for _, row := range []struct {
		points                              string
		m, n                                int
		missing, ignore, breaching, notBrch State
	}{
		{"0 - X - X", 3, 3, OK, OK, OK, OK},
		{"0 - - - -", 3, 3, OK, OK, OK, OK},
		{"- - - - -", 3, 3, id, retain, Firing, OK},
		{"0 X X - X", 3, 3, Firing, Firing, Firing, Firing},
		{"- - X - -", 3, 3, Firing, retain, Firing, OK},
		{"0 - X - X", 2, 3, Firing, Firing, Firing, Firing},
		{"0 0 X 0 X", 2, 3, Firing, Firing, Firing, Firing},
		{"0 - X - -", 2, 3, OK, OK, Firing, OK},
		{"- - - - 0", 2, 3, OK, OK, Firing, OK},
		{"- - - X -", 2, 3, Firing, retain, Firing, OK},
		// Not in the tables: too new to be called before their time.
		{"- - - - X", 3, 3, retain, retain, Firing, OK},
		{"- - - X -", 3, 3, retain, retain, Firing, OK},
	} {
		for missing, want := range map[Missing]State{
			MissingMissing: row.missing, MissingIgnore: row.ignore, MissingBreaching: row.breaching, MissingNotBreaching: row.notBrch,
		} {
			for _, was := range []State{OK, Firing, NoData} {
				expected := want
				if want == retain {
					expected = was
				}
				r := minutely(row.m, row.n, missing)
				if r.r != 5 {
					t.Fatalf("range is %d, want 5", r.r)
				}
				v := judgeAt(r, pointsOf(t, row.points, noon), noon.Add(-time.Hour), was, noon)
				if v.state != expected {
					t.Errorf("%s, %d of %d, %s, was %s: %s, want %s", row.points, row.m, row.n, missing, was, v.state, expected)
				}
				if (v.reason != "") != (v.state != was) {
					t.Errorf("%s, %s, was %s: state %s, reason %q", row.points, missing, was, v.state, v.reason)
				}
			}
		}
	}
}

// The row of one datapoint within the threshold is OK only while that one is in
// the range.
func TestBreachingWhenTheLastPointLeaves(t *testing.T) {
	r := minutely(3, 3, MissingBreaching)
	w := pointsOf(t, "0 - - - -", noon)
	v := judgeAt(r, w, noon.Add(-time.Hour), OK, noon)
	if v.state != OK {
		t.Fatalf("state %s, want OK", v.state)
	}
	next := time.Unix(0, int64(v.next))
	if next.After(noon.Add(time.Minute)) {
		t.Fatalf("looked at next %s, want within the minute", next)
	}
	if v := judgeAt(r, w, noon.Add(-time.Hour), OK, next); v.state != Firing {
		t.Errorf("state %s when the point has left, want ALARM", v.state)
	}
}

// Silence in which the server could not hear decides nothing.
func TestUnheardPeriodsDecideNothing(t *testing.T) {
	f := func(points string, missing Missing, heard time.Duration, was, want State) {
		t.Helper()
		if v := judgeAt(minutely(2, 3, missing), pointsOf(t, points, noon), noon.Add(-heard), was, noon); v.state != want {
			t.Errorf("%s, %s, heard for %s, was %s: %s, want %s", points, missing, heard, was, v.state, want)
		}
	}
	for _, was := range []State{OK, Firing, NoData} {
		f("- - - - -", MissingBreaching, 30*time.Second, was, was)
		f("- - - - -", MissingBreaching, 90*time.Second, was, was) // one period is heard, two are needed
		f("- - - - -", MissingBreaching, 3*time.Minute, was, Firing)
		f("- - - - -", MissingMissing, 30*time.Second, was, was)
		f("- - - - -", MissingMissing, 4*time.Minute, was, NoData)
		f("- - - - -", MissingNotBreaching, 0, was, was)
		f("- - - - -", MissingNotBreaching, 4*time.Minute, was, OK)
		f("X - - - -", MissingBreaching, 90*time.Second, was, Firing) // one breaches, one is heard
		f("X X X - -", MissingBreaching, 0, was, Firing)              // no missing one is needed
		f("0 0 0 - -", MissingBreaching, 0, was, OK)
		f("- - - - 0", MissingMissing, 0, was, OK)
		f("- - - X -", MissingMissing, 0, was, was)
	}
}

// The cases of old Heat's tests of watch rules, with the answers that CloudWatch gives.
// Periods are of 300 s; a sample is a value and its age.
func TestOldHeatsCases(t *testing.T) {
	type sample struct{ value, age float64 }
	for _, row := range []struct {
		statistic  Statistic
		comparison Comparison
		threshold  float64
		samples    []sample
		want       State
	}{
		{Minimum, LessOrEqual, 50, []sample{{77, 100}, {53, 150}}, OK},
		{Minimum, LessOrEqual, 50, []sample{{77, 100}, {53, 150}, {25, 250}}, Firing},
		{Maximum, GreaterOrEqual, 30, []sample{{7, 100}, {23, 150}}, OK},
		{Maximum, GreaterOrEqual, 30, []sample{{7, 100}, {23, 150}, {35, 150}}, Firing},
		{SampleCount, GreaterOrEqual, 3, []sample{{1, 100}, {1, 150}}, OK},
		{SampleCount, GreaterOrEqual, 3, []sample{{1, 100}, {1, 150}, {1, 200}}, Firing},
		{SampleCount, GreaterOrEqual, 3, []sample{{1, 150}, {1, 200}, {1, 400}}, OK}, // one is too old
		{Sum, GreaterOrEqual, 100, []sample{{17, 100}, {23, 150}}, OK},
		{Sum, GreaterOrEqual, 100, []sample{{17, 100}, {23, 150}, {85, 150}}, Firing},
		{Average, Greater, 100, []sample{{117, 100}, {23, 150}}, OK},
		{Average, Greater, 100, []sample{{117, 100}, {23, 150}, {195, 250}}, Firing},
		{Maximum, GreaterOrEqual, 30, []sample{{25, 150}}, OK},
		{Maximum, GreaterOrEqual, 30, []sample{{35, 150}}, Firing},
		{Maximum, GreaterOrEqual, 30, nil, NoData},
		{SampleCount, Greater, 2, nil, OK}, // old Heat read no samples as 0
		{Sum, Less, 1, nil, Firing},
	} {
		r := newRule(&Alarm{Statistic: row.statistic, Comparison: row.comparison, Threshold: row.threshold,
			Period: 5 * time.Minute, Periods: 1, Legacy: true})
		w := &window{}
		now := noon.Add(9 * time.Second) // the last second of a bucket: ages are then what they say
		for _, s := range row.samples {
			at := now.Add(-time.Duration(s.age) * time.Second)
			w.add(uint32(at.Unix()/10), Stat{1, s.value, s.value, s.value})
		}
		if v := judgeAt(&r, w, now.Add(-time.Hour), NoData, now); v.state != row.want {
			t.Errorf("%s %s %v of %v: %s, want %s", row.statistic, row.comparison, row.threshold, row.samples, v.state, row.want)
		}
	}
}

func TestReadingOfOldAlarms(t *testing.T) {
	f := func(s Statistic, c Comparison, threshold float64, want Missing) {
		t.Helper()
		a := Alarm{Statistic: s, Comparison: c, Threshold: threshold, Legacy: true}
		if got := a.Reading(); got != want {
			t.Errorf("%s %s %v: %s, want %s", s, c, threshold, got, want)
		}
		if a.Missing = MissingIgnore; a.Reading() != MissingIgnore {
			t.Errorf("%s %s %v: what the alarm says is not heeded", s, c, threshold)
		}
		if a = (Alarm{Statistic: s, Comparison: c, Threshold: threshold}); a.Reading() != MissingMissing {
			t.Errorf("%s %s %v, not of old Heat: %s", s, c, threshold, a.Reading())
		}
	}
	f(SampleCount, Less, 1, MissingBreaching)
	f(SampleCount, LessOrEqual, 0, MissingBreaching)
	f(SampleCount, Greater, 2, MissingNotBreaching)
	f(Sum, Less, 10, MissingBreaching)
	f(Sum, GreaterOrEqual, 0, MissingBreaching)
	f(Sum, Greater, 0, MissingNotBreaching)
	f(Average, Less, 1, MissingMissing)
	f(Minimum, Less, 1, MissingMissing)
}

func TestAllowedSilence(t *testing.T) {
	f := func(period time.Duration, n int, tolerance, want time.Duration) {
		t.Helper()
		a := Alarm{Period: period, Periods: n, Tolerance: tolerance}
		if got := a.Silence(); got != want {
			t.Errorf("Silence of %d × %s, tolerance %s = %s, want %s", n, period, tolerance, got, want)
		}
	}
	f(time.Minute, 1, 0, 135*time.Second)
	f(10*time.Second, 1, 0, 22500*time.Millisecond)
	f(time.Minute, 3, 0, 210*time.Second)
	f(10*time.Second, 3, 0, 45*time.Second)
	f(time.Minute, 1, time.Second, 61*time.Second)
}

func TestPresence(t *testing.T) {
	f := func(a Alarm, want bool, need float64) {
		t.Helper()
		a.Period, a.Periods = time.Minute, 1
		if got := a.Presence(); got != want {
			t.Errorf("%+v: presence %t, want %t", a, got, want)
		}
		if r := newRule(&a); r.need != need {
			t.Errorf("%+v: needs %v samples, want %v", a, r.need, need)
		}
	}
	f(Alarm{Statistic: SampleCount, Comparison: Less, Threshold: 1, Missing: MissingBreaching}, true, 1)
	f(Alarm{Statistic: SampleCount, Comparison: Less, Threshold: 1, Legacy: true}, true, 1)
	f(Alarm{Statistic: SampleCount, Comparison: LessOrEqual, Threshold: 0, Legacy: true}, true, 1)
	f(Alarm{Statistic: SampleCount, Comparison: Less, Threshold: 2.5, Missing: MissingBreaching}, true, 3)
	f(Alarm{Statistic: SampleCount, Comparison: LessOrEqual, Threshold: 2.5, Missing: MissingBreaching}, true, 3)
	f(Alarm{Statistic: SampleCount, Comparison: Less, Threshold: 1}, false, 0)
	f(Alarm{Statistic: SampleCount, Comparison: Less, Threshold: 1, Missing: MissingNotBreaching, Legacy: true}, false, 0)
	f(Alarm{Statistic: SampleCount, Comparison: Greater, Threshold: 1, Missing: MissingBreaching}, false, 0)
	f(Alarm{Statistic: Sum, Comparison: Less, Threshold: 1, Missing: MissingBreaching}, false, 0)
}
