package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	systemd "github.com/coreos/go-systemd/v22/journal"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// logs are where a command writes what it does: to stderr what a person must
// know, and all of it to the file that heat-cfntools wrote. What must not be
// shown is masked in both.
type logs struct {
	*slog.Logger
	mask atomic.Pointer[sys.Mask] // of metadata
	keys atomic.Pointer[sys.Mask] // of the credentials in use
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
	terminal := &lineHandler{logs: l, level: level, write: e.stderrWriter(program)}
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
	handler := &lineHandler{logs: l, level: slog.LevelInfo, write: func(r slog.Record, line string) error {
		_, err := io.WriteString(f, logPrefix(r)+line+"\n") // whole, and one at a time
		return err
	}}
	l.file = slog.New(handler)
	l.Logger = slog.New(slog.NewMultiHandler(terminal, handler))
	return l
}

// stderrWriter writes lines to stderr; where systemd's journal is behind it, to
// the journal with their priority, so that "journalctl -p err" finds them.
func (e *env) stderrWriter(program string) func(slog.Record, string) error {
	var mu sync.Mutex
	inJournal := e.inJournal()
	fields := map[string]string{"SYSLOG_IDENTIFIER": program}
	return func(r slog.Record, line string) error {
		mu.Lock()
		defer mu.Unlock()
		if inJournal && systemd.Send(line, priority(r.Level), fields) == nil {
			return nil
		}
		prefix := program + ": "
		if r.Level < slog.LevelWarn {
			prefix += strings.ToLower(r.Level.String()) + ": "
		}
		_, err := io.WriteString(e.stderr, prefix+line+"\n")
		return err
	}
}

// inJournal says whether stderr is the stream to systemd's journal, whose device
// and inode are in JOURNAL_STREAM, see systemd.exec(5).
func (e *env) inJournal() bool {
	stream := e.getenv("JOURNAL_STREAM")
	if stream == "" {
		return false
	}
	info, err := e.stderr.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func priority(level slog.Level) systemd.Priority {
	switch {
	case level >= slog.LevelError:
		return systemd.PriErr
	case level >= slog.LevelWarn:
		return systemd.PriWarning
	case level >= slog.LevelInfo:
		return systemd.PriInfo
	}
	return systemd.PriDebug
}

// hide takes out of a text what must not be shown, and what would command a
// terminal rather than be read on it.
func (l *logs) hide(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return -1
		}
		return r
	}, awsquery.Redact(l.mask.Load().String(l.keys.Load().String(text))))
}

// shown is err with a text that may be shown.
func (l *logs) shown(err error) error {
	if err == nil {
		return nil
	}
	return &shownError{err, l.hide(err.Error())}
}

// A shownError is an error whose text holds no secret; what it wraps may.
type shownError struct {
	err  error
	text string
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.err }

func (l *logs) Close() {
	if l.closer != nil {
		l.closer.Close()
	}
}

// logPrefix is how aws-cfn-bootstrap begins a line: people grep for it.
func logPrefix(r slog.Record) string {
	return strings.Replace(r.Time.Format("2006-01-02 15:04:05.000"), ".", ",", 1) + " [" + r.Level.String() + "] "
}

// A lineHandler writes a record as one line: its message, and its attributes
// as key=value.
type lineHandler struct {
	logs  *logs
	level slog.Level
	write func(r slog.Record, line string) error
	attrs string
}

func (h *lineHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool { writeAttr(&b, a); return true })
	line := strings.NewReplacer("\n", " | ", "\r", "").Replace(h.logs.hide(b.String()))
	return h.write(r, line)
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
