package main

import (
	"path/filepath"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/stats"
)

// Two of cron that look at the same moment whether a daemon sends the heartbeat
// do not take each other for it.
func TestHeartbeatIsHeldByDaemonAlone(t *testing.T) {
	e := &env{root: t.TempDir()}
	l, err := lock.Try(filepath.Join(e.root, stats.HeartbeatPath))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	f := func(note, watch string, want bool) {
		t.Helper()
		if err := l.Note(note); err != nil {
			t.Fatal(err)
		}
		o := pushStatsOptions{watch: watch}
		o.selection.Names = []string{stats.Heartbeat}
		if got := o.heldElsewhere(e); got != want {
			t.Errorf("noted %q, watch %q: held elsewhere is %v, want %v", note, watch, got, want)
		}
	}
	f("", "", false)
	f("\n", "", true)
	f("\n", "a", false)
	f("a\n", "a", true)
	f("a\n", "", false)
}
