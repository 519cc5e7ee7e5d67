package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// Log files are kept for their owner alone: what commands print may be secret.
const (
	logSize  = 5 << 20
	logCount = 5
)

// logs are where a command writes what it does: to stderr what a person must
// know, and all of it to the file that heat-cfntools wrote. What must not be
// shown is masked in both.
type logs struct {
	*slog.Logger
	mask atomic.Pointer[sys.Mask]
	// file is the log file alone, for what stderr is told in another way.
	file   *slog.Logger
	closer io.Closer
}

// openLogs returns the logs of a command. A file that cannot be opened is
// said once on stderr, and done without; an empty name means none.
func (e *env) openLogs(program, file string, verbose bool) *logs {
	l := &logs{file: slog.New(slog.DiscardHandler)}
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	terminal := &lineHandler{mu: &sync.Mutex{}, logs: l, w: e.stderr, level: level, format: func(r slog.Record) string {
		if r.Level >= slog.LevelWarn {
			return program + ": "
		}
		return program + ": " + strings.ToLower(r.Level.String()) + ": "
	}}
	if file == "" {
		l.Logger = slog.New(terminal)
		return l
	}
	f, err := openLog(filepath.Join(e.root, file))
	if err != nil {
		l.Logger = slog.New(terminal)
		l.Warn("no log file", "err", err)
		return l
	}
	l.closer = f
	handler := &lineHandler{mu: &sync.Mutex{}, logs: l, w: f, level: slog.LevelInfo, format: logPrefix}
	l.file = slog.New(handler)
	l.Logger = slog.New(slog.NewMultiHandler(terminal, handler))
	return l
}

func (l *logs) Close() {
	if l.closer != nil {
		l.closer.Close()
	}
}

// logPrefix is how aws-cfn-bootstrap begins a line: people grep for it.
func logPrefix(r slog.Record) string {
	return strings.Replace(r.Time.Format("2006-01-02 15:04:05.000"), ".", ",", 1) + " [" + r.Level.String() + "] "
}

// openLog opens a log file to append to; a file that has grown to its size is
// moved away first, and of those moved away the last ones are kept.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() >= logSize {
		for i := logCount - 1; i > 0; i-- {
			older := path + "." + strconv.Itoa(i)
			newer := path
			if i > 1 {
				newer = path + "." + strconv.Itoa(i-1)
			}
			_ = os.Rename(newer, older) // where there is none, none is moved
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// One that heat-cfntools made may be readable by everyone.
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm() != 0o600 {
		_ = f.Chmod(0o600)
	}
	return f, nil
}

// A lineHandler writes a record as one line: its message, and its attributes
// as key=value.
type lineHandler struct {
	mu     *sync.Mutex // guards w
	logs   *logs
	w      io.Writer
	level  slog.Level
	format func(slog.Record) string
	attrs  string
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool { writeAttr(&b, a); return true })
	line := awsquery.Redact(h.logs.mask.Load().String(b.String()))
	line = strings.NewReplacer("\n", " | ", "\r", "").Replace(line)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, h.format(r)+line+"\n")
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		writeAttr(&b, a)
	}
	with := *h
	with.attrs = b.String()
	return &with
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }

func writeAttr(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve()
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().Format(time.RFC3339)
	}
	if text == "" || strings.ContainsAny(text, " \"=\t") {
		text = strconv.Quote(text)
	}
	fmt.Fprintf(b, " %s=%s", a.Key, text)
}
