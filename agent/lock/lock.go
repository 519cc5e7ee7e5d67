// Package lock keeps processes out of each other's way by the lock of a file,
// flock(2). The kernel gives a lock up when its process ends, however it ends.
//
// It is for whole programs that change the machine; it knows none of them.
package lock

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

// Wait is how long Take waits for a lock.
const Wait = 10 * time.Minute

// poll is how often a lock that another process holds is tried again.
const poll = 200 * time.Millisecond

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("another process holds it")

// A Lock is held until it is released.
type Lock struct{ file *os.File }

// Try takes the lock that the file at path is. The error is ErrHeld when
// another process has it. Parents of the file that are missing are made.
func Try(path string) (*Lock, error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := l.try(); err != nil {
		return nil, errors.Join(fmt.Errorf("take the lock %s: %w", path, err), l.file.Close())
	}
	return l, nil
}

// Take is Try that waits up to Wait for a run that holds the lock. The holder
// is noted in the file as its pid and command, which an error about it names.
func Take(ctx context.Context, path, command string) (*Lock, error) {
	l, err := open(path)
	if err != nil {
		return nil, err
	}
	give := time.After(Wait)
	for {
		err := l.try()
		if err == nil {
			break
		}
		if !errors.Is(err, ErrHeld) {
			return nil, errors.Join(fmt.Errorf("take the lock %s: %w", path, err), l.file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another run holds the lock %s (%s): %w", path, holder(path), context.Cause(ctx)), l.file.Close())
		case <-give:
			return nil, errors.Join(fmt.Errorf("another run has held the lock %s for %s: %s", path, Wait, holder(path)), l.file.Close())
		case <-time.After(poll):
		}
	}
	// The lock is held without the note too: a full disk is no reason to stop.
	_ = l.Note(fmt.Sprintf("pid %d, %s\n", os.Getpid(), command))
	return l, nil
}

// Note makes a text the content of the file.
func (l *Lock) Note(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text), 0)
	return err
}

// Release gives the lock up, and leaves the file empty.
func (l *Lock) Release() error {
	_ = l.file.Truncate(0)
	return l.file.Close()
}

func open(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	return &Lock{f}, nil
}

func (l *Lock) try() error {
	for {
		switch err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrHeld
		case !errors.Is(err, syscall.EINTR):
			return err
		}
	}
}

func holder(path string) string {
	data, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(data)); err == nil && text != "" {
		return text
	}
	return "its process is unknown"
}
