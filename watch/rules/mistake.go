package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A place is where something stands.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// A Mistake is one thing wrong in a file.
type Mistake struct {
	File string
	Line int    // from 1; 0: of the file as a whole
	In   string // the alarm or the case; empty: the file
	Key  string // the field; empty: In as a whole
	What string
}

// String is one line: FILE:LINE: in: key: what.
func (m Mistake) String() string {
	at := m.File
	if m.Line > 0 {
		at = place{m.File, m.Line}.String()
	}
	var b strings.Builder
	for _, part := range []string{at, m.In, m.Key} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return b.String() + m.What
}

// An Error is all that is wrong in some files.
type Error struct{ Mistakes []Mistake }

// Error is a line for each mistake.
func (e *Error) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// mistakes are gathered while files are read.
type mistakes struct{ list []Mistake }

func (m *mistakes) add(at place, in, key, format string, args ...any) {
	m.list = append(m.list, Mistake{at.file, at.line, oneLine(in), oneLine(key), oneLine(fmt.Sprintf(format, args...))})
}

// err is nil, or an Error with each mistake once, by file and line: what is
// wrong in Defaults was found for each alarm.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	e := &Error{}
	seen, files := map[Mistake]bool{}, map[string]int{}
	for _, one := range m.list {
		if _, known := files[one.File]; !known {
			files[one.File] = len(files)
		}
		if !seen[one] {
			seen[one] = true
			e.Mistakes = append(e.Mistakes, one)
		}
	}
	slices.SortStableFunc(e.Mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return e
}

// oneLine keeps what a file says from looking like lines of ours.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
