package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A server is an engine with rules applied.
type server struct {
	t   *testing.T
	e   *watch.Engine
	now time.Time
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t, watch.New(watch.Options{}), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := s.e.Start(t.Context(), s.now); err != nil {
		t.Fatal(err)
	}
	return s
}

// apply applies the rules of a text, and says what it defined and deleted.
func (s *server) apply(text, define, remove string) {
	s.t.Helper()
	c, err := loaded(s.t, text).Apply(s.t.Context(), s.now, s.e)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := names(c.Define); got != define {
		s.t.Errorf("defined %q, want %q", got, define)
	}
	if got := names(c.Delete); got != remove {
		s.t.Errorf("deleted %q, want %q", got, remove)
	}
}

func names(alarms []watch.Alarm) string {
	var list []string
	for _, a := range alarms {
		list = append(list, a.Name)
	}
	return strings.Join(list, " ")
}

func (s *server) alarm(name string) watch.View {
	s.t.Helper()
	v, ok := s.e.View(s.now, "p1", name)
	if !ok {
		s.t.Fatalf("no alarm %s", name)
	}
	return v
}

var member = watch.Caller{Project: "p1", Role: watch.Member}

func TestReloadChangesOnlyWhatChanged(t *testing.T) {
	s := newServer(t)
	db := strings.ReplaceAll(heartbeat[strings.Index(heartbeat, "web-"):], "web", "db")
	s.apply(heartbeat+db, "web-Heartbeat db-Heartbeat", "")
	if err := s.e.SetState(t.Context(), s.now, member, "web-Heartbeat", watch.Firing, "test", nil); err != nil {
		t.Fatal(err)
	}

	s.apply("# moved to other lines\n\n"+heartbeat+db, "", "")
	s.apply(strings.Replace(heartbeat, "Period: 60,", "Period: 1m,", 1)+db, "", "") // in other words
	if got := s.alarm("web-Heartbeat"); got.Revision != 1 || got.State != watch.Firing {
		t.Errorf("after reloads that change nothing it is %+v, want revision 1 and its state", got)
	}

	s.apply(strings.Replace(heartbeat, "Period: 60,", "Period: 120,", 1), "web-Heartbeat", "db-Heartbeat")
	if got := s.alarm("web-Heartbeat"); got.Revision != 2 || got.Period != 2*time.Minute || got.State != watch.Firing {
		t.Errorf("after a change it is %+v, want revision 2 and its state kept", got)
	}
	s.apply("{}", "", "web-Heartbeat")
}

func TestReloadLeavesAlarmsOfOthers(t *testing.T) {
	s := newServer(t)
	a := loaded(t, heartbeat).Rules[0].Alarm
	a.Origin, a.Tags = watch.FromAPI, map[string]string{"owner": "ops"}
	for _, name := range []string{"of-the-api", "web-Heartbeat"} {
		a.Name = name
		if _, err := s.e.Define(t.Context(), s.now, member, a); err != nil {
			t.Fatal(err)
		}
	}
	s.apply(heartbeat, "web-Heartbeat", "") // the operator's word counts
	if got := s.alarm("web-Heartbeat"); got.Origin != watch.FromRules || got.Tags["owner"] != "ops" {
		t.Errorf("a rule of an alarm that the API had made led to %+v, want it the rule's, its tags kept", got)
	}
	s.apply("", "", "web-Heartbeat")
	s.alarm("of-the-api")
}

// What a member switched off, or tagged, while the server ran is not undone by
// a reload of rules that say nothing of it.
func TestReloadKeepsWhatRulesDoNotSay(t *testing.T) {
	s := newServer(t)
	s.apply(heartbeat, "web-Heartbeat", "")
	if err := s.e.EnableActions(t.Context(), s.now, member, []string{"web-Heartbeat"}, false); err != nil {
		t.Fatal(err)
	}
	tagged := s.alarm("web-Heartbeat").Alarm
	tagged.Tags = map[string]string{"owner": "ops"}
	if _, err := s.e.Define(t.Context(), s.now, watch.Caller{Project: "p1", Role: watch.Operator}, tagged); err != nil {
		t.Fatal(err)
	}
	s.apply(heartbeat, "", "")
	s.apply(heartbeat+"  Range: 3\n", "web-Heartbeat", "")
	if got := s.alarm("web-Heartbeat"); got.ActionsEnabled || got.Tags["owner"] != "ops" {
		t.Errorf("a reload switched actions on (%t) that were switched off, or took tags away (%v)", got.ActionsEnabled, got.Tags)
	}
	s.apply(heartbeat+"  Range: 3\n  ActionsEnabled: true\n", "web-Heartbeat", "")
	if !s.alarm("web-Heartbeat").ActionsEnabled {
		t.Error("a rule that says so did not switch actions on")
	}
}

// Between the plan and its end others change alarms too: what they have deleted
// is gone as it was to be, and the rest is done.
func TestRulesAreAppliedWhileOthersDelete(t *testing.T) {
	s := newServer(t)
	db := strings.ReplaceAll(heartbeat[strings.Index(heartbeat, "web-"):], "web", "db")
	s.apply(heartbeat+db, "web-Heartbeat db-Heartbeat", "")
	c := loaded(t, strings.ReplaceAll(heartbeat, "web-", "new-")).Plan([]watch.Alarm{s.alarm("db-Heartbeat").Alarm, s.alarm("web-Heartbeat").Alarm})
	if err := s.e.Delete(t.Context(), s.now, member, []string{"db-Heartbeat"}); err != nil {
		t.Fatal(err)
	}
	if err := c.apply(t.Context(), s.now, s.e); err != nil {
		t.Errorf("apply = %v", err)
	}
	var left []watch.Alarm
	for _, v := range s.e.Alarms(s.now, watch.Caller{Role: watch.Operator}, watch.AlarmQuery{}) {
		left = append(left, v.Alarm)
	}
	if got := names(left); got != "new-Heartbeat" {
		t.Errorf("alarms are %q, want the new one alone", got)
	}
}
