package hooks

import (
	"fmt"
	"strings"
	"unicode"
)

// An ini is what one or more files say, read as Python 3's configparser reads
// them: "INI Files" of its library reference. A file that is read later wins
// key by key.
//
// gopkg.in/ini.v1 cannot be configured to that: it takes a value that begins
// with a backquote for a quoted one and drops what follows, so that an action
// such as `cat /etc/cmd` --now would lose its end; it keeps the indent of
// continuation lines, ends a value at a comment between them, takes an
// indented key for one, and says nothing of lines that it skips.
type ini struct {
	defaults section
	sections []*section
	problems []error
}

// A section is one [NAME] with its keys in lower case.
type section struct {
	name string
	file string // that it was first in
	keys map[string]string
	bad  error // a line of it is not what it should be
}

const defaultSection = "DEFAULT"

// A SyntaxError is about a line that is no part of a configuration.
type SyntaxError struct{ text string }

// Error names the file and the line.
func (e *SyntaxError) Error() string { return e.text }

func (f *ini) section(name string) *section {
	if name == defaultSection {
		return &f.defaults
	}
	for _, s := range f.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// read adds what a file says. What is wrong in it is a problem of the
// section, which its user decides about, or of the file.
func (f *ini) read(name string, data []byte) {
	r := iniReader{ini: f, file: name, seen: map[string]bool{}}
	text := strings.TrimPrefix(string(data), "\uFEFF")
	for line := range strings.Lines(text) {
		r.number++
		r.line(strings.TrimRight(line, "\r\n"))
	}
	r.endValue()
}

// An iniReader is where in a file the reading is.
type iniReader struct {
	*ini
	file   string
	number int
	seen   map[string]bool // keys of this file, as SECTION\x00KEY

	current *section
	key     string   // whose value may go on; empty: none
	value   []string // its lines
	indent  int      // of the line that began it
}

func (r *iniReader) line(line string) {
	text := strings.TrimSpace(line)
	switch {
	case text == "":
		if r.key != "" {
			r.value = append(r.value, "")
		}
		return
	case text[0] == '#' || text[0] == ';':
		return
	}
	indent := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
	if r.key != "" && indent > r.indent {
		r.value = append(r.value, text)
		return
	}
	r.endValue()
	r.indent = indent
	if end := strings.LastIndexByte(text, ']'); text[0] == '[' && end > 1 {
		r.open(text[1:end])
		return
	}
	r.option(text)
}

func (r *iniReader) open(name string) {
	if r.current = r.section(name); r.current == nil {
		r.current = &section{name: name, file: r.file}
		r.sections = append(r.sections, r.current)
	}
	if r.current.keys == nil {
		r.current.keys = map[string]string{}
	}
}

// option begins the value of a key, which lines after it may go on with.
func (r *iniReader) option(text string) {
	at := strings.IndexAny(text, "=:")
	var key string
	if at > 0 {
		key = strings.ToLower(strings.TrimSpace(text[:at]))
	}
	where := fmt.Sprintf("%s:%d", r.file, r.number)
	switch {
	case r.current == nil:
		r.problems = append(r.problems, &SyntaxError{where + ": the line stands before any [section]: it was skipped"})
	case key == "" && r.current == &r.defaults:
		r.problems = append(r.problems, &SyntaxError{where + ": the line is not KEY = VALUE: it was skipped"})
	case key == "":
		if r.current.bad == nil {
			r.current.bad = &SyntaxError{where + ": [" + r.current.name + "]: the line is not KEY = VALUE"}
		}
	default:
		if id := r.current.name + "\x00" + key; r.seen[id] {
			r.problems = append(r.problems, fmt.Errorf("%s: key %s is there twice: the last one holds", where, key))
		} else {
			r.seen[id] = true
		}
		r.key, r.value = key, []string{strings.TrimSpace(text[at+1:])}
	}
}

func (r *iniReader) endValue() {
	if r.key != "" {
		r.current.keys[r.key] = strings.TrimRightFunc(strings.Join(r.value, "\n"), unicode.IsSpace)
	}
	r.key, r.value = "", nil
}

// maxDepth is that of configparser, MAX_INTERPOLATION_DEPTH.
const maxDepth = 10

// get returns the value of a key of a section or else of [DEFAULT], and
// whether it is there. %% is a percent sign and %(KEY)s the value of another
// key; any other percent sign is one. Python refuses the whole configuration
// over one, such as that of date +%F.
func (f *ini) get(s *section, key string) (string, bool) {
	raw, ok := f.raw(s, key)
	return f.expand(s, raw, maxDepth), ok
}

func (f *ini) raw(s *section, key string) (string, bool) {
	if v, ok := s.keys[key]; ok {
		return v, true
	}
	v, ok := f.defaults.keys[key]
	return v, ok
}

func (f *ini) expand(s *section, raw string, depth int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(raw, '%')
		if at < 0 || b.Len() > maxValue {
			b.WriteString(raw)
			return b.String()
		}
		b.WriteString(raw[:at])
		raw = raw[at+1:]
		if strings.HasPrefix(raw, "%") {
			b.WriteByte('%')
			raw = raw[1:]
			continue
		}
		name, rest, closed := strings.Cut(raw, ")s")
		name, opened := strings.CutPrefix(name, "(")
		if v, ok := f.raw(s, strings.ToLower(name)); opened && closed && ok && depth > 0 {
			b.WriteString(f.expand(s, v, depth-1))
			raw = rest
			continue
		}
		b.WriteByte('%')
	}
}

// maxValue bounds what values that name each other can grow to.
const maxValue = 1 << 20
