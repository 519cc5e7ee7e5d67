// Package powercut is for tests of what a power cut leaves: it records with
// strace(1) what a process and its children do to the files of a directory,
// and makes of the record what the disk may hold when the power goes at any
// moment of it. It is in no program.
//
// It promises no more than POSIX does (fsync(2)): of a file what it held at
// the last sync of the file, of a directory the names that it had at the last
// sync of the directory. Of the rest there may be any part: pages of a write,
// and the changes of names up to one of them, for file systems keep a journal
// of those. What a process writes by mmap(2) is not seen.
package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Machine is what is recorded of a directory, from how it was at first.
type Machine struct {
	disk, world string
	ops         []op
	first       int // of ops, of what was recorded; those before it made what was there
}

// New looks at a directory, the disk, as it is before anything is recorded.
// What is written to the directory world has left the machine: no cut takes
// it back. Both are absolute, and one may be in the other.
func New(disk, world string) (*Machine, error) {
	m := &Machine{disk: filepath.Clean(disk), world: filepath.Clean(world)}
	err := filepath.WalkDir(m.disk, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == m.disk {
			return err
		}
		switch {
		case d.IsDir():
			m.ops = append(m.ops, op{kind: mkdir, path: path})
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			m.ops = append(m.ops, op{kind: create, path: path}, op{kind: write, path: path, data: data}, op{kind: flush, path: path, before: len(m.ops) + 2})
		default:
			return nil // sockets
		}
		m.ops = append(m.ops, op{kind: flush, path: filepath.Dir(path), before: len(m.ops) + 1})
		return nil
	})
	m.first = len(m.ops)
	return m, err
}

// calls are those that are recorded. The question mark is for those that not
// every architecture has.
const calls = "openat,?open,?creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice," +
	"fsync,fdatasync,?rename,renameat,renameat2,?unlink,unlinkat,?rmdir,?link,linkat,?symlink,symlinkat,?mkdir,mkdirat"

// Record makes of a command that is not started one that is recorded in a
// file. Its Stderr must not be nil nor an *os.File: Wait then returns when the
// record is complete.
func Record(cmd *exec.Cmd, tape string) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return fmt.Errorf("%w: install the package strace", err)
	}
	// -D: the command stays our child, which can be killed.
	args := []string{strace, "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-qq", "-e", "signal=none", "-e", "trace=" + calls, "-o", tape, "--", cmd.Path}
	cmd.Path, cmd.Args = strace, append(args, cmd.Args[1:]...)
	return nil
}

// Read adds what Record has recorded.
func (m *Machine) Read(tape string) error {
	data, err := os.ReadFile(tape)
	if err != nil {
		return err
	}
	r := reader{m: m, open: map[string]unfinished{}}
	for line := range strings.Lines(string(data)) {
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("read the record of strace: %w", err)
		}
	}
	return nil
}

// Moments is how many there are: 0 is before anything happened to a file, and
// each thing that happens makes one more.
func (m *Machine) Moments() int { return len(m.ops) - m.first + 1 }

func (m *Machine) until(moment int) []op { return m.ops[:m.first+moment] }

// Last is what happened to a file just before a moment, for people.
func (m *Machine) Last(moment int) string {
	if moment == 0 {
		return "nothing"
	}
	o := m.ops[m.first+moment-1]
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", o.kind, m.short(o.path), m.short(o.to)))
}

func (m *Machine) short(path string) string {
	if path == m.disk {
		return "the disk"
	}
	return strings.TrimPrefix(strings.TrimPrefix(path, m.world+"/"), m.disk+"/")
}

// Said is what a file of the world held at a moment.
func (m *Machine) Said(moment int, name string) string {
	var text strings.Builder
	for _, o := range m.until(moment) {
		if o.kind == write && o.path == filepath.Join(m.world, name) {
			text.Write(o.data)
		}
	}
	return text.String()
}

// A Loss is what a cut takes.
type Loss int

// Losses.
const (
	Nothing  Loss = iota // the process was killed, and the machine lives
	Unsynced             // all that was not synced
	Some                 // a part of that, which is another at each moment
)

// String is for the names of tests.
func (l Loss) String() string { return [...]string{"killed", "power cut", "torn"}[l] }

// Cut makes the directory into, which must be empty, what the disk holds after
// a cut at a moment.
func (m *Machine) Cut(moment int, loss Loss, into string) error {
	d := disk{now: names{}, safe: names{}}
	for i, o := range m.until(moment) {
		d.apply(i, o)
	}
	var errs []error
	for _, path := range m.below(d.left(loss, uint64(moment))) {
		to := filepath.Join(into, strings.TrimPrefix(path.name, m.disk))
		switch n := path.node; {
		case n.dir:
			errs = append(errs, os.Mkdir(to, 0o700))
		case n.link != "":
			errs = append(errs, os.Symlink(n.link, to))
		default:
			errs = append(errs, os.WriteFile(to, n.left(loss, uint64(moment)), 0o600))
		}
	}
	return errors.Join(errs...)
}
