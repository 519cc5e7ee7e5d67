package sources

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A stage is a private directory that an archive is unpacked into and checked
// in, before anything is done to the one it is for.
type stage struct {
	stop    func() error // why to stop, if at all
	root    *os.Root
	max     limits
	archive int64 // size of the archive
	read    int64 // bytes after decompression
	written int64 // bytes of files; more than read when a file has holes
	members int
	owners  *owners
	entries map[string]*entry
}

// An entry is what a name is in the stage. A directory gets its mode, owner
// and time when it is in its place.
type entry struct {
	name     string
	mode     fs.FileMode
	uid, gid int
	time     time.Time
	implied  bool // a parent that is no member of its own
}

// localName is a member's name as a path below the directory; "." is the
// directory itself.
func localName(name string) (string, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return "", fmt.Errorf("member %q has no name that a file can have", name)
	case path.IsAbs(name):
		return "", fmt.Errorf("member %q has an absolute path", name)
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "", fmt.Errorf("member %q leads out of the directory", name)
	}
	name = path.Clean(name)
	if strings.Count(name, "/") > maxDepth {
		return "", fmt.Errorf("member %.40q... is below more than %d directories", name, maxDepth)
	}
	if strings.HasPrefix(name, stagePrefix) {
		return "", fmt.Errorf("member %q has a name that is not free", name)
	}
	return name, nil
}

// add puts one member into the stage, or refuses it and with it the archive.
func (st *stage) add(m member) error {
	if st.members++; st.members > st.max.members {
		return fmt.Errorf("it has more than %d members", st.max.members)
	}
	if err := st.check(); err != nil {
		return err
	}
	name, err := localName(m.name)
	if err != nil {
		return err
	}
	if name == "." {
		if !m.mode.IsDir() {
			return fmt.Errorf("member %q has the name of the directory itself", m.name)
		}
		return nil
	}
	if err := st.makeParents(name); err != nil {
		return err
	}
	if err := st.clear(name, m.mode.IsDir()); err != nil {
		return err
	}
	e := &entry{name: name, mode: m.mode, time: m.time}
	e.uid, e.gid = st.owners.of(m)
	switch {
	case m.mode.IsDir():
		err = st.mkdir(name)
	case m.mode&fs.ModeSymlink != 0:
		err = st.symlink(e, m.link)
	case m.hard:
		err = st.hardLink(e, m.link)
	default:
		err = st.file(e, m.body)
	}
	if err != nil {
		return fmt.Errorf("member %q: %w", m.name, plain(err))
	}
	st.entries[name] = e
	return nil
}

// makeParents makes the directories above a member. One that the archive has
// as a file or link is refused: nothing is written through a link.
func (st *stage) makeParents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	if e := st.entries[dir]; e != nil {
		if !e.mode.IsDir() {
			return fmt.Errorf("member %q is below %q, which is no directory but a link or file", name, dir)
		}
		return nil
	}
	if err := st.makeParents(dir); err != nil {
		return err
	}
	if err := st.root.Mkdir(dir, 0o700); err != nil {
		return plain(err)
	}
	e := &entry{name: dir, mode: fs.ModeDir | 0o755, implied: true}
	e.uid, e.gid = st.owners.of(member{uid: -1, gid: -1})
	st.entries[dir] = e
	return nil
}

// clear makes room for a member whose name was there before: the last one
// counts. A directory gives way to nothing else, nor anything else to it.
func (st *stage) clear(name string, dir bool) error {
	e := st.entries[name]
	switch {
	case e == nil, e.mode.IsDir() && dir:
		return nil
	case e.mode.IsDir() || dir:
		return fmt.Errorf("member %q is a directory and something else too", name)
	}
	return st.root.Remove(name)
}

func (st *stage) mkdir(name string) error {
	if st.entries[name] != nil {
		return nil
	}
	return st.root.Mkdir(name, 0o700)
}

func (st *stage) file(e *entry, body io.Reader) (err error) {
	f, err := st.root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, &meter{body, &st.written, st}); err != nil {
		return err
	}
	if e.uid >= 0 {
		if err := f.Chown(e.uid, e.gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(e.mode); err != nil {
		return err
	}
	if e.time.Unix() <= 0 {
		return nil
	}
	return st.root.Chtimes(e.name, e.time, e.time)
}

// symlink makes a link that leads to a place in the directory. The words of
// its target must do so; verify follows it.
func (st *stage) symlink(e *entry, target string) error {
	place := path.Join(path.Dir(e.name), target)
	if path.IsAbs(target) || place == ".." || strings.HasPrefix(place, "../") {
		return fmt.Errorf("a link to %q, out of the directory", target)
	}
	if target == "" || strings.ContainsRune(target, 0) || len(target) >= maxTarget {
		return errors.New("a link to nothing that has a name")
	}
	if err := st.root.Symlink(target, e.name); err != nil {
		return err
	}
	if e.uid >= 0 {
		return st.root.Lchown(e.name, e.uid, e.gid)
	}
	return nil
}

// hardLink links to a file that the archive brought before, and no other.
func (st *stage) hardLink(e *entry, target string) error {
	name, err := localName(target)
	if err != nil {
		return fmt.Errorf("a hard link to %q, out of the directory", target)
	}
	to := st.entries[name]
	if to == nil || !to.mode.IsRegular() {
		return fmt.Errorf("a hard link to %q, which is no file before it in the archive", target)
	}
	e.mode = to.mode
	return st.root.Link(name, e.name)
}

// verify follows every symbolic link. One may lead out by way of another,
// which their words do not show.
func (st *stage) verify() error {
	for name, e := range st.entries {
		if e.mode&fs.ModeSymlink == 0 {
			continue
		}
		_, err := st.root.Stat(name)
		harmless := err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR)
		if !harmless {
			return fmt.Errorf("member %q: a link that leads out of the directory", name)
		}
	}
	return nil
}

// plain is an error of the system without the path of the stage.
func plain(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}
