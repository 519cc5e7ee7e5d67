package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MkdirPrivate makes a directory for its owner alone, with mode 0700, and
// those of its parents that are missing with 0755, whatever the umask. One
// that is there and is open to others is closed to them, unless it is plainly
// not for private files alone: it is sticky, as /tmp, or holds directories.
func MkdirPrivate(dir string) error {
	dir = filepath.Clean(dir)
	if err := mkdirParents(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return os.Chmod(dir, 0o700)
	}
	info, statErr := os.Stat(dir)
	if !errors.Is(err, fs.ErrExist) || statErr != nil || !info.IsDir() {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 || info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(entries, fs.DirEntry.IsDir) {
		return err
	}
	return os.Chmod(dir, 0o700)
}

func mkdirParents(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := mkdirParents(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process was faster
		}
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
