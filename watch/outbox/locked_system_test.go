//go:build system

package outbox_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Another program holds the lock of the database for a minute, in real time:
// nothing can be written, and so nothing is done about who dies meanwhile before
// that is over; living guests are left alone, and one that dies afterwards is
// restarted.
func TestDatabaseThatIsLockedRestartsNobody(t *testing.T) {
	s := newSite(t)
	ran := filepath.Join(s.dir, "ran")
	s.command("restart", `echo "$CFNWATCH_ALARM" >>"$1"`, ran)
	beats := watch.Alarm{
		Project: "p1", Name: "web", Namespace: "system/linux", Metric: "Heartbeat", Statistic: watch.SampleCount, Period: 10 * time.Second, Periods: 1,
		Threshold: 1, Comparison: watch.Less, Missing: watch.MissingBreaching, ActionsEnabled: true, OnAlarm: []string{"cfnwatch:exec:restart"}, Origin: watch.FromRules,
	}
	a, err := s.engine.Define(t.Context(), time.Now(), rules, beats)
	if err != nil {
		t.Fatal(err)
	}
	beats.Name = "db"
	dead, err := s.engine.Define(t.Context(), time.Now(), rules, beats)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { s.engine.Run(ctx) })
	s.start()
	live := func(d time.Duration, guests ...string) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
			for _, g := range guests {
				s.engine.Put(time.Now(), watch.Caller{Project: "p1", Role: watch.Guest, Access: g},
					[]watch.Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: g, Count: 1, Sum: 1, Min: 1, Max: 1}})
			}
		}
	}
	restarted := func() string {
		text, err := os.ReadFile(ran)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(text)
	}
	state := func(id int64) watch.View {
		v, _ := s.engine.ViewID(time.Now(), id)
		return v
	}
	live(5*time.Second, "web", "db")
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err == nil {
		_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.engine.Deaf(time.Now(), "something to write")
	live(time.Minute, "web")
	if v := state(dead.ID); v.State != watch.OK || restarted() != "" {
		t.Errorf("the one that died is %s, restarted %q, want nothing that is not stored", v.State, restarted())
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); restarted() == "" && time.Now().Before(end); {
		live(5*time.Second, "web")
	}
	live(20*time.Second, "web")
	if got := restarted(); got != "db\n" {
		t.Errorf("restarted %q, want the one that died, once", got)
	}
	if v := state(a.ID); v.State != watch.OK || v.Number != 1 {
		t.Errorf("the alarm is %s, transition %d, want OK since ever", v.State, v.Number)
	}
	eventually(t, "it is dead", func() bool { return state(a.ID).State == watch.Firing })
	eventually(t, "it is restarted when it dies", func() bool {
		rows, err := s.store.Rows(t.Context(), RowQuery{AlarmID: a.ID})
		return err == nil && len(rows) == 1 && rows[0].Status.Ended()
	})
}
