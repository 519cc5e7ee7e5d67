// Package sys is the machine as the sections of a config see it: a root
// directory that every path is below, a way to run commands, the accounts,
// and the log. With a root other than "/" the same code fills an image or a
// test's temporary directory.
//
// It knows nothing of metadata and decides nothing.
package sys

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
)

// A System is the machine that is changed. One goroutine uses it at a time. Run and Log must be set; Exec is
// the Runner of a real machine.
type System struct {
	Root    string   // empty or "/": the machine itself
	Run     Runner   // starts processes
	Environ []string // the environment children start from
	Log     *slog.Logger
	Mask    *Mask // what must not be shown; nil hides nothing
	DryRun  bool  // look, and say what would change; change nothing

	accounts accountFiles
}

// An Outcome is what became of one item of a section.
type Outcome struct {
	Name     string   `json:"name"`               // the item's key in its section
	Action   string   `json:"action,omitempty"`   // what was done, or in a dry run would be: "install 1.2-3", "write"
	Changed  bool     `json:"changed,omitempty"`  // something on the machine is not as it was
	Trigger  bool     `json:"trigger,omitempty"`  // a service that names the item must restart
	Skipped  string   `json:"skipped,omitempty"`  // why nothing was done
	Degraded string   `json:"degraded,omitempty"` // what could not be done, though the run goes on
	ExitCode *int     `json:"exit_code,omitempty"`
	Causes   []string `json:"causes,omitempty"` // of a service: the items that made it restart, as section "name"
	Diff     string   `json:"-"`                // dry run: unified, secrets masked
}

// Path returns where an absolute path of the metadata is on this system.
func (s *System) Path(path string) string {
	path = filepath.Clean("/" + path)
	if s.Real() {
		return path
	}
	return filepath.Join(s.Root, path)
}

// Real says that the system is the running machine and not a tree below
// another root: services can be talked to, accounts can be asked for.
func (s *System) Real() bool { return s.Root == "" || s.Root == "/" }

// Getenv returns a variable of Environ, the last one of the name.
func (s *System) Getenv(name string) string { return lookupEnv(s.Environ, name) }

// MkdirAll makes a directory of the metadata with its parents, those that are
// missing with mode 0755 whatever the umask.
func (s *System) MkdirAll(dir string) error {
	path := s.Path(dir)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := s.MkdirAll(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// WriteFile replaces a file of the metadata whole; see package atomicfile.
func (s *System) WriteFile(path string, data []byte, o atomicfile.Options) error {
	return atomicfile.Write(s.Path(path), data, o)
}

// Relabel gives a path and what is below it the SELinux context that the
// policy has for it: a renamed file keeps that of its temporary file. Where
// SELinux is off or has no restorecon it does nothing.
func (s *System) Relabel(ctx context.Context, path string) error {
	if !s.Real() {
		return nil
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		return nil
	}
	res, err := s.Run(ctx, Cmd{Args: []string{"restorecon", "-R", path}, Env: s.Environ})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return res.Check("restorecon", err)
}

// FileMode converts the permission, setuid, setgid and sticky bits of a Unix
// mode, as chmod(2) has them, to those of package fs.
func FileMode(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, m := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= m
		}
	}
	return mode
}

// Bits is the inverse of FileMode.
func Bits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for bit, m := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&m != 0 {
			bits |= bit
		}
	}
	return bits
}
