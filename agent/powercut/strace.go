package powercut

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A reader makes ops of the lines of strace.
type reader struct {
	m    *Machine
	open map[string]unfinished // by process
}

// An unfinished call was interrupted in the record by those of others.
type unfinished struct {
	text  string
	begun int // ops before it
}

// With -xx each string is in hexadecimal: nothing in it looks like anything
// else.
var (
	started = regexp.MustCompile(`^(\d+) +(.*) <unfinished \.\.\.>$`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	whole   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)`)
)

func (r *reader) line(text string) error {
	begun := len(r.m.ops)
	if found := started.FindStringSubmatch(text); found != nil {
		r.open[found[1]] = unfinished{found[1] + " " + found[2], begun}
		return nil
	}
	if found := resumed.FindStringSubmatch(text); found != nil {
		u := r.open[found[1]]
		text, begun = u.text+found[2], u.begun
	}
	found := whole.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("a line that is no call: %.200s", text)
	}
	result, err := strconv.ParseInt(found[4], 10, 64)
	if err != nil || result < 0 {
		return nil // it did nothing, or the process died in it
	}
	return r.call(found[2], strings.Split(found[3], ", "), result, begun)
}

// call adds what a call did, if it was to files that are looked at.
func (r *reader) call(name string, args []string, result int64, begun int) error {
	switch name {
	case "open", "creat", "mkdir", "rmdir", "unlink", "rename", "link", "symlink":
		args, err := withDirs(name, args)
		if err != nil {
			return err
		}
		return r.call(name+"at", args, result, begun)
	case "openat", "creatat":
		r.opened(path(args[0], args[1]), args[2])
	case "mkdirat":
		r.add(op{kind: mkdir, path: path(args[0], args[1])})
	case "unlinkat", "rmdirat":
		r.add(op{kind: remove, path: path(args[0], args[1])})
	case "renameat", "renameat2":
		r.add(op{kind: rename, path: path(args[0], args[1]), to: path(args[2], args[3])})
	case "linkat":
		r.add(op{kind: link, path: path(args[0], args[1]), to: path(args[2], args[3])})
	case "symlinkat":
		r.add(op{kind: symlink, path: path(args[1], args[2]), to: text(args[0])})
	case "write":
		r.add(op{kind: write, path: file(args[0]), data: []byte(text(args[1]))[:result], at: -1})
	case "pwrite64":
		at, err := strconv.ParseInt(args[3], 10, 64)
		r.add(op{kind: write, path: file(args[0]), data: []byte(text(args[1]))[:result], at: at})
		return err
	case "ftruncate":
		size, err := strconv.ParseInt(args[1], 10, 64)
		r.add(op{kind: cut, path: file(args[0]), at: size})
		return err
	case "fsync", "fdatasync":
		r.add(op{kind: flush, path: file(args[0]), before: begun})
	default:
		for _, arg := range args {
			if r.ours(file(arg)) || r.ours(text(arg)) {
				return fmt.Errorf("%s changes %s, and how is not known here", name, r.m.short(file(arg)+text(arg)))
			}
		}
	}
	return nil
}

// withDirs are the arguments of an old call as the newer one has them. The
// directory that their paths are relative to is not in the record.
func withDirs(name string, args []string) ([]string, error) {
	for _, arg := range args {
		if p := text(arg); p != "" && !filepath.IsAbs(p) && !(name == "symlink" && arg == args[0]) {
			return nil, fmt.Errorf("%s of %s, and where that is is not known", name, p)
		}
	}
	const root = "AT_FDCWD</>"
	switch name {
	case "rename", "link":
		return []string{root, args[0], root, args[1]}, nil
	case "symlink":
		return []string{args[0], root, args[1]}, nil
	case "creat":
		return []string{root, args[0], "O_CREAT|O_TRUNC"}, nil
	}
	return append([]string{root}, args...), nil
}

func (r *reader) opened(path, flags string) {
	if strings.Contains(flags, "O_CREAT") {
		r.add(op{kind: create, path: path})
	}
	if strings.Contains(flags, "O_TRUNC") {
		r.add(op{kind: cut, path: path})
	}
}

func (r *reader) add(o op) {
	if r.ours(o.path) || o.kind != symlink && r.ours(o.to) {
		r.m.ops = append(r.m.ops, o)
	}
}

func (r *reader) ours(path string) bool {
	for _, dir := range []string{r.m.disk, r.m.world} {
		if path == dir || within(path, dir) {
			return true
		}
	}
	return false
}

// path is that of an argument relative to that of another.
func path(dir, name string) string {
	if name = text(name); filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(file(dir), name)
}

// file is the path that -y adds to a descriptor; empty: the file has no name
// any more, or it is no descriptor.
func file(arg string) string {
	_, name, ok := strings.Cut(arg, "<")
	if !ok || !strings.HasSuffix(name, ">") {
		return ""
	}
	return unhex(strings.TrimSuffix(name, ">"))
}

// text is a string; empty: it is none.
func text(arg string) string {
	if len(arg) < 2 || arg[0] != '"' || arg[len(arg)-1] != '"' {
		return ""
	}
	return unhex(arg[1 : len(arg)-1])
}

func unhex(s string) string {
	if data, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, "")); err == nil && strings.HasPrefix(s, `\x`) {
		return string(data)
	}
	return s
}
