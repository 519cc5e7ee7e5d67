package outbox

import (
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A single is an engine that has one alarm.
type single struct {
	Engine
	view watch.View
}

func (s single) ViewID(_ time.Time, id int64) (watch.View, bool) { return s.view, id == s.view.ID }

// asked is an alarm in its second state, ALARM, which wants an action.
func asked() (*lookout, candidate) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := watch.View{State: watch.Firing, Number: 2}
	v.ID, v.Revision, v.ActionsEnabled, v.Period, v.Periods = 1, 1, true, time.Minute, 1
	row := &Row{Wanted: watch.Wanted{Transition: watch.Transition{AlarmID: 1, Number: 2, Revision: 1, To: watch.Firing}, Span: time.Minute}, Born: now}
	o := New(Options{Engine: single{view: v}, Settings: Settings{Gates: Gates{BootGrace: 5 * time.Minute}}})
	l := &lookout{now: now, o: o, Settings: o.settings.Load()}
	return l, candidate{Row: row, view: v, known: true}
}

func TestGatesOfTheAlarmItself(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*lookout, *candidate)
		gate    string
		verdict Passage
		cause   string
		tell    bool
	}{
		"as it was wanted":    {func(*lookout, *candidate) {}, "", Pass, "", false},
		"deleted":             {func(_ *lookout, c *candidate) { c.known = false }, "g7", Refuse, "the alarm was deleted", false},
		"not visible yet":     {func(_ *lookout, c *candidate) { c.view.Number = 1 }, "g7", Hold, "the state is being stored", false},
		"another state":       {func(_ *lookout, c *candidate) { c.view.Number = 3 }, "g7", Refuse, "the alarm is no longer in that ALARM", false},
		"changed, still so":   {func(_ *lookout, c *candidate) { c.view.Revision = 2 }, "g7", Refuse, "the alarm's definition was changed", true},
		"changed, and not so": {func(_ *lookout, c *candidate) { c.view.Revision, c.view.State = 2, watch.OK }, "g7", Refuse, "the alarm's definition was changed", false},
		"test of another":     {func(_ *lookout, c *candidate) { c.view.Number, c.view.Revision, c.Trial = 3, 2, true }, "", Pass, "", false},
		"switched off":        {func(_ *lookout, c *candidate) { c.view.ActionsEnabled = false }, "g1", Refuse, "the alarm's actions are switched off", false},
		"test, switched off":  {func(_ *lookout, c *candidate) { c.view.ActionsEnabled, c.Trial = false, true }, "", Pass, "", false},
		"dry run":             {func(l *lookout, _ *candidate) { l.DryRun = true }, "g1", Refuse, "dry run: nothing is done", false},
	} {
		l, c := asked()
		tt.change(l, &c)
		got := l.switchedOff(c)
		if got.Verdict == Pass {
			got = l.wanted(c)
		}
		if got.Gate != tt.gate || got.Verdict != tt.verdict || got.Cause != tt.cause || got.Tell != tt.tell {
			t.Errorf("%s: %+v, want %s, %v, %q, told %t", name, got, tt.gate, tt.verdict, tt.cause, tt.tell)
		}
	}
}

// A signal to a scaling policy is dropped when it comes late: it would scale
// for nothing. Any other message goes.
func TestLateSignals(t *testing.T) {
	const policy, condition = "http://heat.test/v1/signal/arn:a?Signature=x&AWSAccessKeyId=y", "http://heat.test/v1/waitcondition/arn:a?Signature=x&AWSAccessKeyId=y"
	for name, tt := range map[string]struct {
		action string
		age    time.Duration
		change func(*candidate)
		want   Passage
	}{
		"in time":                {policy, time.Minute, func(*candidate) {}, Pass},
		"late":                   {policy, time.Minute + time.Second, func(*candidate) {}, Refuse},
		"changed":                {policy, 0, func(c *candidate) { c.view.Number = 3 }, Refuse},
		"deleted":                {policy, 0, func(c *candidate) { c.known = false }, Refuse},
		"late test":              {policy, time.Hour, func(c *candidate) { c.Trial = true }, Pass},
		"late wait condition":    {condition, time.Hour, func(c *candidate) { c.known = false }, Pass},
		"late webhook":           {"https://hooks.test/signal", time.Hour, func(c *candidate) { c.view.Number = 3 }, Pass},
		"of a state to be shown": {policy, 0, func(c *candidate) { c.view.Number = 1 }, Pass},
	} {
		l, c := asked()
		c.Action, c.Born = tt.action, l.now.Add(-tt.age)
		tt.change(&c)
		n, err := ParseName(c.Action)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.message(c, n); got.Verdict != tt.want {
			t.Errorf("%s: %+v, want verdict %v", name, got, tt.want)
		}
	}
}

// Until when an action that was done holds the next one on its target.
func TestTimeToShowAnEffect(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(now time.Time, done *Row, v *watch.View, next *candidate)
		want   time.Duration // after it began
	}{
		"of another alarm": {func(time.Time, *Row, *watch.View, *candidate) {}, 6 * time.Minute},
		"of a heartbeat": {func(_ time.Time, _ *Row, v *watch.View, _ *candidate) {
			v.Statistic, v.Comparison, v.Missing, v.Threshold = watch.SampleCount, watch.Less, watch.MissingBreaching, 1
		}, 5*time.Minute + 135*time.Second},
		"of the same alarm, which fired anew": {func(_ time.Time, _ *Row, _ *watch.View, c *candidate) { c.AlarmID, c.Number = 1, 3 }, 0},
		"of the same firing":                  {func(_ time.Time, _ *Row, _ *watch.View, c *candidate) { c.AlarmID = 1 }, 6 * time.Minute},
		"whose alarm is OK since":             {func(now time.Time, _ *Row, v *watch.View, _ *candidate) { v.State, v.Since = watch.OK, now }, 0},
		"whose alarm was OK before, as by hand": {func(now time.Time, _ *Row, v *watch.View, _ *candidate) {
			v.State, v.Since = watch.OK, now.Add(-2*time.Minute)
		}, 6 * time.Minute},
		"whose alarm is gone": {func(_ time.Time, done *Row, _ *watch.View, _ *candidate) { done.AlarmID = 7 }, 0},
	} {
		l, next := asked()
		done, v := *next.Row, next.view
		done.Began = l.now.Add(-time.Minute)
		next.AlarmID = 2
		tt.change(l.now, &done, &v, &next)
		l.o.Engine = single{view: v}
		got := l.settled(done, next)
		if tt.want == 0 && !got.IsZero() || tt.want != 0 && !got.Equal(done.Began.Add(tt.want)) {
			t.Errorf("%s: until %s after it began, want %s", name, got.Sub(done.Began), tt.want)
		}
	}
}

func TestWhatIsAStorm(t *testing.T) {
	g := Gates{StormCount: 2, StormShare: 0.2, StormShareDomain: 0.5}
	for _, tt := range []struct {
		domain         string
		counted, alive int
		want           bool
	}{
		{"p", 2, 2, false}, {"p", 3, 6, true}, {"p", 3, 7, false}, {"p", 4, 7, true},
		{watch.AllProjects, 2, 2, false}, {watch.AllProjects, 3, 15, true}, {watch.AllProjects, 3, 16, false},
	} {
		if got := g.isStorm(tt.domain, watch.Census{Counted: tt.counted, Alive: tt.alive}); got != tt.want {
			t.Errorf("%d of %d in %s are a storm: %t, want %t", tt.counted, tt.alive, tt.domain, got, tt.want)
		}
	}
}

func TestWhatASuspensionCovers(t *testing.T) {
	for _, tt := range []struct {
		s    Suspension
		want bool
	}{
		{Suspension{Scope: OfAll}, true},
		{Suspension{Scope: OfProject, Name: "p"}, true},
		{Suspension{Scope: OfProject, Name: "q"}, false},
		{Suspension{Scope: OfProject, Name: "p", Project: "q"}, true}, // a project is of none
		{Suspension{Scope: OfAlarm, Name: "a"}, true},
		{Suspension{Scope: OfAlarm, Name: "a", Project: "p"}, true},
		{Suspension{Scope: OfAlarm, Name: "a", Project: "q"}, false},
		{Suspension{Scope: OfTarget, Name: "o"}, true},
		{Suspension{Scope: OfTarget, Name: "a"}, false},
		{Suspension{Scope: OfStack, Name: "web"}, true},
		{Suspension{Scope: OfStack, Name: "web", Project: "q"}, false},
		{Suspension{Scope: OfStack, Name: ""}, false}, // not all without a stack's id
		{Suspension{Scope: OfHost, Name: "o"}, false},
	} {
		if got := tt.s.covers("p", "a", "o", "web", ""); got != tt.want {
			t.Errorf("%+v covers: %t, want %t", tt.s, got, tt.want)
		}
	}
}
