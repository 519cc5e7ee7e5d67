package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// LockPath is the file whose lock a run holds, and LockWait how long another
// one waits for it.
const (
	LockPath = "/run/cfn-init.lock"
	LockWait = 10 * time.Minute
)

// lockPoll is how often a lock that another run holds is tried again.
const lockPoll = 200 * time.Millisecond

// A Lock lets one run change the machine at a time. The kernel gives it up
// when the process ends, however it ends.
type Lock struct{ file *os.File }

// TakeLock takes the lock at path, waiting up to LockWait for a run that holds
// it. The holder is written into the file as its pid and command, which an
// error about it names.
func TakeLock(ctx context.Context, path, command string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	give := time.After(LockWait)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("take the lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another run holds the lock %s (%s): %w", path, holder(path), context.Cause(ctx)), f.Close())
		case <-give:
			return nil, errors.Join(fmt.Errorf("another run has held the lock %s for %s: %s", path, LockWait, holder(path)), f.Close())
		case <-time.After(lockPoll):
		}
	}
	if err := f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "pid %d, %s\n", os.Getpid(), command)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("take the lock %s: %w", path, err), f.Close())
		}
	}
	return &Lock{f}, nil
}

// Release gives the lock up.
func (l *Lock) Release() error {
	_ = l.file.Truncate(0)
	return l.file.Close()
}

func holder(path string) string {
	data, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(data)); err == nil && text != "" {
		return text
	}
	return "its process is unknown"
}
