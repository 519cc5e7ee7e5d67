package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

type kind int

const (
	none kind = iota
	regular
	link
)

// A state is what is at a path.
type state struct {
	kind     kind
	info     fs.FileInfo // nil when there is nothing
	target   string      // of a link
	uid, gid int
	file     *os.File // of a regular file that could be opened, for reading
}

// look finds out what is at a path, without following a symbolic link there.
// A directory, or anything else that content must not replace, is an error.
func look(at, name string) (*state, error) {
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &state{uid: -1, gid: -1}, nil
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("write %s: a parent of it is not a directory", name)
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", name, errno(err))
	}
	st := &state{info: info, uid: -1, gid: -1}
	if raw, ok := info.Sys().(*syscall.Stat_t); ok {
		st.uid, st.gid = int(raw.Uid), int(raw.Gid)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, fmt.Errorf("write %s: a directory is in the way", name)
	case mode&fs.ModeSymlink != 0:
		st.kind = link
		st.target, err = os.Readlink(at)
	case mode.IsRegular():
		st.kind = regular
		err = st.open(at)
	default:
		return nil, fmt.Errorf("write %s: what is there is neither a file nor a symbolic link", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, errno(err))
	}
	return st, nil
}

// open opens what look saw. A file that may not be read is left closed: it
// can be replaced all the same.
func (st *state) open(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, st.info) {
		err = errors.New("it was replaced meanwhile")
	}
	if err != nil {
		f.Close()
		return err
	}
	st.file = f
	return nil
}

func (st *state) close() {
	if st.file != nil {
		st.file.Close()
	}
}

func (st *state) describe(path string) string {
	switch st.kind {
	case none:
		return "/dev/null"
	case link:
		return path + " -> " + st.target
	}
	return path
}

// mode is the mode that the file is to have: the given one, that of the file
// that is there, or what the umask leaves, but never writable for everybody.
func (it *item) mode() fs.FileMode {
	switch {
	case it.file.Mode.Set:
		return sys.FileMode(it.file.Mode.Bits)
	case it.old.kind == regular && !it.foreign:
		return it.old.info.Mode()
	}
	return 0o666 &^ umask() &^ 0o002
}

// umask reads the umask of the process. umask(2) could only tell it by
// setting it for all threads.
func umask() fs.FileMode {
	const usual = 0o022
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return usual
	}
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("Umask:")); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(value)), 8, 32); err == nil {
				return fs.FileMode(n) & 0o777
			}
		}
	}
	return usual
}

// resolveOwner finds the numbers of owner and group. Where none is wanted, or
// it cannot be had, those of the file that is there are kept.
func (it *item) resolveOwner(ctx context.Context) {
	uid, gid := it.oldOwner()
	if it.foreign = it.isForeign(ctx); it.foreign {
		uid, gid = os.Geteuid(), os.Getegid()
	}
	it.uid = it.resolve(ctx, "owner", &it.file.Owner, uid, it.UID)
	it.gid = it.resolve(ctx, "group", &it.file.Group, gid, it.GID)
	if os.Geteuid() == 0 {
		return
	}
	if it.uid >= 0 && it.uid != os.Geteuid() && it.uid != it.old.uid {
		it.note("the owner cannot be %s: not running as root", it.file.Owner)
		it.uid = it.old.uid
	}
	if it.gid >= 0 && it.gid != it.old.gid && !mayGive(it.gid) {
		it.note("the group cannot be %s: not running as root", it.file.Group)
		it.gid = it.old.gid
	}
}

// oldOwner is the owner that may be kept: none of a link that a file replaces.
func (it *item) oldOwner() (uid, gid int) {
	if it.old.kind == link && !it.file.Mode.Symlink {
		return -1, -1
	}
	return it.old.uid, it.old.gid
}

// isForeign says that root would make its own what another user has put into a
// directory that everybody may write to, such as /tmp. Neither that user nor
// the mode that they gave it may stay.
func (it *item) isForeign(ctx context.Context) bool {
	if os.Geteuid() != 0 || it.old.kind == none || it.old.uid == 0 {
		return false
	}
	info, err := os.Stat(filepath.Dir(it.path))
	if err != nil || info.Mode().Perm()&0o002 == 0 {
		return false
	}
	return !isWanted(ctx, it.System, it.file, it.old.uid)
}

// isWanted says whether a user is the owner that the metadata names.
func isWanted(ctx context.Context, s *sys.System, f metadata.File, uid int) bool {
	if f.Owner == "" {
		return false
	}
	owner, err := s.UID(ctx, f.Owner)
	return err == nil && owner == uid
}

// checkLinks refuses a path that another user may have led elsewhere.
func checkLinks(ctx context.Context, s *sys.System, f metadata.File) error {
	err := s.CheckLinks(path.Dir(f.Path), func(uid int) bool { return isWanted(ctx, s, f, uid) })
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}

// resolve returns the number of a name. A name that has none is forgotten.
func (it *item) resolve(ctx context.Context, what string, name *string, old int, number func(context.Context, string) (int, error)) int {
	if *name == "" {
		return old
	}
	n, err := number(ctx, *name)
	if err == nil {
		return n
	}
	*name = ""
	if it.foreign {
		it.note("%v: the %s is root", err, what)
	} else {
		it.note("%v: the %s is left as it is", err, what)
	}
	return old
}

// mayGive says whether a process that is not root may give a file to a group.
func mayGive(gid int) bool {
	groups, err := os.Getgroups()
	if err != nil {
		return false
	}
	for _, g := range append(groups, os.Getegid()) {
		if g == gid {
			return true
		}
	}
	return false
}

// newOwner is the owner for what replaces the file: as it was resolved, but
// only root can make what belongs to somebody else.
func (it *item) newOwner() (uid, gid int) {
	uid, gid = it.uid, it.gid
	if os.Geteuid() == 0 {
		return uid, gid
	}
	if uid != os.Geteuid() {
		if uid >= 0 {
			it.note("the owner cannot be kept: not running as root")
		}
		uid = -1
	}
	if gid >= 0 && !mayGive(gid) {
		it.note("the group cannot be kept: not running as root")
		gid = -1
	}
	return uid, gid
}

func (it *item) ownerDiffers() bool {
	return it.uid >= 0 && it.uid != it.old.uid || it.gid >= 0 && it.gid != it.old.gid
}

// mustReplace says that a file is written anew although its content is right:
// whoever has opened it for writing could go on to write to it. That may be
// its old owner, or anyone whom its old mode let.
func (it *item) mustReplace() bool {
	return it.ownerDiffers() || it.old.info.Mode().Perm()&0o022 != 0
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// errno is what the system says went wrong, without the paths around it.
func errno(err error) error {
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return no
	}
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
