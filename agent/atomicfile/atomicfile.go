// Package atomicfile replaces a file whole: a reader sees the old content or
// the new, never a part, and nobody but its owner sees the new content before
// its mode and owner are those it was asked to have. After a power cut the
// file is the old one or the new one.
//
// It is for regular files and symbolic links. It does not make parents.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// Options say what the new file is to be. Mode's permission, setuid, setgid
// and sticky bits are set exactly, whatever the umask. An owner of -1 is left
// to the system, so the zero value gives the file to root; KeepOwner is the
// value to start from.
type Options struct {
	Mode     fs.FileMode
	UID, GID int
	// Later leaves the sync of the directory to the caller, who calls
	// SyncDir once for many files: it costs as much as that of a file. Until
	// then a power cut may bring the old file back, still whole.
	Later bool
}

// KeepOwner returns options with the given mode that change no owner.
func KeepOwner(mode fs.FileMode) Options { return Options{Mode: mode, UID: -1, GID: -1} }

// Write replaces the file at path with data, private files 0600 being the
// commonest use: Write(path, data, KeepOwner(0o600)).
func Write(path string, data []byte, o Options) error {
	return WriteFrom(path, bytes.NewReader(data), o)
}

// WriteFrom replaces the file at path with what r gives. The temporary file
// is made in the same directory, with mode 0600; it is gone when an error is
// returned, and the old file is as it was.
func WriteFrom(path string, r io.Reader, o Options) (err error) {
	t, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup(t)) }()
	if _, err := io.Copy(t, r); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// The owner first: a chown by root clears setuid and setgid.
	if o.UID >= 0 || o.GID >= 0 {
		if err := t.Chown(o.UID, o.GID); err != nil {
			return fmt.Errorf("change the owner of %s: %w", path, err)
		}
	}
	if err := t.Chmod(o.Mode); err != nil {
		return fmt.Errorf("change the mode of %s: %w", path, err)
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	if o.Later {
		return nil
	}
	return SyncDir(filepath.Dir(path))
}

// Symlink makes path a symbolic link to target, replacing a file or link that
// is there. An owner of -1 is left to the system.
func Symlink(target, path string, uid, gid int) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), linkPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "link")
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(tmp, uid, gid); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the entries of a directory durable. A file system that has
// no such operation is taken at its word.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

func cleanup(t *renameio.PendingFile) error {
	if err := t.Cleanup(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// linkPrefix begins the name of the directory in which Symlink makes its link.
const linkPrefix = ".cfn-link-"

// Sweep removes what a killed process left behind when it was replacing the
// file at path. Nobody may be replacing it at the same time.
func Sweep(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	base := filepath.Base(path)
	var errs []error
	for _, e := range entries {
		name := e.Name()
		number, ours := strings.CutPrefix(name, "."+base)
		if !ours {
			number, ours = strings.CutPrefix(name, linkPrefix)
		}
		if ours && number != "" && strings.Trim(number, "0123456789") == "" {
			errs = append(errs, os.RemoveAll(filepath.Join(filepath.Dir(path), name)))
		}
	}
	return errors.Join(errs...)
}
