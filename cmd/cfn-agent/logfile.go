package main

import (
	"os"
	"strconv"
	"sync"
)

// Log files are kept for their owner alone: what commands print may be secret.
const (
	logSize  = 5 << 20
	logCount = 5
)

// A logFile is a log that is appended to. When it has grown to logSize it is
// moved away, and of those moved away the last ones are kept: a single command
// may write more than a disk holds.
type logFile struct {
	path string

	mu   sync.Mutex // guards what follows
	file *os.File
	size int64
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() >= logSize {
		l.turnOver()
	}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.file, l.size = f, 0
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil // never turned over
	}
	l.size = info.Size()
	if info.Mode().Perm() != 0o600 { // one that heat-cfntools made may be readable by everyone
		_ = f.Chmod(0o600)
	}
	return nil
}

func (l *logFile) turnOver() {
	for i := logCount - 1; i > 0; i-- {
		older := l.path + "." + strconv.Itoa(i)
		newer := l.path
		if i > 1 {
			newer = l.path + "." + strconv.Itoa(i-1)
		}
		_ = os.Rename(newer, older) // where there is none, none is moved
	}
}

// Write appends p whole, to a new file when this one has its size.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size >= logSize {
		full := l.file
		l.turnOver()
		if err := l.open(); err != nil {
			return 0, err
		}
		full.Close()
	}
	n, err := l.file.Write(p)
	if info, statErr := l.file.Stat(); statErr == nil && info.Mode().IsRegular() {
		l.size += int64(n)
	}
	return n, err
}

// Close closes the file.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
