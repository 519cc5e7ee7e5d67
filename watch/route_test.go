package watch

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// fed lists the alarms that a sample reaches.
func (b *bench) fed(c Caller, s Sample) []string {
	s.Count = 1
	before := map[string]time.Time{}
	b.now = b.now.Add(time.Second)
	for _, v := range b.e.Alarms(b.now, op, AlarmQuery{}) {
		before[v.Name] = v.Arrived
	}
	b.e.Put(b.now, c, []Sample{s})
	var names []string
	for _, v := range b.e.Alarms(b.now, op, AlarmQuery{}) {
		if !v.Arrived.Equal(before[v.Name]) {
			names = append(names, v.Name)
		}
	}
	return names
}

func TestRouting(t *testing.T) {
	b := newBench(t, Options{})
	define := func(name string, match Match, unit string, dimensions ...Dimension) {
		a := heartbeat(name)
		a.Match, a.Unit, a.Dimensions, a.Stack = match, unit, dimensions, AnyStack
		b.define(a)
	}
	i1, i2, zone := Dimension{"InstanceId", "1"}, Dimension{"InstanceId", "2"}, Dimension{"Zone", "z"}
	define("named", MatchExact, "")
	define("exact", MatchExact, "", i1)
	define("exact-both", MatchExact, "", zone, i1)
	define("subset", MatchSubset, "", i1)
	define("subset-both", MatchSubset, "", i1, zone)
	define("subset-other", MatchSubset, "", i2)
	define("subset-unit", MatchSubset, "Count", i1)
	f := func(name string, s Sample, want ...string) {
		t.Helper()
		if s.Namespace == "" {
			s.Namespace = "system/linux"
		}
		if s.Metric == "" {
			s.Metric = "Heartbeat"
		}
		if got := b.fed(guest, s); !slices.Equal(got, want) {
			t.Errorf("%s: fed %q, want %q", name, got, want)
		}
	}
	f("one dimension", Sample{Dimensions: []Dimension{i1}}, "exact", "subset")
	f("two dimensions", Sample{Dimensions: []Dimension{i1, zone}}, "exact-both", "subset", "subset-both")
	f("unit", Sample{Dimensions: []Dimension{i1}, Unit: "Count"}, "exact", "subset", "subset-unit")
	f("no dimensions: a presence alarm is fed by name", Sample{})
	f("another value of one dimension", Sample{Dimensions: []Dimension{i1, {"Zone", "y"}}}, "subset")
	f("another value of the other", Sample{Dimensions: []Dimension{{"InstanceId", "3"}, zone}})
	f("another namespace", Sample{Namespace: "x", Dimensions: []Dimension{i1}})
	f("another metric", Sample{Metric: "CPU", Dimensions: []Dimension{i1}})
	f("by name, whatever the namespace and dimensions", Sample{Namespace: "x", Alarm: "subset-other", Dimensions: []Dimension{i1}}, "subset-other")
	f("by name, of another metric", Sample{Metric: "CPU", Alarm: "named"})
	f("by name, of another unit", Sample{Alarm: "subset-unit", Unit: "Bytes"})
	f("unknown name", Sample{Alarm: "nobody", Dimensions: []Dimension{i1}})

	if err := b.e.Delete(t.Context(), b.now, member, []string{"subset", "exact"}); err != nil {
		t.Fatal(err)
	}
	f("deleted", Sample{Dimensions: []Dimension{i1}})
	f("others are left", Sample{Dimensions: []Dimension{i1, zone}}, "exact-both", "subset-both")
}

// A sample costs as much as the alarms that it may be for, however many share
// the dimension that tells least; and what is deleted leaves nothing behind.
func TestRoutesAreNarrow(t *testing.T) {
	b := newBench(t, Options{})
	var names []string
	for i := range 100 {
		a := heartbeat(fmt.Sprint("a", i))
		a.Match, a.Dimensions = MatchSubset, []Dimension{{"AutoScalingGroup", "all"}, {"InstanceId", fmt.Sprint(i)}}
		b.define(a)
		names = append(names, a.Name)
	}
	routes := b.e.projects["p"].routes
	for at, list := range routes["system/linux\x00Heartbeat"].subset {
		if len(list) > 1 {
			t.Errorf("%d alarms are asked for each sample with %s = %s, want 1", len(list), at.Name, at.Value)
		}
	}
	if err := b.e.Delete(t.Context(), b.now, member, names); err != nil {
		t.Fatal(err)
	}
	if len(routes) > 0 {
		t.Errorf("%d routes to alarms that are gone", len(routes))
	}
}

// Old Heat looked alarms up by their bare names over all projects, and any
// stack's user could feed any alarm.
func TestGuestsFeedAlarmsOfTheirStackAlone(t *testing.T) {
	b := newBench(t, Options{})
	id := "0d9c9e16-6b5a-4e6f-9d4b-2a1b3c4d5e6f"
	for name, stack := range map[string][2]string{"web": {"web"}, "db": {"db"}, "any": {AnyStack}, "none": {}, "imported": {"web-2", id}} {
		a := heartbeat(name)
		a.Stack, a.StackID = stack[0], stack[1]
		b.define(a)
	}
	names := []string{"any", "db", "imported", "none", "web"}
	f := func(c Caller, want ...string) {
		t.Helper()
		c.Role = Guest
		var got []string
		for _, name := range names {
			got = append(got, b.fed(c, Sample{Metric: "Heartbeat", Alarm: name})...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a guest of stack %q of project %q feeds %q, want %q", c.Stack, c.Project, got, want)
		}
	}
	f(Caller{Access: "1", Project: "p", Stack: "web"}, "any", "web")
	f(Caller{Access: "2", Project: "p", Stack: "db"}, "any", "db")
	f(Caller{Access: "3", Project: "p", Stack: id[:31]}, "any", "imported")
	f(Caller{Access: "4", Project: "p"}, names...)
	f(Caller{Access: "5", Project: "q", Stack: "web"})
	f(Caller{Access: "6", Project: "q"})

	routes := b.e.Misroutes()
	if len(routes) != 9 {
		t.Fatalf("%d misroutes, want 9: %+v", len(routes), routes)
	}
	i := slices.IndexFunc(routes, func(m Misroute) bool { return m.Stack == "web" && m.Alarm == "db" })
	if i < 0 || routes[i].Guests != 1 || routes[i].Pushes != 1 || routes[i].Project != "p" {
		t.Errorf("misroutes %+v, want one of stack web to db", routes)
	}
	if n := b.e.Counts().Misrouted; n != 9 {
		t.Errorf("%d misrouted, want 9", n)
	}
}

// A foreign alarm is as an unknown one, to every command.
func TestForeignIsUnknown(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	other := Caller{Access: "X", Project: "q", Role: Member}
	for _, name := range []string{"h", "nobody"} {
		for command, err := range map[string]error{
			"Delete":        b.e.Delete(t.Context(), b.now, other, []string{name}),
			"SetState":      b.e.SetState(t.Context(), b.now, other, name, OK, "", nil),
			"EnableActions": b.e.EnableActions(t.Context(), b.now, other, []string{name}, false),
		} {
			if !errors.Is(err, ErrNotFound) || err.Error() != fmt.Sprintf("no such alarm: %s", name) {
				t.Errorf("%s of %s: %v, want ErrNotFound", command, name, err)
			}
		}
	}
	if views := b.e.Alarms(b.now, other, AlarmQuery{Project: "p"}); len(views) != 0 {
		t.Errorf("sees %d alarms of another project", len(views))
	}
	if _, _, err := b.e.Events(t.Context(), other, EventQuery{Project: "p"}); err != nil {
		t.Error(err)
	}
	if _, ok := b.e.View(b.now, "p", "h"); !ok {
		t.Error("the alarm is gone")
	}
	if err := b.e.Delete(t.Context(), b.now, member, []string{"h", "nobody"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Delete of one and an unknown one: %v", err)
	}
	if _, ok := b.e.View(b.now, "p", "h"); !ok {
		t.Error("the alarm is gone, though nothing was to be deleted")
	}
}

// What was pushed to the wrong alarm long ago is no news, and keeps no room
// from what is.
func TestOldMisroutesAreForgotten(t *testing.T) {
	e := New(Options{})
	now := time.Now()
	if err := e.Start(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "new"} {
		_, err := e.Define(t.Context(), now, Caller{Project: "p", Role: Member}, Alarm{Name: name, Namespace: "n", Metric: "m", Statistic: Sum,
			Period: time.Minute, Periods: 1, Comparison: Greater, Stack: "db"})
		if err != nil {
			t.Fatal(err)
		}
	}
	push := func(name string) {
		e.Put(now, Caller{Project: "p", Stack: "web", Role: Guest, Access: "a"}, []Sample{{Namespace: "n", Metric: "m", Alarm: name, Count: 1}})
	}
	push("old")
	now = now.Add(25 * time.Hour)
	push("new")
	if err := e.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if list := e.Misroutes(); len(list) != 1 || list[0].Alarm != "new" {
		t.Errorf("misroutes %+v, want that to new", list)
	}
}

// A project that pushes to all alarms that its keys may not feed hides nobody
// else's mistakes.
func TestMisroutesOfOneProjectLeaveRoomForOthers(t *testing.T) {
	b := newBench(t, Options{})
	push := func(project, alarm string) {
		b.e.Put(b.now, Caller{Access: "k", Project: project, Stack: "other", Role: Guest}, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: alarm, Count: 1}})
	}
	b.inProject("p", mostMisroutes, heartbeat("h"))
	b.inProject("q", 1, heartbeat("h"))
	for i := range mostMisroutes {
		push("p", fmt.Sprint("h", i))
	}
	push("q", "h0")
	told := func() (of map[string]int) {
		of = map[string]int{}
		for _, m := range b.e.Misroutes() {
			of[m.Project]++
		}
		return of
	}
	if of := told(); of["p"] != misroutesOfProject || of["q"] != 1 {
		t.Errorf("told of %v, want %d of p and that of q", of, misroutesOfProject)
	}
	b.now = b.now.Add(misroutesFor + time.Minute)
	if err := b.e.Flush(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	push("p", "h999")
	if of := told(); of["p"] != 1 || of["q"] != 0 {
		t.Errorf("told of %v when the others are forgotten, want one of p", of)
	}
}
