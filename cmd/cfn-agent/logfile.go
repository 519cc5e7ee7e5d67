package main

import (
	"os"
	"path/filepath"
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
// may write more than a disk holds. When someone else has moved it away, as
// logrotate(8) does, it is begun anew.
type logFile struct {
	path string

	mu   sync.Mutex // guards what follows
	file *os.File
	info os.FileInfo // of file; nil: not known
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() >= logSize {
		l.turnOver()
	}
	_ = os.MkdirAll(filepath.Dir(path), 0o755) // in an empty root; else there, and opening it tells
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.file = f
	if l.info, err = f.Stat(); err != nil {
		return nil
	}
	if l.info.Mode().IsRegular() && l.info.Mode().Perm() != 0o600 { // one that heat-cfntools made may be readable by everyone
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

// Write appends p whole, to a new file when this one has its size or is gone.
// Where none can be made it goes to the one that there was.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := os.Stat(l.path)
	there := err == nil && os.SameFile(info, l.info)
	full := there && info.Mode().IsRegular() && info.Size() >= logSize
	if full {
		l.turnOver()
	}
	if full || !there {
		old := l.file
		if l.open() == nil {
			old.Close()
		}
	}
	return l.file.Write(p)
}

// Close closes the file.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
