package sources

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A mover moves members from a stage in a directory to their places there.
type mover struct {
	root  *os.Root
	stage string
}

func (m mover) move(entries []*entry) error {
	var made []*entry
	for _, e := range entries {
		var err error
		if e.mode.IsDir() {
			err = m.root.Mkdir(e.name, 0o700)
			if err == nil {
				made = append(made, e)
			}
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
		} else {
			err = m.file(e)
		}
		if err != nil {
			return fmt.Errorf("put %s in its place: %w", e.name, plain(err))
		}
	}
	// Only now, as a directory may be one that its owner may not write to,
	// and its time is that of the last change.
	for _, e := range slices.Backward(made) {
		if err := m.finish(e); err != nil {
			return fmt.Errorf("set mode and owner of %s: %w", e.name, plain(err))
		}
	}
	return m.sync()
}

func (m mover) finish(e *entry) error {
	if e.uid >= 0 {
		if err := m.root.Lchown(e.name, e.uid, e.gid); err != nil {
			return err
		}
	}
	if err := m.root.Chmod(e.name, e.mode&^fs.ModeDir); err != nil {
		return err
	}
	if e.time.Unix() <= 0 {
		return nil
	}
	return m.root.Chtimes(e.name, e.time, e.time)
}

// file moves a file or link. Another file system may be mounted somewhere in
// the directory: there it is copied, and takes its name when it is whole.
func (m mover) file(e *entry) error {
	from := path.Join(m.stage, e.name)
	err := m.root.Rename(from, e.name)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	temporary := path.Join(path.Dir(e.name), m.stage+"-copy")
	if err := m.root.RemoveAll(temporary); err != nil {
		return err
	}
	if err := m.copy(e, from, temporary); err != nil {
		return errors.Join(err, m.root.RemoveAll(temporary))
	}
	return m.root.Rename(temporary, e.name)
}

func (m mover) copy(e *entry, from, to string) error {
	if e.mode&fs.ModeSymlink != 0 {
		target, err := m.root.Readlink(from)
		if err == nil {
			err = m.root.Symlink(target, to)
		}
		if err == nil && e.uid >= 0 {
			err = m.root.Lchown(to, e.uid, e.gid)
		}
		return err
	}
	in, err := m.root.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := m.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return m.finish(&entry{name: to, mode: e.mode, uid: e.uid, gid: e.gid, time: e.time})
}

// sync makes all that was moved durable at once; a sync of each of many
// thousand files would take minutes.
func (m mover) sync() error {
	d, err := m.root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
