package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The model keeps every sample and looks at every alarm in every tick: slow,
// and simple enough to be believed. It shares no code with the engine but the
// types.

type fedSample struct {
	at      time.Time     // of the sample, by a clock that was right at the start and never set
	arrived time.Duration // by the clock that nobody sets
	count   float64
	sum     float64
	min     float64
	max     float64
}

type modelAlarm struct {
	def     Alarm
	id      int64
	state   State
	number  int
	samples []fedSample
	fed     bool
	from    time.Duration // absence counts from here
	held    time.Duration // state set by hand until then
	waiting bool          // it is to be looked at for a command, or because the store failed
	fresh   bool          // a sample came since it was last looked at
	seen    string        // what its periods held when it was last looked at, and those samples
	cell    int64
}

type model struct {
	alarms    map[string]*modelAlarm
	listening time.Duration
	offset    time.Time // wall clock at elapsed 0, as it is set now
	steady    time.Time // likewise, as it was set when the server started
	elapsed   time.Duration
	lastTick  time.Duration
	lastWall  time.Time
	down      bool // the store fails
	wanted    []string
}

// listen is after deafness, for which alone nothing is looked at: it tells less
// than was known.
func (m *model) listen() {
	changed := map[*modelAlarm]bool{}
	for _, a := range m.alarms {
		_, seen := m.points(a)
		changed[a] = seen != a.seen
	}
	m.listening = m.elapsed
	for a, was := range changed {
		if !was {
			_, a.seen = m.points(a)
		}
	}
}

func (m *model) wall() time.Time { return m.offset.Add(m.elapsed) }

// now is the time by which samples are told apart.
func (m *model) now() time.Time { return m.steady.Add(m.elapsed) }

func (a *modelAlarm) width() int64 { return max(1, int64(a.def.Period/time.Second)/30) }

func (a *modelAlarm) count() (n, mOf, r int) {
	n, mOf, r = a.def.Periods, a.def.Datapoints, a.def.Range
	if mOf == 0 {
		mOf = n
	}
	if r == 0 {
		if r = n + 2; a.def.Legacy {
			r = n
		}
	}
	return n, mOf, r
}

func (a *modelAlarm) breaching(v float64) bool {
	switch a.def.Comparison {
	case Less:
		return v < a.def.Threshold
	case LessOrEqual:
		return v <= a.def.Threshold
	case Greater:
		return v > a.def.Threshold
	default:
		return v >= a.def.Threshold
	}
}

func (a *modelAlarm) missing() Missing {
	if a.def.Missing == "" && a.def.Legacy && (a.def.Statistic == Sum || a.def.Statistic == SampleCount) {
		if a.breaching(0) {
			return MissingBreaching
		}
		return MissingNotBreaching
	}
	if a.def.Missing == "" {
		return MissingMissing
	}
	return a.def.Missing
}

func (a *modelAlarm) presence() bool {
	return a.def.Statistic == SampleCount && (a.def.Comparison == Less || a.def.Comparison == LessOrEqual) && a.missing() == MissingBreaching
}

func (a *modelAlarm) silence() time.Duration {
	p, n := a.def.Period, time.Duration(a.def.Periods)
	if a.def.Tolerance > 0 {
		return p*n + a.def.Tolerance
	}
	if n == 1 {
		return p + p + p/4
	}
	return p*n + max(15*time.Second, p/2)
}

// period is the number of the period that a sample is in, from 0, the newest.
func (m *model) period(a *modelAlarm, at time.Time) (number int, ahead bool) {
	w := a.width()
	end := (m.now().Unix()/w + 1) * w
	begin := at.Unix() / w * w
	if begin >= end {
		return 0, true
	}
	return int((end - begin - w) / int64(a.def.Period/time.Second)), false
}

// heardWhole is whether all of a period was listened to.
func (m *model) heardWhole(a *modelAlarm, number int) bool {
	w := a.width()
	end := time.Unix((m.now().Unix()/w+1)*w, 0)
	begin := end.Add(-time.Duration(number+1) * a.def.Period)
	return !begin.Before(m.steady.Add(m.listening))
}

func (m *model) points(a *modelAlarm) ([]*float64, string) {
	var values []*float64
	var seen []byte
	_, _, r := a.count()
	groups := make([][]fedSample, r)
	for _, s := range a.samples {
		if number, ahead := m.period(a, s.at); !ahead && number < r {
			groups[number] = append(groups[number], s)
		}
	}
	for i, g := range groups {
		var v *float64
		if len(g) > 0 {
			count, sum, low, high := 0.0, 0.0, math.Inf(1), math.Inf(-1)
			for _, s := range g {
				count, sum, low, high = count+s.count, sum+s.sum, min(low, s.min), max(high, s.max)
			}
			var value float64
			switch a.def.Statistic {
			case SampleCount:
				value = count
			case Sum:
				value = sum
			case Minimum:
				value = low
			case Maximum:
				value = high
			default:
				value = sum / count
			}
			v = &value
		}
		values = append(values, v)
		seen = strconv.AppendBool(append(seen, ';'), m.heardWhole(a, i))
		for _, s := range g {
			seen = strconv.AppendInt(append(seen, ','), s.at.Unix()/a.width(), 10)
		}
	}
	return values, string(seen)
}

// verdict is the rules of missing datapoints, by cases.
func (m *model) verdict(a *modelAlarm) State {
	n, mOf, _ := a.count()
	values, _ := m.points(a)
	var numbers []int // of real points
	breach, heardMissing := 0, 0
	for i, v := range values {
		switch {
		case v == nil && m.heardWhole(a, i):
			heardMissing++
		case v != nil:
			numbers = append(numbers, i)
			if a.breaching(*v) {
				breach++
			}
		}
	}
	firingIf := func(yes bool) State {
		if yes {
			return Firing
		}
		return OK
	}
	if len(numbers) >= n {
		newest := 0
		for _, i := range numbers[:n] {
			if a.breaching(*values[i]) {
				newest++
			}
		}
		return firingIf(newest >= mOf)
	}
	if breach >= mOf {
		return Firing
	}
	fill := n - len(numbers)
	known := heardMissing >= fill
	switch a.missing() {
	case MissingBreaching:
		if breach+min(fill, heardMissing) >= mOf {
			return Firing
		}
		if known || breach+fill < mOf {
			return OK
		}
		return a.state
	case MissingNotBreaching:
		if known || breach+fill < mOf {
			return OK
		}
		return a.state
	}
	if len(numbers) > breach {
		return OK
	}
	if a.missing() == MissingIgnore || !known {
		return a.state
	}
	if len(numbers) == 0 {
		return NoData
	}
	return map[bool]State{true: Firing, false: a.state}[slices.Max(numbers)+1 >= mOf]
}

func (m *model) presenceVerdict(a *modelAlarm) State {
	need := math.Ceil(a.def.Threshold)
	if a.def.Comparison == LessOrEqual {
		need = math.Floor(a.def.Threshold) + 1
	}
	w, arrived, last := a.silence(), 0.0, time.Duration(0)
	for _, s := range a.samples {
		last = max(last, s.arrived)
		if m.elapsed < s.arrived+w || need > 1 && m.elapsed < s.arrived+time.Second+w {
			arrived += s.count
		}
	}
	from := max(a.from, m.listening)
	switch {
	case need <= 0:
		return OK
	case need == 1 && arrived > 0, need > 1 && arrived >= need:
		return OK
	case !a.fed && a.def.StartAfter == 0:
		return NoData
	case m.elapsed >= from+w && (need > 1 || !a.fed || m.elapsed >= max(from, last)+w):
		return Firing
	}
	return a.state
}

// tick is a second's work.
func (m *model) tick() {
	if passed := m.elapsed - m.lastTick; m.wall().Sub(m.lastWall)-passed > 2*time.Second || m.wall().Sub(m.lastWall)-passed < -2*time.Second {
		m.listen()
	} else if passed > 6*time.Second {
		m.listen()
	}
	m.lastTick, m.lastWall = m.elapsed, m.wall()
	for _, a := range m.alarms {
		m.look(a)
	}
}

// restart is of a server that then goes by the wall clock as it is. What its
// windows had is stored by it, in whole buckets that are never younger than they
// were, and not at all where it is ahead: the clock may have been set back since.
func (m *model) restart() {
	by := m.offset.Sub(m.steady)
	m.steady = m.offset
	for _, a := range m.alarms {
		if a.presence() {
			continue
		}
		w := time.Duration(a.width()) * time.Second
		whole := by / w
		if by%w < 0 {
			whole--
		}
		for i, s := range a.samples {
			a.samples[i].at = time.Unix(s.at.Unix()/a.width()*a.width(), 0).Add(whole * w)
		}
		a.samples = slices.DeleteFunc(a.samples, func(s fedSample) bool {
			_, ahead := m.period(a, s.at)
			return ahead
		})
	}
}

func (m *model) look(a *modelAlarm) {
	var to State
	if a.presence() {
		if m.elapsed < a.held {
			return
		}
		to = m.presenceVerdict(a)
	} else {
		_, seen := m.points(a)
		cadence := min(a.width(), 60)
		cell := m.now().Unix() / cadence
		changed := a.fresh && cell != a.cell || seen != a.seen
		over := a.held != 0 && m.elapsed >= a.held
		if !a.waiting && !changed && !over {
			return
		}
		if a.fresh {
			a.cell = cell
		}
		a.fresh, a.seen, a.waiting = false, seen, false
		if m.elapsed < a.held {
			return
		}
		to = m.verdict(a)
	}
	a.held = 0
	if to == a.state {
		return
	}
	if m.down {
		a.waiting = true
		return
	}
	m.enter(a, to)
}

func (m *model) enter(a *modelAlarm, to State) {
	a.state = to
	a.number++
	actions := map[State][]string{OK: a.def.OnOK, Firing: a.def.OnAlarm, NoData: a.def.OnNoData}[to]
	if a.def.ActionsEnabled {
		for i, action := range actions {
			m.wanted = append(m.wanted, fmt.Sprint(a.def.Name, " ", a.number, " ", i, " ", action))
		}
	}
}

// feeds says whether a caller's sample is for an alarm.
func feeds(c Caller, s Sample, a Alarm, presence bool) bool {
	if c.Stack != "" && a.Stack != "*" && a.Stack != c.Stack {
		return false
	}
	if a.Unit != "" && a.Unit != s.Unit {
		return false
	}
	if s.Alarm != "" {
		return s.Alarm == a.Name && s.Metric == a.Metric
	}
	if s.Namespace != a.Namespace || s.Metric != a.Metric || presence && len(a.Dimensions) == 0 {
		return false
	}
	for _, d := range a.Dimensions {
		if !slices.Contains(s.Dimensions, d) {
			return false
		}
	}
	return a.Match == MatchSubset || len(a.Dimensions) == len(s.Dimensions)
}

func (m *model) put(c Caller, samples []Sample) {
	replayed := map[string]bool{}
	for _, s := range samples {
		for _, a := range m.alarms {
			if feeds(c, s, a.def, a.presence()) {
				m.feed(a, s, replayed)
			}
		}
	}
}

func (m *model) feed(a *modelAlarm, s Sample, replayed map[string]bool) {
	at := s.Time
	if at.IsZero() {
		at = m.wall()
	}
	f := fedSample{m.now().Add(at.Sub(m.wall())), m.elapsed, s.Count, s.Sum, s.Min, s.Max}
	if a.presence() {
		a.held = 0
		if !a.fed && a.def.StartAfter == 0 {
			a.from = max(a.from, m.elapsed)
		}
		a.fed = true
		if old := at.Before(m.wall().Add(-a.def.Period)); old {
			f.count = 1
			if replayed[a.def.Name] {
				f.count = 0
			}
			replayed[a.def.Name] = true
		}
		a.samples = append(a.samples, f)
		return
	}
	_, _, r := a.count()
	number, ahead := m.period(a, f.at)
	if !ahead && number >= r || at.Before(m.wall().Add(-14*24*time.Hour)) {
		return
	}
	if ahead {
		w := a.width()
		reach := min(max(int64(r)*int64(a.def.Period/time.Second), 300/w*w), 7200/w*w)
		if f.at.Unix()/w*w >= (m.now().Unix()/w+1)*w+reach {
			return
		}
	}
	// What has left the range is gone, though it might be in that of another definition.
	a.samples = slices.DeleteFunc(a.samples, func(s fedSample) bool {
		n, ahead := m.period(a, s.at)
		return !ahead && n >= r
	})
	_, before := m.points(a)
	a.samples, a.fresh, a.held = append(a.samples, f), true, 0
	if before == a.seen { // periods that time changed are another matter
		_, a.seen = m.points(a)
	}
}

// flaky is a store that fails while it is down.
type flaky struct {
	*Memory
	down bool
}

var errDown = errors.New("disk full")

func (f *flaky) Record(ctx context.Context, b Batch) error {
	if f.down {
		return errDown
	}
	return f.Memory.Record(ctx, b)
}

func (f *flaky) PutAlarm(ctx context.Context, a Alarm, events []Event) (Alarm, error) {
	if f.down {
		return Alarm{}, errDown
	}
	return f.Memory.PutAlarm(ctx, a, events)
}

// A history is a random sequence of data, time and commands.
type history struct {
	t     *testing.T
	rnd   *rand.Rand
	m     *model
	b     *bench
	store *flaky
	log   []func() string // what was done, said if it fails
}

// note remembers what is done: saying it costs more than doing it.
func (h *history) note(format string, args ...any) {
	h.log = append(h.log, func() string { return fmt.Sprintf(format, args...) })
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), store: &flaky{Memory: NewMemory()}}
	h.b = newBench(t, Options{Store: h.store})
	h.m = &model{alarms: map[string]*modelAlarm{}, offset: h.b.begun, steady: h.b.begun, lastWall: h.b.begun}
	for i := range 1 + h.rnd.IntN(3) {
		h.define(fmt.Sprint("a", i))
	}
	return h
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (h *history) define(name string) {
	r := h.rnd
	a := Alarm{
		Name: name, Project: "p", Namespace: pick(r, "n", "m"), Metric: pick(r, "x", "y"), Unit: pick(r, "", "", "", "Count"),
		Statistic: pick(r, SampleCount, SampleCount, Average, Sum, Minimum, Maximum), Comparison: pick(r, Less, LessOrEqual, Greater, GreaterOrEqual),
		Period: time.Duration(pick(r, 10, 20, 30, 60, 60, 60, 120, 300)) * time.Second, Periods: 1 + r.IntN(3),
		Threshold: pick(r, 1.0, 1, 2, 0, 3.5), Missing: pick(r, "", MissingMissing, MissingIgnore, MissingBreaching, MissingBreaching, MissingNotBreaching),
		Legacy: r.IntN(4) == 0, ActionsEnabled: r.IntN(5) > 0, OnAlarm: []string{"cfnwatch:notify", "cfnwatch:exec:x"}, OnOK: []string{"cfnwatch:notify"},
		Stack: pick(r, "", "web", "*"), Match: pick(r, MatchExact, MatchSubset), StartAfter: pick(r, 0, 0, 0, 90*time.Second),
		Dimensions: pick(r, nil, []Dimension{{"d", "1"}}, []Dimension{{"d", "1"}, {"e", "2"}}),
		Tolerance:  pick(r, 0, 0, 7*time.Second),
	}
	if r.IntN(2) == 0 {
		a.Datapoints = 1 + r.IntN(a.Periods)
	}
	if r.IntN(4) == 0 {
		a.Range = a.Periods + r.IntN(3)
	}
	h.note("define %+v", a)
	stored, err := h.b.e.Define(h.t.Context(), h.b.now, op, a)
	if h.store.down {
		if !errors.Is(err, errDown) {
			h.fail("Define while the store is down: %v", err)
		}
		return
	}
	if err != nil {
		h.fail("Define: %v", err)
	}
	h.m.define(stored)
}

func (m *model) define(a Alarm) {
	was := m.alarms[a.Name]
	now := &modelAlarm{def: a, id: a.ID, state: NoData, waiting: true, cell: -1}
	if was != nil {
		now.state, now.number = was.state, was.number
		needs := func(a *modelAlarm) bool {
			return a.presence() && (a.def.Threshold > 1 || a.def.Comparison == LessOrEqual && a.def.Threshold == 1)
		}
		same := was.def.Namespace == a.Namespace && was.def.Metric == a.Metric && was.def.Unit == a.Unit && was.width() == now.width() &&
			was.presence() == now.presence() && needs(was) == needs(now) && slices.Equal(was.def.Dimensions, a.Dimensions) &&
			was.def.Match == a.Match && was.def.Stack == a.Stack
		if same {
			now.samples, now.fed, now.from = was.samples, was.fed, was.from
		}
	}
	if a.StartAfter != 0 && !now.fed {
		now.from = a.Created.Add(a.StartAfter).Sub(m.offset)
	}
	m.alarms[a.Name] = now
}

// samples makes those of a random push.
func (h *history) samples() []Sample {
	r := h.rnd
	list := make([]Sample, 1+r.IntN(3))
	for i := range list {
		v := float64(r.IntN(5))
		s := Sample{Namespace: pick(r, "n", "m"), Metric: pick(r, "x", "y"), Unit: pick(r, "", "Count"), Count: 1, Sum: v, Min: v, Max: v}
		s.Dimensions = pick(r, nil, []Dimension{{"d", "1"}}, []Dimension{{"d", "1"}, {"e", "2"}}, []Dimension{{"e", "2"}})
		if r.IntN(2) == 0 {
			s.Alarm = fmt.Sprint("a", r.IntN(4))
		}
		if r.IntN(6) == 0 {
			s.Count, s.Sum, s.Max = 3, 2*v+1, v+1
		}
		if r.IntN(3) == 0 {
			s.Time = h.b.now.Add(time.Duration(pick(r, -1, -20, -60, -150, -400, -2000, 3, 45, 400)) * time.Second)
		}
		list[i] = s
	}
	return list
}

func (h *history) put() {
	c := pick(h.rnd, member, guest, Caller{Access: "H", Project: "p", Stack: "db", Role: Guest})
	list := h.samples()
	h.note("put by %s %+v", c.Access, list)
	h.b.e.Put(h.b.now, c, list)
	h.m.put(c, list)
}

// pass lets time pass in steps with ticks.
func (h *history) pass(step time.Duration, steps int) {
	h.note("%d × %s", steps, step)
	for range steps {
		h.b.now = h.b.now.Add(step)
		h.m.elapsed += step
		h.tick()
	}
}

func (h *history) tick() {
	for {
		res, err := h.b.e.Tick(h.t.Context(), h.b.now)
		if err != nil && !h.store.down {
			h.fail("Tick: %v", err)
		}
		if !res.More {
			break
		}
	}
	h.m.tick()
	h.compare()
}

func (h *history) compare() {
	for name, a := range h.m.alarms {
		v := h.b.e.view(h.b.e.alarm(h.b.e.projects["p"], name), h.b.now) // View's datapoints take longer than all else
		if v.State != a.state || v.Number != a.number {
			h.note("%+v", *a)
			h.fail("at %s (%s), listening %s/%s: alarm %s is %s, number %d (%s), next look %s; want %s, number %d", h.m.elapsed, h.m.wall().Format(time.TimeOnly), h.m.listening, h.b.e.Listening().Sub(h.b.begun), name, v.State, v.Number, v.Reason, v.NextLook.Format(time.TimeOnly), a.state, a.number)
		}
		if want := a.presence() && h.m.silent(a); v.Silent != want {
			h.fail("alarm %s: silent %t, want %t", name, v.Silent, want)
		}
	}
}

// silent is whether a presence alarm would fire, whatever was set by hand.
func (m *model) silent(a *modelAlarm) bool {
	probe := *a
	probe.state = OK
	return m.presenceVerdict(&probe) == Firing
}

func (h *history) clock() {
	d := time.Duration(pick(h.rnd, -3600, -61, -7, 7, 61, 3600)) * time.Second
	h.note("clock %s", d)
	h.b.now, h.b.set, h.m.offset = h.b.now.Add(d), h.b.set+d, h.m.offset.Add(d)
}

func (h *history) setState() {
	name, to := fmt.Sprint("a", h.rnd.IntN(2)), pick(h.rnd, OK, Firing, NoData)
	a := h.m.alarms[name]
	h.note("set %s %s", name, to)
	err := h.b.e.SetState(h.t.Context(), h.b.now, member, name, to, "by hand", nil)
	switch {
	case a == nil && errors.Is(err, ErrNotFound), h.store.down && errors.Is(err, errDown):
		return
	case err != nil:
		h.fail("SetState: %v", err)
	}
	if a.state != to {
		h.m.enter(a, to)
	}
	a.held = h.m.elapsed + time.Minute
	if a.def.Period < time.Minute {
		a.held = h.m.elapsed + 10*time.Second
	}
}

func (h *history) deaf() {
	h.note("deaf")
	h.b.e.Deaf(h.b.now, "test")
	h.m.listen()
}

// restart stops the server cleanly and starts it again.
func (h *history) restart() {
	h.tick() // what a set clock changes is known, and flushed
	h.note("restart")
	if err := h.b.e.FlushAll(h.t.Context(), h.b.now); err != nil {
		h.fail("FlushAll: %v", err)
	}
	h.b.start(Options{Store: h.store})
	m := h.m
	m.listen()
	m.lastTick, m.lastWall = m.elapsed, m.wall()
	m.restart()
	for _, a := range m.alarms {
		a.held, a.waiting, a.cell, a.from = 0, true, -1, 0
		if a.def.StartAfter != 0 && !a.fed {
			a.from = a.def.Created.Add(a.def.StartAfter).Sub(m.offset)
		}
	}
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	for _, said := range h.log {
		h.t.Log(said())
	}
	h.t.Fatalf(format, args...)
}

func (h *history) run() {
	for range 25 {
		switch n := h.rnd.IntN(100); {
		case n < 40:
			h.put()
		case n < 75:
			h.pass(time.Duration(1+h.rnd.IntN(5))*time.Second, 1+h.rnd.IntN(12))
		case n < 80:
			h.pass(time.Duration(7+h.rnd.IntN(200))*time.Second, 1)
		case n < 84:
			h.clock()
		case n < 88:
			h.setState()
		case n < 91:
			h.define(fmt.Sprint("a", h.rnd.IntN(4)))
		case n < 93:
			h.deaf()
		case n < 96:
			h.restart()
		default:
			h.note("store down: %t", !h.store.down)
			h.store.down = !h.store.down
			h.m.down = h.store.down
		}
	}
	h.store.down, h.m.down = false, false
	h.pass(5*time.Second, 30)
	var got []string
	for _, w := range h.store.Wanted() {
		got = append(got, fmt.Sprint(w.Alarm, " ", w.Number, " ", w.Index, " ", w.Action))
	}
	slices.Sort(got)
	slices.Sort(h.m.wanted)
	if !slices.Equal(got, h.m.wanted) {
		h.fail("actions wanted: %q, want %q", got, h.m.wanted)
	}
}

func TestEngineIsTheModel(t *testing.T) {
	const parts = 8
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < histories; seed += parts {
				newHistory(t, uint64(seed)).run()
			}
		})
	}
}
