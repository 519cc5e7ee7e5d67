package admin

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Who tries an action sees what came of it: the call waits until all has ended
// or is held, and not longer than an operator does.
func TestTrialIsWaitedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		becomes outbox.Row // after 3 s
		waits   time.Duration
	}{
		"done":            {outbox.Row{Status: outbox.Done}, 3 * time.Second},
		"held":            {outbox.Row{Status: outbox.Held, Gate: "g1"}, 3 * time.Second},
		"begun, no more":  {outbox.Row{Status: outbox.Acting}, 20 * time.Second},
		"nobody takes it": {outbox.Row{Status: outbox.Wanted}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				d := deskIn(t, dir)
				d.alarm("p", "a")
				time.AfterFunc(3*time.Second-testLook/2, func() {
					rows, err := d.Store.Rows(t.Context(), outbox.RowQuery{})
					if err != nil || len(rows) != 1 {
						t.Errorf("%d actions, %v, want the one that is tried", len(rows), err)
						return
					}
					rows[0].Status, rows[0].Gate = tt.becomes.Status, tt.becomes.Gate
					d.update(rows[0])
				})
				began := time.Now()
				list, err := d.testAction(t.Context(), "me", Ref{Alarm: "a"})
				if waited := time.Since(began); waited != tt.waits {
					t.Errorf("waited %s, want %s", waited, tt.waits)
				}
				if err != nil || len(list) != 1 || list[0].Status != tt.becomes.Status {
					t.Errorf("testAction = %+v, %v, want it %s", list, err, tt.becomes.Status)
				}
			})
		})
	}
}

// The suspension of an alarm can be ended when the alarm is gone: it would hold the
// next of that name.
func TestSuspensionOfADeletedAlarmIsEnded(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"web", "p/web"} {
		d.alarm("p", "web")
		if _, problem := ask[Suspended](d, "suspend", SuspendRequest{Scope: outbox.OfAlarm, Name: "web"}); problem != "" {
			t.Fatal(problem)
		}
		if err := d.Engine.Delete(t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: "p"}, []string{"web"}); err != nil {
			t.Fatal(err)
		}
		if n, problem := ask[Count](d, "resume", ResumeRequest{Scope: outbox.OfAlarm, Name: name}); problem != "" || n.Count != 1 {
			t.Errorf("resume alarm %s ends %d, %q, want 1", name, n.Count, problem)
		}
	}
	if _, problem := ask[Count](d, "resume", ResumeRequest{Scope: outbox.OfAlarm, Name: "none"}); problem != "alarm none is not suspended" {
		t.Errorf("resume of what never was: %q", problem)
	}
}
