//go:build system

package store

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/mountns"
	"github.com/cfn-agent/cfn-agent/watch"
)

// TestDiskFull runs itself in a mount namespace of its own, with a file system
// of 4 MiB; it needs root or user namespaces.
func TestDiskFull(t *testing.T) {
	if !mountns.Enter(t) {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "state.db")
	s := opened(t, path)
	ballast := filepath.Join(dir, "ballast")
	overwrite(t, ballast, make([]byte, 1<<20))

	stored := fillUp(t, s)
	check := func(when string) {
		t.Helper()
		fired := map[string]bool{}
		for name, a := range loadAll(t, s) {
			if a.Kept.State == watch.Firing {
				fired[name] = true
			}
		}
		events, _, err := s.Events(t.Context(), watch.EventQuery{Limit: 1 << 30})
		if err != nil || len(fired) != stored || len(events) != 2*stored { // each tells of its state, and of what batchOf adds
			t.Errorf("%s %d alarms fire and %d events tell of it, %v, want both for the %d acknowledged", when, len(fired), len(events), err, stored)
		}
	}
	check("on a full disk")
	if err := s.Backup(context.Background(), path+".backup"); err == nil {
		t.Error("a backup was made on a full disk")
	}
	if err := s.Flush(context.Background(), bigWindows()); err == nil {
		t.Error("windows were kept on a full disk")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*backup*")); len(files) > 0 {
		t.Errorf("a backup that failed left %v", files)
	}

	if err := s.Close(); err != nil {
		t.Error(err)
	}
	overwrite(t, filepath.Join(dir, "what that left"), make([]byte, room(t, dir)))
	s = opened(t, path)
	check("after a restart on a full disk")

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := fire(t, s, "again"); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	stored++
	check("when there is room again")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, path)
	check("after a restart")
}

// room is what is left of a file system, but for what readers of a database need
// beside it.
func room(t *testing.T, dir string) int64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return max(0, int64(fs.Bavail)*fs.Bsize-2*(32<<10))
}

// fire defines an alarm and records that it fires.
func fire(t *testing.T, s *Store, name string) error {
	a := alarmNamed(name)
	a.Description = strings.Repeat("x", 500)
	a, err := s.PutAlarm(t.Context(), a, nil)
	if err != nil {
		return err
	}
	return s.Record(t.Context(), batchOf(a, 1))
}

// fillUp stores alarms that fire until the disk is full, and returns how many
// it did.
func fillUp(t *testing.T, s *Store) (stored int) {
	t.Helper()
	for stored = range 100_000 {
		if err := fire(t, s, strconv.Itoa(stored)); err != nil {
			if !strings.Contains(err.Error(), "full") {
				t.Errorf("the error on a full disk is %v", err)
			}
			return stored
		}
	}
	t.Fatal("the disk is never full")
	return 0
}

func bigWindows() (kept []watch.Kept) {
	for i := range 1000 {
		kept = append(kept, watch.Kept{AlarmID: int64(i + 1), Window: make([]byte, 4096)})
	}
	return kept
}
