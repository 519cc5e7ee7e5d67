package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

func TestTables(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	showHistory(&b, []watch.Event{{At: at.Add(time.Minute), Kind: watch.Gate, Project: "p", Alarm: "a", Summary: "new"}, {At: at, Kind: watch.Deafness, Summary: "old"}})
	showActions(&b, []outbox.Explained{{Born: at, Project: "p", Alarm: "a", Action: "cfnwatch:notify", Status: outbox.Held, Gate: "g1", Why: "suspended"}, {Born: at, Project: "p", Alarm: "b", Action: "x", Status: outbox.Done}})
	showExplanation(&b, admin.Explanation{Now: at, Listening: at.Add(-time.Hour), Explanation: outbox.Explanation{
		Alarm: &outbox.AlarmState{
			Project: "p", Name: "a", Origin: watch.FromRules, File: "r.yaml:1", Rule: "a rule", State: watch.Firing, Since: at, Reason: "silent", Silent: true, Overdue: true,
			Allowed: 135 * time.Second, Usual: time.Minute, Arrived: at.Add(-3 * time.Minute), Heard: at.Add(-time.Hour),
		},
		Transitions: []watch.Event{{At: at, Summary: "second"}, {At: at.Add(-time.Minute), Summary: "first"}},
		Storms:      []outbox.Storm{{Domain: "all", Overdue: 3, Alive: 9, Since: at}, {Domain: "p", Overdue: 3, Alive: 4, Since: at, Waived: true}},
		Actions: []outbox.Explained{{Action: "cfnwatch:exec:x", Status: outbox.Done, Project: "p", Alarm: "a", State: watch.Firing, Born: at,
			Steps: []outbox.Step{{At: at, Status: outbox.Done, HTTP: 200, Request: "req-1", Text: "fine"}}}},
		Next: "nothing",
	}})
	const want = `2026-03-01 12:00:00Z	Deafness	-	old
2026-03-01 12:01:00Z	Gate	p/a	new
WANTED	ALARM	ACTION	STATUS	GATE	WHY
2026-03-01 12:00:00Z	p/a	cfnwatch:notify	held	g1	suspended
2026-03-01 12:00:00Z	p/b	x	done	-	-
alarm	p/a, from rules r.yaml:1
rule	a rule
samples	last 3m0s ago; usually every 1m0s; silence allowed 2m15s
listening	since 2026-03-01 11:00:00Z; for this alarm since 2026-03-01 11:00:00Z
state	ALARM since 2026-03-01 12:00:00Z: silent; silent now
	its actions are switched off
transitions	2026-03-01 11:59:00Z  first
	2026-03-01 12:00:00Z  second
storm	in all since 2026-03-01 12:00:00Z: 3 of 9 guests overdue; nothing is restarted (cfn-watch resume --storm all lets actions go)
storm	in p since 2026-03-01 12:00:00Z: 3 of 4 guests overdue; an operator lets actions go
action	cfnwatch:exec:x: done, wanted by p/a in ALARM at 2026-03-01 12:00:00Z
	  2026-03-01 12:00:00Z  done, HTTP 200, request req-1: fine
next	nothing
`
	if b.String() != want {
		t.Errorf("tables:\n%s\nwant\n%s", b.String(), want)
	}
}

// Who is not restarted for silence since its pushes are refused is told, and
// until when.
func TestStatusTellsOfRefusedKeys(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := watch.Refused{Access: "A", Since: at, Until: at.Add(24 * time.Hour), Alarms: []string{"p/a", "p/b"}}
	old := r
	old.Over = true
	var b strings.Builder
	showStatus(&b, admin.Status{Refused: []watch.Refused{old, r}, Refusals: 22})
	const begins = "refused\taccess key A (p/a, p/b): its pushes are refused or cannot be verified since 2026-03-01 12:00:00Z; "
	want := begins + "such alarms are judged silent since 2026-03-02 12:00:00Z\n" + begins + "while they come, such alarms are not judged silent before 2026-03-02 12:00:00Z\nrefused\tpushes of 20 more access keys\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("status:\n%s\nwant at its end\n%s", b.String(), want)
	}
}
