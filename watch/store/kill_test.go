package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// victim is the variable of the environment that makes the test binary write
// to the store it names until it is killed.
const victim = "CFN_TEST_STORE_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		if err := writeUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeUntilKilled says on stdout the number of each write after it returned.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	n := int64(0) // the last alarm that is there
	err = s.Load(ctx, func(a watch.Alarm, _ watch.Kept) error {
		named, err := strconv.ParseInt(a.Name, 10, 64)
		n = max(n, named)
		return err
	})
	if err != nil {
		return err
	}
	for {
		n++
		a, err := s.PutAlarm(ctx, alarmNamed(strconv.FormatInt(n, 10)), nil)
		if err != nil {
			return err
		}
		if err := s.Record(ctx, batchOf(a, n)); err != nil {
			return err
		}
		if err := s.Flush(ctx, []watch.Kept{{AlarmID: a.ID, Fed: now, Window: bytes.Repeat([]byte{1}, 100)}}); err != nil {
			return err
		}
		fmt.Println(n)
		if n%10 == 0 {
			if err := s.Backup(ctx, path+".backup"); err != nil {
				return err
			}
		}
	}
}

// batchOf is a tick in which an alarm fires, the n-th time, and wants an action.
func batchOf(a watch.Alarm, n int64) watch.Batch {
	tr := watch.Transition{AlarmID: a.ID, Project: a.Project, Alarm: a.Name, Number: int(n), To: watch.Firing, At: now, Reason: "r", Data: json.RawMessage("{}")}
	return watch.Batch{At: now, Transitions: []watch.Transition{tr}, Wanted: []watch.Wanted{{Transition: tr, Action: "https://example.com/"}},
		Events: []watch.Event{{At: now, Kind: watch.StateUpdate, Project: a.Project, Alarm: a.Name}}}
}

// A process is killed at random moments, while it opens the store, and in the
// middle of writes and backups: what it had acknowledged is there, and no
// batch is there in part.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var acknowledged []string
	for round := range 15 {
		acknowledged = append(acknowledged, runAndKill(t, path, round%3 == 0)...)
		checkAfterKill(t, path, round, acknowledged)
	}
	if len(acknowledged) < 10 {
		t.Errorf("only %d writes were acknowledged: the test shows little", len(acknowledged))
	}
}

// runAndKill returns the writes that were acknowledged. It kills early, or
// some writes later.
func runAndKill(t *testing.T, path string, early bool) (acknowledged []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		time.AfterFunc(time.Duration(rand.IntN(100))*time.Millisecond, func() { cmd.Process.Kill() })
	}
	if early {
		kill()
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acknowledged == nil {
			kill()
		}
		acknowledged = append(acknowledged, lines.Text())
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the process ended by itself: %v, %s", err, stderr.String())
	}
	return acknowledged
}

func checkAfterKill(t *testing.T, path string, round int, acknowledged []string) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer s.Close()
	events, _, err := s.Events(t.Context(), watch.EventQuery{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.Rows(t.Context(), outbox.RowQuery{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	inHistory, wanted := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		inHistory[e.Alarm] = true
	}
	for _, r := range rows {
		wanted[r.Alarm] = true
	}
	alarms := loadAll(t, s)
	for _, name := range acknowledged {
		if k := alarms[name].Kept; k.State != watch.Firing || k.Window == nil {
			t.Fatalf("round %d: of the write %s, which was acknowledged, there is %+v", round, name, k)
		}
	}
	for name, a := range alarms {
		fired := a.Kept.State == watch.Firing
		if fired != inHistory[name] || fired != wanted[name] {
			t.Fatalf("round %d: of one batch there is the state %t, the history %t, the action %t", round, fired, inHistory[name], wanted[name])
		}
	}
}
