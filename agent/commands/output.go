package commands

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// shownLines and keptTail bound what an error shows of a command's output.
const (
	shownLines = 10
	keptTail   = 64 << 10
	shownWidth = 1000 // characters of a line
)

// An output passes on what a command writes and keeps the end of it. Its
// Write never fails: a full disk under the log must not end the command.
type output struct {
	s    *sys.System
	log  io.WriteCloser // nil: none, or it has failed
	tail []byte
	cut  bool // the tail is not all there was
}

func newOutput(s *sys.System, w io.Writer) *output {
	o := &output{s: s}
	if w != nil {
		o.log = s.Mask.Writer(w)
	}
	return o
}

func (o *output) Write(p []byte) (int, error) {
	if o.log != nil {
		_, err := o.log.Write(p)
		o.failed(err)
	}
	o.tail = append(o.tail, p...)
	if len(o.tail) > 2*keptTail {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-keptTail:]...)
		o.cut = true
	}
	return len(p), nil
}

// note writes a line of our own to the log, in the form of the other logs, so
// that it can be told which command has written what, and when.
func (o *output) note(text string) {
	if o.log == nil {
		return
	}
	line := time.Now().Format("2006-01-02 15:04:05,000") + " " + text + "\n"
	if len(o.tail) > 0 && o.tail[len(o.tail)-1] != '\n' {
		line = "\n" + line
	}
	_, err := io.WriteString(o.log, line)
	o.failed(err)
}

// Close writes out a last line without an end.
func (o *output) Close() {
	if o.log != nil {
		o.failed(o.log.Close())
	}
}

func (o *output) failed(err error) {
	if err != nil {
		o.s.Log.Warn("output of commands cannot be logged", "err", err)
		o.log = nil
	}
}

// lastLines returns the last lines that say something, secrets masked, as
// text that a terminal shows: commands may write any bytes.
func (o *output) lastLines() []string {
	tail := o.tail
	if o.cut { // within a line, perhaps within a secret that no mask knows then
		tail = tail[bytes.IndexByte(tail, '\n')+1:]
	}
	text := strings.ToValidUTF8(o.s.Mask.String(string(tail)), "\uFFFD")
	var lines []string
	for line := range strings.Lines(text) {
		if line = printable(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-shownLines):]
}

// printable is what a line shows in the end: progress bars go back to its
// beginning with a carriage return.
func printable(line string) string {
	line = strings.TrimRight(line, "\r\n")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	line = strings.TrimRightFunc(strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, line), unicode.IsSpace)
	if runes := []rune(line); len(runes) > shownWidth {
		return "..." + string(runes[len(runes)-shownWidth:])
	}
	return line
}
