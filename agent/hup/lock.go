package hup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// PIDPath is the file that a program which makes passes again and again holds
// as its lock; its process id is in it.
const PIDPath = "/run/cfn-hup.pid"

// TakeLock takes the lock that a file is, or returns an ErrBusy at once when
// another process has it. The kernel gives it up when the file is closed or
// the process ends, however it ends.
func TakeLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take the lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
