package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// cpuAlarm is an alarm on a metric of a minute.
func cpuAlarm(name string) Alarm {
	return Alarm{
		Name: name, Namespace: "system/linux", Metric: "CPU", Statistic: Maximum, Period: time.Minute, Periods: 1, Threshold: 30,
		Comparison: GreaterOrEqual, Match: MatchSubset, ActionsEnabled: true, Origin: FromAPI,
		OnAlarm: []string{"cfnwatch:exec:a", "cfnwatch:notify"}, OnOK: []string{"https://ok.example"}, OnNoData: []string{"cfnwatch:exec:none"},
	}
}

func (b *bench) push(metric string, value float64) PutResult {
	return b.e.Put(b.now, member, []Sample{{Namespace: "system/linux", Metric: metric, Count: 1, Sum: value, Min: value, Max: value}})
}

// wanted lists the actions since it was last called.
func (b *bench) wanted() []string {
	all := b.store.Wanted()
	var list []string
	for _, w := range all[b.seen:] {
		list = append(list, fmt.Sprintf("%s %d.%d.%d %s", w.To, w.Number, w.Index, w.Repeat, w.Action))
	}
	b.seen = len(all)
	return list
}

func (b *bench) wantActions(when string, want ...string) {
	b.t.Helper()
	if got := b.wanted(); !slices.Equal(got, want) {
		b.t.Errorf("%s: actions %q, want %q", when, got, want)
	}
}

// Old Heat ran the actions of a state on every tick; they are run once, in
// their order, when the state is entered.
func TestActionsOncePerTransition(t *testing.T) {
	b := newBench(t, Options{})
	b.define(cpuAlarm("cpu"))
	b.pass(5 * time.Minute)
	b.want("cpu", NoData)
	b.wantActions("no data from the start")
	b.push("CPU", 25)
	b.pass(2 * time.Second)
	b.want("cpu", OK)
	b.wantActions("25", "OK 1.0.0 https://ok.example")
	b.pass(time.Minute)
	b.push("CPU", 35)
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
	b.wantActions("35", "ALARM 2.0.0 cfnwatch:exec:a", "ALARM 2.1.0 cfnwatch:notify")
	b.push("CPU", 36)
	b.pass(30 * time.Second)
	b.wantActions("twice 35")
	b.pass(5 * time.Minute)
	b.want("cpu", NoData)
	b.wantActions("nothing for the whole range", "INSUFFICIENT_DATA 3.0.0 cfnwatch:exec:none")
}

// A 60 s alarm is answered within two seconds, a 10 s alarm within one: old
// Heat looked once a minute whatever the period.
func TestAnswerInTime(t *testing.T) {
	for period, within := range map[time.Duration]time.Duration{time.Minute: 2 * time.Second, 10 * time.Second: time.Second} {
		b := newBench(t, Options{})
		a := cpuAlarm("cpu")
		a.Period = period
		b.define(a)
		b.pass(10 * time.Second)
		b.push("CPU", 1)
		b.tick()
		b.push("CPU", 99)
		b.pass(within)
		b.want("cpu", Firing)
	}
}

func TestDisabledActions(t *testing.T) {
	b := newBench(t, Options{})
	b.define(cpuAlarm("cpu"))
	if err := b.e.EnableActions(t.Context(), b.now, member, []string{"cpu"}, false); err != nil {
		t.Fatal(err)
	}
	b.push("CPU", 35)
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
	b.wantActions("disabled")
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Alarm: "cpu", Kinds: []EventKind{Gate}})
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want one that says why nothing was done", len(events), err)
	}
	if v, _ := b.e.View(b.now, "p", "cpu"); v.Revision != 2 || v.ActionsEnabled {
		t.Errorf("revision %d, enabled %t", v.Revision, v.ActionsEnabled)
	}
}

func TestMessagesRepeat(t *testing.T) {
	b := newBench(t, Options{})
	a := heartbeat("h")
	a.OnAlarm, a.Repeat = []string{"cfnwatch:restart:self", "https://a.example", "cfnwatch:notify"}, time.Minute
	b.define(a)
	b.beat("h")
	b.pass(136 * time.Second)
	b.wantActions("fired", "ALARM 2.0.0 cfnwatch:restart:self", "ALARM 2.1.0 https://a.example", "ALARM 2.2.0 cfnwatch:notify")
	b.pass(time.Minute)
	b.wantActions("a minute later", "ALARM 2.1.1 https://a.example", "ALARM 2.2.1 cfnwatch:notify")
	b.pass(58 * time.Second)
	b.wantActions("not yet")
	b.pass(time.Second)
	b.wantActions("two minutes later", "ALARM 2.1.2 https://a.example", "ALARM 2.2.2 cfnwatch:notify")
	if err := b.e.FlushAll(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(10 * time.Minute)
	b.restart()
	b.pass(time.Minute)
	b.wantActions("what was missed is not made up for", "ALARM 2.1.13 https://a.example", "ALARM 2.2.13 cfnwatch:notify")
	if err := b.e.EnableActions(t.Context(), b.now, member, []string{"h"}, false); err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Minute)
	b.wantActions("switched off")
	b.beat("h")
	b.pass(10 * time.Minute)
	for _, action := range b.wanted() {
		if action[:2] == "OK" {
			t.Errorf("%s, with no action for OK", action)
		}
	}
}

// Old Heat's SetAlarmState ran actions and stored no state.
func TestSetState(t *testing.T) {
	b := newBench(t, Options{})
	b.define(cpuAlarm("cpu"))
	set := func(to State) {
		t.Helper()
		if err := b.e.SetState(t.Context(), b.now, member, "cpu", to, "by hand", json.RawMessage(`{"why":"test"}`)); err != nil {
			t.Fatal(err)
		}
	}
	set(NoData)
	b.wantActions("to the state it is in")
	set(Firing)
	b.want("cpu", Firing)
	b.wantActions("to ALARM", "ALARM 1.0.0 cfnwatch:exec:a", "ALARM 1.1.0 cfnwatch:notify")
	v, _ := b.e.View(b.now, "p", "cpu")
	if v.Reason != "by hand" || string(v.Data) != `{"why":"test"}` || !v.Since.Equal(b.now) {
		t.Errorf("reason %q, data %s, since %s", v.Reason, v.Data, v.Since)
	}
	b.pass(59 * time.Second)
	b.want("cpu", Firing)
	b.pass(5 * time.Minute)
	b.want("cpu", NoData) // the next evaluation
	set(Firing)
	b.push("CPU", 1)
	b.pass(2 * time.Second)
	b.want("cpu", OK) // the next sample

	for _, bad := range []State{"", "None", "BADSTATE", "HGJHGJHG", "1234", `!\*(&%`, "alarm"} {
		err := b.e.SetState(t.Context(), b.now, member, "cpu", bad, "", nil)
		if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Code != InvalidValue {
			t.Errorf("SetState(%q): %v", bad, err)
		}
	}
	// CloudWatch bounds HistoryData.
	long := json.RawMessage(`"` + strings.Repeat("x", 3_990) + `"`)
	if err := b.e.SetState(t.Context(), b.now, member, "cpu", Firing, "long", long); err != nil {
		t.Fatal(err)
	}
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Alarm: "cpu", Kinds: []EventKind{StateUpdate}, Limit: 1})
	if err != nil || len(events) != 1 || len(events[0].Data) > 4_095 || !strings.Contains(string(events[0].Data), `"stateReason":"long"`) {
		t.Errorf("history %v, %v; want what fits", events, err)
	}
	err = b.e.SetState(t.Context(), b.now, member, "cpu", OK, "", json.RawMessage("{"))
	if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Code != "InvalidFormat" {
		t.Errorf("data that is no JSON: %v", err)
	}
}

func TestDefineKeepsTheState(t *testing.T) {
	b := newBench(t, Options{})
	first := b.define(cpuAlarm("cpu"))
	b.push("CPU", 35)
	b.pass(2 * time.Second)
	b.want("cpu", Firing)
	if again := b.define(cpuAlarm("cpu")); again.Revision != 1 {
		t.Errorf("revision %d though nothing changed", again.Revision)
	}
	b.pass(time.Second)
	a := cpuAlarm("cpu")
	a.Threshold = 40
	second := b.define(a)
	if second.ID != first.ID || second.Revision != 2 || !second.Created.Equal(first.Created) || !second.Updated.Equal(b.now) {
		t.Errorf("redefined: %+v, was %+v", second, first)
	}
	b.want("cpu", Firing) // until it is judged
	b.pass(2 * time.Second)
	b.want("cpu", OK) // by the samples that it has
	a.Metric = "Memory"
	b.define(a)
	b.pass(4 * time.Minute)
	b.want("cpu", NoData)
	if err := b.e.Delete(t.Context(), b.now, member, []string{"cpu"}); err != nil {
		t.Fatal(err)
	}
	if third := b.define(a); third.ID == first.ID {
		t.Error("the ID of a deleted alarm is used again")
	}
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Alarm: "cpu", Kinds: []EventKind{ConfigurationUpdate}, OldestFirst: true})
	var summaries []string
	for _, event := range events {
		summaries = append(summaries, event.Summary)
	}
	want := []string{`Alarm "cpu" created`, `Alarm "cpu" updated`, `Alarm "cpu" updated`, `Alarm "cpu" deleted`, `Alarm "cpu" created`}
	if err != nil || !slices.Equal(summaries, want) {
		t.Errorf("history %q, %v; want %q", summaries, err, want)
	}
}

func TestLimitOfAlarms(t *testing.T) {
	b := newBench(t, Options{AlarmsPerProject: 2})
	b.define(cpuAlarm("1"))
	b.define(cpuAlarm("2"))
	_, err := b.e.Define(t.Context(), b.now, member, cpuAlarm("3"))
	if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Code != LimitExceeded {
		t.Errorf("the third of two: %v", err)
	}
	changed := cpuAlarm("2")
	changed.Threshold = 1
	b.define(changed)
	rules := cpuAlarm("4")
	rules.Origin, rules.Project = FromRules, "p"
	if _, err := b.e.Define(t.Context(), b.now, op, rules); err != nil {
		t.Errorf("the operator's: %v", err)
	}
}

// What a project's alarms may keep is bounded with their number: one that looks
// back over a day in steps of a second keeps a megabyte and more.
func TestLimitOfWindows(t *testing.T) {
	b := newBench(t, Options{AlarmsPerProject: 300}) // 150,000 buckets
	long := func(name string) Alarm {
		a := cpuAlarm(name)
		a.Period, a.Periods, a.Range = 10*time.Second, 8640, 8640
		return a
	}
	refused := func(when string, a Alarm) {
		t.Helper()
		_, err := b.e.Define(t.Context(), b.now, member, a)
		if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Code != LimitExceeded {
			t.Errorf("%s: %v, want it refused", when, err)
		}
	}
	b.define(long("1"))
	refused("two days in seconds", long("2"))
	often := heartbeat("3")
	often.Threshold, often.Tolerance = 5, 24*time.Hour
	refused("arrivals of a day", often)
	changed := long("1")
	changed.Threshold = 1
	b.define(changed)
	short := cpuAlarm("1")
	b.define(short)
	b.define(long("2"))
	if err := b.e.Delete(t.Context(), b.now, member, []string{"2"}); err != nil {
		t.Fatal(err)
	}
	b.define(often)
	rules := long("4")
	rules.Origin, rules.Project = FromRules, "p"
	if _, err := b.e.Define(t.Context(), b.now, op, rules); err != nil {
		t.Errorf("the operator's: %v", err)
	}
}

// A push of many samples, each for many alarms, leaves others their turn: one
// that looks on sees it half done. On a busy machine who looks on may not run
// while one push does.
func TestOneLargePushKeepsNobodyWaiting(t *testing.T) {
	b := newBench(t, Options{})
	for i := range 2 * putSlice {
		b.define(cpuAlarm(fmt.Sprint(i)))
	}
	samples := make([]Sample, 200)
	for i := range samples {
		samples[i] = Sample{Namespace: "system/linux", Metric: "CPU", Count: 1, Sum: 1, Min: 1, Max: 1}
	}
	half := false
	for pushes := 0; !half && pushes < 50; pushes++ {
		done := make(chan PutResult, 1)
		go func() { done <- b.e.Put(b.now, member, samples) }()
		for ; len(done) == 0; runtime.Gosched() {
			v, _ := b.e.View(b.now, "p", "0")
			half = half || v.Fed && int(v.Points[0].Count)%len(samples) != 0
		}
		if r := <-done; r.Fed != len(samples) {
			t.Fatalf("%d samples fed, want %d", r.Fed, len(samples))
		}
	}
	if !half {
		t.Error("no push was seen half done")
	}
}

// Who pushes right and wrong by turns does not fill the history.
func TestRefusedByTurnsIsToldOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	for range 100 {
		b.beat("h")
		b.e.SignOfLife(b.now, guest.Access)
		b.pass(time.Second)
	}
	events, _, err := b.store.Events(t.Context(), EventQuery{Alarm: "h", Kinds: []EventKind{Deafness}})
	if err != nil || len(events) != 1 {
		t.Errorf("the history was told %d times, %v, want once", len(events), err)
	}
}

// While nothing can be stored no state changes, and afterwards only to what is
// then true.
func TestStoreAway(t *testing.T) {
	b := newBench(t, Options{})
	b.define(cpuAlarm("cpu"))
	b.push("CPU", 1)
	b.pass(2 * time.Second)
	b.want("cpu", OK)
	b.wanted()
	f := &flaky{Memory: b.store, down: true}
	b.e.Store = f
	b.push("CPU", 35)
	b.pass2(10*time.Second, func(time.Time) {})
	b.want("cpu", OK)
	b.e.Deaf(b.now, "a test")
	if _, err := b.e.Tick(t.Context(), b.now); !errors.Is(err, errDown) {
		t.Errorf("Tick: %v, want %v", err, errDown)
	}
	if _, err := b.e.Define(t.Context(), b.now, member, cpuAlarm("new")); !errors.Is(err, errDown) {
		t.Errorf("Define: %v", err)
	}
	b.pass2(2*time.Minute, func(time.Time) { b.push("CPU", 1) })
	f.down = false
	b.pass(time.Minute)
	b.want("cpu", OK)
	b.wantActions("ALARM came and went while nothing could be stored")
	events, _, err := b.e.Events(t.Context(), op, EventQuery{Kinds: []EventKind{Deafness}})
	if err != nil || len(events) != 2 || events[0].Summary != "listens anew: a test" {
		t.Errorf("history %v, %v; want the start, and what was told while nothing could be stored", events, err)
	}
	if _, ok := b.e.View(b.now, "p", "new"); ok {
		t.Error("an alarm that was not stored is there")
	}
}

// A tick judges 5,000 alarms at most, and says that there is more.
func TestTicksAreCutInSlices(t *testing.T) {
	b := newBench(t, Options{AlarmsPerProject: 20_000})
	for i := range 2*slice + 1 {
		b.define(heartbeat(fmt.Sprint(i)))
		b.beat(fmt.Sprint(i))
	}
	for i, want := range []int{slice, slice, 1, 0} {
		res, err := b.e.Tick(t.Context(), b.now)
		if err != nil || len(res.Batch.Transitions) != want || res.More != (i < 2) {
			t.Errorf("tick %d: %d transitions, more %t, %v; want %d", i, len(res.Batch.Transitions), res.More, err, want)
		}
	}
	if totals := b.e.Totals(); totals.OK != 2*slice+1 || totals.NoData != 0 || totals.NeverFed != 0 {
		t.Errorf("totals %+v", totals)
	}
}

// Only the samples of one instance tell which it is.
func TestInstanceOfAnAlarm(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	beat := func(id string) {
		b.e.Put(b.now, guest, []Sample{{Metric: "Heartbeat", Alarm: "h", Count: 1, Dimensions: []Dimension{{"InstanceId", id}}}})
	}
	want := func(id string, mixed bool) {
		t.Helper()
		if v, _ := b.e.View(b.now, "p", "h"); v.Instance != id || v.Mixed != mixed {
			t.Errorf("instance %q, mixed %t; want %q, %t", v.Instance, v.Mixed, id, mixed)
		}
	}
	beat("one")
	b.pass(time.Minute)
	beat("one")
	want("one", false)
	b.pass(time.Minute)
	beat("two")
	want("two", true)
	b.pass(2 * time.Minute)
	beat("two")
	b.pass(time.Minute)
	want("two", false)
	if err := b.e.FlushAll(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	b.restart()
	want("two", false)
}

// Old Heat took the first datum of a request alone, and gave its value to the
// alarm that a later one named.
func TestEveryDatumGoesItsOwnWay(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("one"))
	b.define(heartbeat("two"))
	r := b.e.Put(b.now, guest, []Sample{
		{Metric: "Heartbeat", Alarm: "one", Count: 1}, {Metric: "Heartbeat", Alarm: "two", Count: 1}, {Metric: "Other", Alarm: "one", Count: 1},
		{Namespace: "n", Metric: "no alarm", Count: 1}, {Metric: "Heartbeat", Alarm: "one", Count: 1, Time: b.now.Add(-15 * 24 * time.Hour)},
	})
	if want := (PutResult{Fed: 3, Unknown: 2, Untimely: 1}); r != want {
		t.Errorf("Put = %+v, want %+v", r, want)
	}
	b.tick()
	b.want("one", OK)
	b.want("two", OK)
}

func TestMetricsForPeople(t *testing.T) {
	b := newBench(t, Options{SeriesPerProject: 3, Series: 4})
	b.now = b.now.Truncate(time.Minute)
	b.push("A", 1)
	b.push("A", 3)
	b.now = b.now.Add(time.Minute)
	b.push("A", 10)
	b.push("B", 1)
	b.push("C", 1)
	if r := b.push("D", 1); r.Dropped != 1 {
		t.Errorf("the fourth metric of three: %+v", r)
	}
	if r := b.push("A", 20); r.Dropped != 0 {
		t.Errorf("a metric that is there: %+v", r)
	}
	q := Caller{Project: "q", Role: Member}
	b.e.Put(b.now, q, []Sample{{Namespace: "n", Metric: "x", Count: 1}})
	if r := b.e.Put(b.now, q, []Sample{{Namespace: "n", Metric: "y", Count: 1}}); r.Dropped != 1 {
		t.Errorf("the fifth metric of four: %+v", r)
	}
	names := func(c Caller, query MetricQuery) (list []string) {
		for _, m := range b.e.ListMetrics(b.now, c, query) {
			list = append(list, m.Name)
		}
		return list
	}
	if got := names(member, MetricQuery{}); !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("metrics %q", got)
	}
	if got := names(q, MetricQuery{Project: "p"}); !slices.Equal(got, []string{"x"}) {
		t.Errorf("another project sees %q", got)
	}
	got := b.e.Statistics(member, StatisticsQuery{Namespace: "system/linux", Name: "A", From: b.begun, To: b.now.Add(time.Minute), Period: time.Minute})
	want := []Datapoint{{Time: b.begun.Local(), Stat: Stat{2, 4, 1, 3}}, {Time: b.begun.Add(time.Minute).Local(), Stat: Stat{2, 30, 10, 20}}}
	if !slices.Equal(got, want) {
		t.Errorf("Statistics = %v, want %v", got, want)
	}
	got = b.e.Statistics(member, StatisticsQuery{Namespace: "system/linux", Name: "A", From: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), Period: time.Minute})
	if !slices.Equal(got, want) {
		t.Errorf("Statistics of all time, as clients spell its ends, = %v, want %v", got, want)
	}
	b.pass(4 * time.Hour)
	if err := b.e.Flush(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	if got := names(member, MetricQuery{}); len(got) != 0 || b.e.Totals().Series != 0 {
		t.Errorf("metrics %q after the retention", got)
	}
}

// A value that is no number never reaches the engine; what is far from it is
// judged like any.
func TestHugeValues(t *testing.T) {
	b := newBench(t, Options{})
	a := cpuAlarm("cpu")
	a.Statistic = Average
	b.define(a)
	b.push("CPU", mostValue)
	b.push("CPU", -mostValue)
	b.pass(3 * time.Second)
	b.want("cpu", OK)
	if v, _ := b.e.View(b.now, "p", "cpu"); !json.Valid(v.Data) {
		t.Errorf("data %s", v.Data)
	}
}

// What is set by hand says nothing of arrivals, even if its data looks as if it
// had been judged by them: a restart once took a guest that was never there for one
// that had died.
func TestSetStateIsNotTakenForJudged(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	data := json.RawMessage(`{"version":"1.0","allowedSilence":135,"text":"\"allowedSilence\":1"}`)
	if err := b.e.SetState(t.Context(), b.now, member, "h", Firing, "by hand", data); err != nil {
		t.Fatal(err)
	}
	var kept, given any
	if v, _ := b.e.View(b.now, "p", "h"); json.Unmarshal(v.Data, &kept) != nil || json.Unmarshal(data, &given) != nil || !reflect.DeepEqual(kept, given) {
		t.Errorf("the data is %s, want %s", v.Data, data)
	}
	b.restart()
	b.pass(10 * time.Minute)
	b.want("h", NoData)
}
