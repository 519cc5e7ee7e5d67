package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// A KeyFile is a file of keys, an INI file with a section for each:
//
//	[ACCESS]
//	secret  = ...
//	project = ID
//	stack   = NAME or ID   (optional: binds the key to one stack)
//	role    = guest, member or reader   (default: guest with a stack, else member)
//
// Lines that begin with # or ; are comments; nothing else in a line is one.
// No other than its owner may have any permission on the file.
type KeyFile struct {
	path string
	log  *slog.Logger

	keys   atomic.Pointer[map[string]*Key]
	seen   fileState // what the last reading, good or bad, was of
	reread bool      // the file was so new that it may have changed unseen
}

// A fileState tells one state of a file from another.
type fileState struct {
	changed time.Time
	size    int64
	mode    fs.FileMode
	file    fs.FileInfo
}

func (s fileState) is(o fileState) bool {
	return s.file != nil && o.file != nil && os.SameFile(s.file, o.file) && s.changed.Equal(o.changed) && s.size == o.size && s.mode == o.mode
}

// OpenKeyFile reads a key file. The error joins all that is wrong in it, each
// mistake as FILE:LINE: what.
func OpenKeyFile(path string, log *slog.Logger) (*KeyFile, error) {
	f := &KeyFile{path: path, log: log}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// find is the key of an id, or nil.
func (f *KeyFile) find(access string) *Key { return (*f.keys.Load())[access] }

// Reload reads the file again. Where it is wrong the keys stay as they were. It
// is for one caller at a time.
func (f *KeyFile) Reload() error {
	state, data, err := f.read()
	f.seen, f.reread = state, time.Since(state.changed) < 2*time.Second
	if err != nil {
		return err
	}
	keys, err := parseKeys(f.path, string(data))
	if err != nil {
		return err
	}
	if old := f.keys.Load(); old != nil {
		keep(keys, *old)
	}
	f.keys.Store(&keys)
	return nil
}

// keep takes over the keys that are as before, with what they remember.
func keep(keys, old map[string]*Key) {
	for access, k := range keys {
		if o := old[access]; o != nil && o.Caller == k.Caller && o.Secret == k.Secret {
			keys[access] = o
		}
	}
}

func (f *KeyFile) stat() (fileState, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return fileState{}, fmt.Errorf("read the key file: %w", err)
	}
	return fileState{info.ModTime(), info.Size(), info.Mode(), info}, nil
}

func (f *KeyFile) read() (fileState, []byte, error) {
	state, err := f.stat()
	if err != nil {
		return state, nil, err
	}
	if perm := state.mode.Perm(); perm&0o077 != 0 {
		return state, nil, fmt.Errorf("%s: mode %04o lets others at the secrets: chmod 600 it", f.path, perm)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return state, nil, fmt.Errorf("read the key file: %w", err)
	}
	return state, data, nil
}

// follow reloads the file when it has changed.
func (f *KeyFile) follow() {
	state, err := f.stat()
	if err == nil && state.is(f.seen) && !f.reread || err != nil && f.seen.file == nil {
		return
	}
	same := err == nil && state.is(f.seen)
	err = f.Reload()
	switch {
	case same:
	case err != nil:
		f.log.Error("key file refused, its keys stay as they were", "err", err)
	default:
		f.log.Info("key file read", "file", f.path, "keys", len(*f.keys.Load()))
	}
}

// parseKeys reads the text of a key file; path is for messages.
func parseKeys(path, text string) (map[string]*Key, error) {
	p := keyParser{path: path, keys: map[string]*Key{}}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		p.line++
		p.read(strings.TrimSpace(line))
	}
	p.end()
	if len(p.wrong) > 0 {
		return nil, errors.Join(p.wrong...)
	}
	return p.keys, nil
}

type keyParser struct {
	path  string
	line  int
	keys  map[string]*Key
	wrong []error

	access string // of the section; empty: none, or a wrong one
	begun  int    // its line
	values map[string]string
}

func (p *keyParser) mistake(line int, format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %s", p.path, line, fmt.Sprintf(format, args...)))
}

func (p *keyParser) read(line string) {
	name, value, assigned := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
	case line[0] == '[':
		p.end()
		p.begin(line)
	case !assigned:
		p.mistake(p.line, "neither [ACCESS] nor NAME = VALUE")
	case p.values == nil:
		p.mistake(p.line, "%s stands before the first [ACCESS]", name)
	case !slices.Contains([]string{"secret", "project", "stack", "role"}, name):
		p.mistake(p.line, "unknown key %q: the keys are secret, project, stack, role", name)
	case value == "":
		p.mistake(p.line, "%s is empty", name)
	case p.values[name] != "":
		p.mistake(p.line, "%s is given twice", name)
	case name == "role" && !slices.Contains([]watch.Role{watch.Guest, watch.Member, watch.Reader}, watch.Role(value)):
		p.mistake(p.line, "role %q is none of guest, member, reader", value)
	default:
		p.values[name] = value
	}
}

func (p *keyParser) begin(line string) {
	p.access, p.begun, p.values = strings.TrimSpace(strings.Trim(line, "[]")), p.line, map[string]string{}
	switch {
	case !strings.HasSuffix(line, "]") || p.access == "":
		p.mistake(p.line, "a section is [ACCESS], with the id of an access key")
		p.access = ""
	case strings.ContainsAny(p.access, "/, \t"):
		p.mistake(p.line, "an access key has no slash, comma or space in it")
		p.access = ""
	case p.keys[p.access] != nil:
		p.mistake(p.line, "access key %s is given twice", p.access)
		p.access = ""
	}
}

// end makes a key of the section that ends.
func (p *keyParser) end() {
	if p.access == "" {
		return
	}
	k := &Key{
		Caller:  watch.Caller{Access: p.access, Project: p.values["project"], Stack: p.values["stack"], Role: watch.Role(p.values["role"])},
		Checker: awsquery.Checker{Secret: awsquery.Secret(p.values["secret"])},
	}
	for _, name := range []string{"secret", "project"} {
		if p.values[name] == "" {
			p.mistake(p.begun, "access key %s has no %s", p.access, name)
		}
	}
	switch {
	case k.Role == "" && k.Stack != "":
		k.Role = watch.Guest
	case k.Role == "":
		k.Role = watch.Member
	case k.Role != watch.Guest && k.Stack != "":
		p.mistake(p.begun, "access key %s: a stack binds guests alone, not role %s", p.access, k.Role)
	}
	p.keys[p.access], p.access = k, ""
}
