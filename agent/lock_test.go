package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLockKeepsOthersOutAndNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	first, err := TakeLock(t.Context(), path, "cfn-init -s x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
	defer cancel()
	_, err = TakeLock(ctx, path, "second")
	if want := fmt.Sprintf("pid %d, cfn-init -s x", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("TakeLock = %v, want an error that names %s", err, want)
	}
	released := make(chan error)
	go func() {
		time.Sleep(lockPoll)
		released <- first.Release()
	}()
	third, err := TakeLock(t.Context(), path, "third")
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
