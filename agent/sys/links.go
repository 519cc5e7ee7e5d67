package sys

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A ForeignLinkError is a symbolic link that anybody may have put where it is.
type ForeignLinkError struct {
	Path string // of the link on this system
	UID  int    // whose it is
}

// Error names the link and its owner.
func (e *ForeignLinkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link of user %d in a directory that everybody may write to: it is not followed", e.Path, e.UID)
}

// CheckLinks looks at the symbolic links on the way to a directory of the
// metadata, before root writes there. One in a sticky directory that everybody
// may write to, such as /tmp, is refused with a *ForeignLinkError unless it is
// root's or that of a trusted user; trusted may be nil. Of a process that is
// not root nothing is refused: it has no rights that another user lacks.
//
// The rule is that of fs.protected_symlinks in proc_sys_fs(5), which not every
// machine has on, and whose refusal reads "permission denied".
func (s *System) CheckLinks(dir string, trusted func(uid int) bool) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return foreignLink(s.Path("/"), dir, func(uid int) bool { return uid == 0 || trusted != nil && trusted(uid) })
}

// maxLinks is how many links the kernel follows.
const maxLinks = 40

// foreignLink follows dir from a directory on. What it cannot look at is met
// again by whoever opens it.
func foreignLink(at, dir string, trusted func(uid int) bool) error {
	left := strings.Split(dir, "/")
	for links := 0; len(left) > 0 && links <= maxLinks; {
		path := filepath.Join(at, left[0])
		left = left[1:]
		if path == at {
			continue
		}
		info, err := os.Lstat(path)
		if err != nil {
			return nil
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = path
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(st.Uid)) && everybodys(at) {
			return &ForeignLinkError{Path: path, UID: int(st.Uid)}
		}
		target, err := os.Readlink(path)
		if err != nil {
			return nil
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		left = append(strings.Split(target, "/"), left...)
		links++
	}
	return nil
}

func everybodys(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode()&fs.ModeSticky != 0 && info.Mode().Perm()&0o002 != 0
}
