package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTakeKeepsOthersOutAndNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	first, err := Take(t.Context(), path, "cfn-init -s x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*poll)
	defer cancel()
	_, err = Take(ctx, path, "second")
	if want := fmt.Sprintf("pid %d, cfn-init -s x", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Take = %v, want an error that names %s", err, want)
	}
	released := make(chan error)
	go func() {
		time.Sleep(poll)
		released <- first.Release()
	}()
	third, err := Take(t.Context(), path, "third")
	if err != nil {
		t.Fatal(err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lock file: %v, %v, want 0600", info.Mode(), err)
	}
	if err := third.Release(); err != nil {
		t.Error(err)
	}
}

func TestTryDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Note("a long note\n"); err != nil {
		t.Error(err)
	}
	if err := first.Note("7\n"); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "7\n" {
		t.Errorf("file = %q, want the last note alone", data)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), path) {
		t.Errorf("Try = %v, want ErrHeld with the path", err)
	}
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	second, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

// A file system that takes no byte more, here by the limit of the process,
// still gives locks.
func TestTakeWithoutRoomForItsNote(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lock")
	none := syscall.Rlimit{Cur: 0, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &none); err != nil {
		t.Fatal(err)
	}
	l, err := Take(t.Context(), path, "cfn-init")
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatalf("Take = %v, want the lock", err)
	}
	if data, _ := os.ReadFile(path); len(data) != 0 {
		t.Errorf("the note %q was written after all", data)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("Try = %v, want ErrHeld", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
