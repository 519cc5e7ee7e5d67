// Package files applies the files section of a config: regular files with
// content, from the metadata or a URL, and symbolic links, each with its mode
// and owner. A file that is as described is not written.
//
// It parses no metadata and restarts nothing. The section is that of the AWS
// CloudFormation User Guide, "AWS::CloudFormation::Init", files.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Apply makes one file what it is described to be. The new content is private
// until its mode and owner are set, and the old file stays as it was when
// anything goes wrong. What is written is durable after Sync.
//
// The run goes on, degraded, without an unknown or unattainable owner or
// group, without an entry that has neither content nor source, and without a
// download that fails. Errors are a path that is not absolute, a directory in
// the way or a parent that is none, a parent that anybody may have linked
// elsewhere, an unknown authentication, and those of the disk.
func Apply(ctx context.Context, s *sys.System, c *fetch.Client, f metadata.File) (sys.Outcome, error) {
	o := sys.Outcome{Name: f.Path}
	if !path.IsAbs(f.Path) || path.Clean(f.Path) == "/" {
		return o, fmt.Errorf("file %s: the path must be absolute, such as /etc/motd", f.Path)
	}
	if !f.HasContent && f.Source == "" {
		o.Degraded = "it has neither content nor source: nothing is written"
		return o, nil
	}
	if err := checkLinks(ctx, s, f); err != nil {
		return o, err
	}
	old, err := look(s.Path(f.Path), f.Path)
	if err != nil {
		return o, err
	}
	defer old.close()
	it := item{System: s, file: f, path: s.Path(f.Path), old: old}
	it.resolveOwner(ctx)
	if f.Mode.Symlink {
		err = it.applyLink(&o)
	} else {
		err = it.applyFile(ctx, c, &o)
	}
	if err != nil {
		return o, err
	}
	if o.Changed && !s.DryRun {
		if err := s.Relabel(ctx, f.Path); err != nil {
			it.note("its SELinux context is not set: %v", err)
		}
	}
	o.Degraded = strings.Join(append(it.failed, it.notes...), "; ")
	return o, nil
}

// Sync makes what Apply wrote durable: the directories of the given paths,
// each once. It is called once for a whole section, because a sync of a
// directory costs as much as one of a file.
func Sync(s *sys.System, paths []string) error {
	dirs := make([]string, 0, len(paths))
	for _, p := range paths {
		dirs = append(dirs, filepath.Dir(s.Path(p)))
	}
	slices.Sort(dirs)
	var errs []error
	for _, d := range slices.Compact(dirs) {
		if err := atomicfile.SyncDir(d); err != nil && !missing(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// An item is one file while it is applied.
type item struct {
	*sys.System
	file     metadata.File
	path     string // on this system
	old      *state
	uid, gid int      // wanted; -1: what the system gives
	foreign  bool     // nothing of what is there is kept, see isForeign
	notes    []string // what is done only in part
	failed   []string // what is not done at all
	// unfetched is, in a dry run, why the source is not known.
	unfetched error
}

func (it *item) note(format string, args ...any) {
	it.notes = append(it.notes, fmt.Sprintf(format, args...))
}

// applyLink makes a symbolic link. Mode and content of what it points to are
// never touched.
func (it *item) applyLink(o *sys.Outcome) error {
	if !it.file.HasContent {
		return fmt.Errorf("symbolic link %s: give the path that it points to as its content", it.file.Path)
	}
	text, err := it.text(it.file.Content)
	if err != nil {
		return err
	}
	// A block of YAML ends in a newline, a path does not.
	target := strings.TrimRight(string(text), "\n")
	same := it.old.kind == link && it.old.target == target
	if same && !it.ownerDiffers() {
		return nil
	}
	o.Changed, o.Trigger = true, !same
	var words []string
	if !same {
		words = append(words, "link to "+target)
	}
	o.Action = strings.Join(append(words, it.ownerWords()...), ", ")
	if it.DryRun {
		if !same {
			o.Diff = it.Mask.String(fmt.Sprintf("--- %s\n+++ %s -> %s\n", it.old.describe(it.file.Path), it.file.Path, target))
		}
		return nil
	}
	if err := it.makeParents(); err != nil {
		return err
	}
	uid, gid := it.newOwner()
	return it.failure(atomicfile.Symlink(target, it.path, uid, gid))
}

func (it *item) applyFile(ctx context.Context, c *fetch.Client, o *sys.Outcome) error {
	want, err := it.content(ctx, c)
	if it.DryRun && it.unfetched != nil {
		o.Changed, o.Trigger, o.Action, o.Diff = true, true, it.action(false), it.unknown()
		return nil
	}
	if err != nil || len(it.failed) > 0 {
		return err
	}
	defer want.remove()
	same, err := it.sameContent(want)
	if err != nil {
		return err
	}
	mode := it.mode()
	if same && it.old.info.Mode() == mode && !it.ownerDiffers() {
		return nil
	}
	o.Changed, o.Trigger, o.Action = true, !same, it.action(same)
	switch {
	case it.DryRun && !same:
		o.Diff = it.diff(want, mode)
	case it.DryRun:
	case same && !it.mustReplace():
		return it.failure(it.old.file.Chmod(mode))
	default:
		return it.write(want, mode)
	}
	return nil
}

func (it *item) write(want content, mode fs.FileMode) error {
	if err := it.makeParents(); err != nil {
		return err
	}
	r, err := want.open()
	if err != nil {
		return err
	}
	defer r.Close()
	uid, gid := it.newOwner()
	return it.failure(atomicfile.WriteFrom(it.path, r, atomicfile.Options{Mode: mode, UID: uid, GID: gid, Later: true}))
}

// makeParents makes the directories that the file needs; errors name the one
// that is in the way.
func (it *item) makeParents() error {
	if err := it.MkdirAll(filepath.Dir(it.file.Path)); err != nil {
		return fmt.Errorf("make the directory of %s: %w", it.file.Path, err)
	}
	return nil
}

// failure is one line about an error of the disk, which names the file and
// not the temporary one beside it.
func (it *item) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w (what was there is unchanged)", it.file.Path, errno(err))
}

// action says in words what is done to a file: of what is new, what the
// metadata say of it; of what is there, what differs.
func (it *item) action(same bool) string {
	var words []string
	switch {
	case it.old.kind == none:
		words = []string{"create"}
	case it.old.kind == link:
		words = []string{"replace the symbolic link by a file"}
	case !same:
		words = []string{"write"}
	}
	mode := sys.Bits(it.mode())
	switch {
	case it.old.kind != regular && it.file.Mode.Set:
		words = append(words, fmt.Sprintf("mode %04o", mode))
	case it.old.kind == regular && it.old.info.Mode() != it.mode():
		words = append(words, fmt.Sprintf("mode %04o to %04o", sys.Bits(it.old.info.Mode()), mode))
	}
	return strings.Join(append(words, it.ownerWords()...), ", ")
}

// ownerWords says who becomes the owner, as the metadata names them; empty when
// nothing of it changes.
func (it *item) ownerWords() []string {
	uid, gid := it.oldOwner()
	word := func(name string, n, old int) string {
		switch {
		case n < 0 || n == old:
			return ""
		case name == "":
			return strconv.Itoa(n)
		}
		return name
	}
	owner, group := word(it.file.Owner, it.uid, uid), word(it.file.Group, it.gid, gid)
	switch {
	case owner != "" && group != "":
		return []string{"owner " + owner + ":" + group}
	case owner != "":
		return []string{"owner " + owner}
	case group != "":
		return []string{"group " + group}
	}
	return nil
}
