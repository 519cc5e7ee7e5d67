package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// A desk is a server for operators, over a store and an engine of its own.
type desk struct {
	*Server
	Client
	t    *testing.T
	keys int // how often they were told to have changed
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir, err := os.MkdirTemp("", "cfn-watch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := deskIn(t, dir)
	d.Client = Client{Socket: filepath.Join(dir, "s")}
	l, err := Listen(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	h := d.HTTP()
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	return d
}

// deskIn is a desk that nobody calls over a socket.
func deskIn(t *testing.T, dir string) *desk {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), filepath.Join(dir, "state.db"), store.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	d := &desk{t: t}
	engine := watch.New(watch.Options{Store: st, Log: quiet})
	if err := engine.Start(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	d.Server = &Server{
		Engine: engine, Store: st, Log: quiet, Started: time.Now(), KeysChanged: func() { d.keys++ }, Problem: func() error { return nil },
		Outbox: outbox.New(outbox.Options{Store: st, Engine: engine, Log: quiet, Owner: "test"}),
	}
	return d
}

// alarm defines one that tells the operator when it fires.
func (d *desk) alarm(project, name string) {
	d.t.Helper()
	_, err := d.Engine.Define(d.t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: project}, watch.Alarm{
		Project: project, Name: name, Namespace: "n", Metric: "m", Statistic: watch.Sum, Comparison: watch.Greater, Period: time.Minute, Periods: 1,
		ActionsEnabled: true, OnAlarm: []string{"cfnwatch:exec:x"}, Target: "machine", Origin: watch.FromRules,
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// beat defines one on heartbeats.
func (d *desk) beat(project, name string) {
	d.t.Helper()
	_, err := d.Engine.Define(d.t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: project}, watch.Alarm{
		Project: project, Name: name, Namespace: "n", Metric: "m", Statistic: watch.SampleCount, Comparison: watch.Less, Threshold: 1,
		Missing: watch.MissingBreaching, Period: time.Minute, Periods: 1, Origin: watch.FromRules,
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// update writes a row of the outbox.
func (d *desk) update(r outbox.Row) {
	d.t.Helper()
	if _, err := d.Store.Update(d.t.Context(), outbox.Change{Row: r}); err != nil {
		d.t.Fatal(err)
	}
}

// ask calls, and returns the answer or the text of the error.
func ask[Out any](d *desk, name string, in any) (out Out, problem string) {
	d.t.Helper()
	if err := d.Call(d.t.Context(), name, in, &out); err != nil {
		problem = err.Error()
	}
	return out, problem
}

func TestSocketIsForItsGroupAlone(t *testing.T) {
	d := newDesk(t)
	if info, err := os.Stat(d.Socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v, %v, want 0660", info.Mode(), err)
	}
	if _, err := Listen(d.Socket); err == nil || !strings.Contains(err.Error(), "is cfn-watch running already?") {
		t.Errorf("Listen at a socket that is in use = %v", err)
	}
}

func TestCallsThatAreNone(t *testing.T) {
	d := newDesk(t)
	if _, problem := ask[Nothing](d, "status", map[string]int{"what": 1}); !strings.Contains(problem, `unknown field "what"`) {
		t.Errorf("a field that no call has: %q", problem)
	}
	if _, problem := ask[Nothing](d, "stauts", Nothing{}); problem != "the server answers 404 Not Found" {
		t.Errorf("a call that there is not: %q", problem)
	}
	// Without the kernel's word who calls, nobody is served.
	l, err := Listen(d.Socket + "2")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: d.mux()}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	d.Socket += "2"
	if _, problem := ask[Nothing](d, "status", Nothing{}); problem != "the kernel does not tell who calls" {
		t.Errorf("a caller who is nobody: %q", problem)
	}
}

// A project that calls an alarm of its own as operators call another's, with its
// project, does not keep them from that.
func TestNameOfAnotherProjectsAlarm(t *testing.T) {
	d := newDesk(t)
	d.alarm("p", "beats")
	d.alarm("q", "p/beats")
	for name, want := range map[string]string{"p/beats": "p", "q/p/beats": "q"} {
		got, problem := ask[Explanation](d, "explain", ExplainRequest{Name: name})
		if problem != "" || got.Alarm == nil || got.Alarm.Project != want {
			t.Errorf("explain %s: %+v, %q, want the alarm of %s", name, got.Alarm, problem, want)
		}
	}
}

// An alarm is called by its name, and with its project where that is not
// enough.
func TestNamesOfAlarms(t *testing.T) {
	d := newDesk(t)
	d.alarm("p", "both")
	d.alarm("q", "both")
	d.alarm("q", "one")
	set := func(name string) string {
		_, problem := ask[Nothing](d, "set-state", StateRequest{Alarm: name, State: watch.Firing})
		return problem
	}
	if got, want := set("both"), "alarm both is of several projects: say p/both or q/both"; got != want {
		t.Errorf("a name of two: %q, want %q", got, want)
	}
	for _, name := range []string{"q/both", "one"} {
		if got := set(name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	state := func(in AlarmsRequest) (names []string) {
		list, problem := ask[[]Alarm](d, "alarms", in)
		for _, a := range list {
			names = append(names, a.Project+"/"+a.Name)
		}
		return append(names, problem)[:len(names)]
	}
	for _, tt := range []struct {
		in   AlarmsRequest
		want []string
	}{
		{AlarmsRequest{}, []string{"p/both", "q/both", "q/one"}},
		{AlarmsRequest{State: watch.Firing}, []string{"q/both", "q/one"}},
		{AlarmsRequest{Project: "p"}, []string{"p/both"}},
		{AlarmsRequest{Prefix: "on"}, []string{"q/one"}},
		{AlarmsRequest{Prefix: "q/bo"}, []string{"q/both"}},
	} {
		if got := state(tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("alarms %+v = %q, want %q", tt.in, got, tt.want)
		}
	}

	history := func(name string) string {
		events, problem := ask[[]watch.Event](d, "history", HistoryRequest{Alarm: name})
		for _, e := range events {
			if e.Alarm != strings.TrimPrefix(name, "q/") || e.Project != "q" {
				t.Errorf("the history of %s has one of %s/%s", name, e.Project, e.Alarm)
			}
		}
		return problem
	}
	if got := history("both"); !strings.Contains(got, "of several projects") {
		t.Errorf("the history of a name of two: %q", got)
	}
	if err := d.Engine.Delete(t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: "q"}, []string{"one", "both"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "q/one", "q/both"} { // what is deleted has its history
		if got := history(name); got != "" {
			t.Errorf("the history of %s: %s", name, got)
		}
	}
	if got, want := history("none"), "alarm none: no such alarm, nor was there one"; got != want {
		t.Errorf("the history of none: %q, want %q", got, want)
	}
}

func TestKeysOfOperators(t *testing.T) {
	d := newDesk(t)
	limited, problem := ask[Key](d, "issue-key", KeyRequest{Project: "p", Stack: "web", For: time.Hour})
	if left := time.Until(limited.Expires); problem != "" || limited.Role != watch.Guest || limited.Secret == "" || left > time.Hour || left < 59*time.Minute {
		t.Errorf("issue-key = %+v, %q, want a guest's for an hour", limited, problem)
	}
	whole, problem := ask[Key](d, "issue-key", KeyRequest{Project: "p"})
	if problem != "" || whole.Role != watch.Member || !whole.Expires.IsZero() {
		t.Errorf("issue-key = %+v, %q, want a member's for ever", whole, problem)
	}
	if d.keys != 2 {
		t.Errorf("told %d times that keys changed, want 2", d.keys)
	}
	if _, problem := ask[Nothing](d, "revoke-key", Access{whole.Access}); problem != "" || d.keys != 3 {
		t.Errorf("revoke-key: %q, told %d times, want 3", problem, d.keys)
	}
	list, problem := ask[[]Key](d, "list-keys", Nothing{})
	if problem != "" || len(list) != 2 {
		t.Fatalf("list-keys = %+v, %q", list, problem)
	}
	for _, k := range list {
		if k.Secret != "" || k.Revoked.IsZero() == (k.Access == whole.Access) {
			t.Errorf("list-keys has %+v", k)
		}
	}
}

// What is open, held, suspended and never fed is told.
func TestStatusAndActions(t *testing.T) {
	d := newDesk(t)
	d.alarm("p", "fires")
	d.alarm("p", "waits")
	if _, problem := ask[Nothing](d, "set-state", StateRequest{Alarm: "fires", State: watch.Firing}); problem != "" {
		t.Fatal(problem)
	}
	rows, err := d.Store.Rows(t.Context(), outbox.RowQuery{})
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	ended, open := rows[0], rows[0]
	ended.Status = outbox.Done
	d.update(ended)
	count := func(in ActionsRequest) int {
		list, problem := ask[[]outbox.Explained](d, "actions", in)
		if problem != "" {
			t.Error(problem)
		}
		return len(list)
	}
	if all, now := count(ActionsRequest{All: true}), count(ActionsRequest{}); all != 1 || now != 0 {
		t.Errorf("%d actions, %d open, want 1, 0", all, now)
	}
	open.Status, open.Gate, open.Why = outbox.Held, "g3", "a storm"
	d.update(open)
	if _, problem := ask[outbox.Suspension](d, "suspend", SuspendRequest{Scope: outbox.OfAlarm, Name: "waits", For: time.Hour}); problem != "" {
		t.Error(problem)
	}
	d.beat("p", "unheard")
	waits := outbox.Row{Key: "waits", Status: outbox.Wanted, Born: time.Now(), Next: time.Now().Add(time.Hour)}
	if _, err := d.Store.Update(t.Context(), outbox.Change{Row: waits, New: true}); err != nil {
		t.Fatal(err)
	}
	st, problem := ask[Status](d, "status", Nothing{})
	if !reflect.DeepEqual(st.NeverFed, []string{"p/unheard"}) {
		t.Errorf("never fed are %q, want the alarm on heartbeats", st.NeverFed)
	}
	if problem != "" || st.Problem != "" || len(st.Held) != 1 || st.Held[0].Gate != "g3" || !reflect.DeepEqual(st.Actions, map[string]int{"held": 1, "wanted": 1}) {
		t.Errorf("status = %+v, %q, want one held and one that waits", st, problem)
	}
	if len(st.Suspended) != 1 || st.Suspended[0].Project != "p" || time.Until(st.Suspended[0].Until).Round(time.Minute) != time.Hour {
		t.Errorf("suspended are %+v, want the alarm of project p for an hour", st.Suspended)
	}
	e, problem := ask[Explanation](d, "explain", ExplainRequest{Name: "machine"})
	if problem != "" || e.Target != "machine" || len(e.Actions) != 1 {
		t.Errorf("explain of a target = %+v, %q", e, problem)
	}
}

// Access keys whose pushes are refused are told of, and how many more there are.
func TestStatusOfRefusedKeys(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := deskIn(t, dir)
		d.beat("p", "a")
		for i := range mostNamed + 2 {
			key := watch.Caller{Project: "p", Role: watch.Member, Access: fmt.Sprintf("K%02d", i)}
			d.Engine.Put(time.Now(), key, []watch.Sample{{Namespace: "n", Metric: "m", Alarm: "a", Count: 1}})
			time.Sleep(time.Second)
			d.Engine.SignOfLife(time.Now(), key.Access)
		}
		st, err := d.status(t.Context(), "me", Nothing{})
		if err != nil || st.Refusals != mostNamed+2 || len(st.Refused) != mostNamed || st.Refused[0].Access != "K00" || !slices.Equal(st.Refused[0].Alarms, []string{"p/a"}) {
			t.Errorf("%d are refused, %+v, %v, want %d, the first K00", st.Refusals, st.Refused, err, mostNamed+2)
		}
	})
}

// An alarm that nothing ever fed is named, whatever state it is in.
func TestStatusNamesWhatWasNeverFed(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"a", "b", "c"} {
		d.beat("p", name)
	}
	for name, state := range map[string]watch.State{"b": watch.Firing, "c": watch.OK} {
		if _, problem := ask[Nothing](d, "set-state", StateRequest{Alarm: name, State: state}); problem != "" {
			t.Fatal(problem)
		}
	}
	if st, problem := ask[Status](d, "status", Nothing{}); problem != "" || !slices.Equal(st.NeverFed, []string{"p/a", "p/b", "p/c"}) {
		t.Errorf("never fed are %q (%s), want all three", st.NeverFed, problem)
	}
}

// Guests whose push is late do not push.
func TestStatusCountsGuestsThatPush(t *testing.T) {
	d := newDesk(t)
	now := time.Now()
	for _, name := range []string{"a", "b", "c"} {
		d.beat("p", name)
		d.Engine.Put(now, watch.Caller{Access: "K", Project: "p", Role: watch.Member}, []watch.Sample{{Namespace: "n", Metric: "m", Alarm: name, Count: 1}})
	}
	for range 80 { // that pass at once
		now = now.Add(time.Second)
		d.Engine.Put(now, watch.Caller{Access: "K", Project: "p", Role: watch.Member}, []watch.Sample{{Namespace: "n", Metric: "m", Alarm: "a", Count: 1}})
		if _, err := d.Engine.Tick(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if st, problem := ask[Status](d, "status", Nothing{}); problem != "" || st.Alive != 1 || st.Totals.Overdue != 2 {
		t.Errorf("%d push and %d are overdue (%s), want 1 and 2", st.Alive, st.Totals.Overdue, problem)
	}
}

// A suspension of what is not there is taken, and said to hold nothing yet.
func TestSuspensionOfWhatIsUnknown(t *testing.T) {
	d := newDesk(t)
	d.alarm("production", "web")
	_, err := d.Engine.Define(t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: "production"}, watch.Alarm{
		Project: "production", Name: "db", Namespace: "n", Metric: "m", Statistic: watch.Sum, Comparison: watch.Greater, Period: time.Minute, Periods: 1,
		ActionsEnabled: true, OnAlarm: []string{"cfnwatch:reboot:stack/shop/server"}, Stack: "shop", Origin: watch.FromRules,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		in      SuspendRequest
		unknown bool
		near    string
	}{
		{SuspendRequest{Scope: outbox.OfAll}, false, ""},
		{SuspendRequest{Scope: outbox.OfProject, Name: "production"}, false, ""},
		{SuspendRequest{Scope: outbox.OfProject, Name: "prodction"}, true, "production"},
		{SuspendRequest{Scope: outbox.OfStack, Name: "shop"}, false, ""},
		{SuspendRequest{Scope: outbox.OfStack, Name: "shop", Project: "other"}, true, "shop"},
		{SuspendRequest{Scope: outbox.OfStack, Name: "something"}, true, ""},
		{SuspendRequest{Scope: outbox.OfTarget, Name: "machine"}, false, ""},
		{SuspendRequest{Scope: outbox.OfTarget, Name: "project/production/stack/shop/server"}, false, ""},
		{SuspendRequest{Scope: outbox.OfTarget, Name: "machin"}, true, "machine"},
		{SuspendRequest{Scope: outbox.OfAlarm, Name: "web", Project: "production"}, false, ""},
		{SuspendRequest{Scope: outbox.OfAlarm, Name: "webb", Project: "production"}, true, "web"},
	} {
		got, problem := ask[Suspended](d, "suspend", tt.in)
		if problem != "" || got.Unknown != tt.unknown || got.Near != tt.near || got.Scope != tt.in.Scope || got.Name != tt.in.Name {
			t.Errorf("suspend %+v = %+v, %q, want unknown %t, near %q", tt.in, got, problem, tt.unknown, tt.near)
		}
	}
	if all, err := d.Store.Suspensions(t.Context(), time.Now()); err != nil || len(all) != 11 {
		t.Errorf("%d suspensions, %v, want all 11", len(all), err)
	}
}
