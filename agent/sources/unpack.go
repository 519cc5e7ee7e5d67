package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// stagePrefix begins the name of a stage, which ends in a digest of the
// directory, so that the next run finds what a killed one left.
const stagePrefix = ".cfn-unpack-"

// An unpacking brings one archive into one directory.
type unpacking struct {
	*sys.System
	src     metadata.Source
	max     limits
	archive string // the file
}

// A partlyError says that a directory is neither as it was nor as it is to be.
type partlyError struct{ error }

func (e partlyError) Unwrap() error { return e.error }

// run unpacks into a stage, checks all of it, and then moves it into place.
func (u *unpacking) run(ctx context.Context) ([]placed, error) {
	f, err := os.Open(u.archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	u.removeLeftovers()
	// Whatever happens, and wherever the stage is by then.
	defer u.removeLeftovers()
	dir, err := u.makeStage()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	st := &stage{
		stop: func() error { return context.Cause(ctx) }, root: root, max: u.max, archive: info.Size(),
		owners: newOwners(ctx, u.System), entries: map[string]*entry{},
	}
	if err := walk(f, singleName(u.src.URL), st); err != nil {
		return nil, err
	}
	if err := st.verify(); err != nil {
		return nil, err
	}
	return u.place(dir, st)
}

// singleName is the name of a single compressed file: that of its URL without
// the suffix of the compression.
func singleName(url string) string {
	base := fetch.BaseName(url)
	for _, suffix := range []string{".gz", ".bz2", ".xz", ".zst"} {
		if strings.HasSuffix(strings.ToLower(base), suffix) {
			return base[:len(base)-len(suffix)]
		}
	}
	return base
}

func (u *unpacking) stageName() string {
	return stagePrefix + digest(path.Clean(u.src.Dir))[:16]
}

func (u *unpacking) removeLeftovers() {
	dir := u.Path(u.src.Dir)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for ; ; dir = filepath.Dir(dir) {
		_ = os.RemoveAll(filepath.Join(dir, u.stageName()))
		if dir == filepath.Dir(dir) || dir == filepath.Clean(u.Root) {
			return
		}
	}
}

// makeStage makes the stage beside the directory, or in the nearest one above
// it that exists. Where that is another file system or may not be written to,
// it is in the directory itself.
func (u *unpacking) makeStage() (string, error) {
	dir := u.Path(u.src.Dir)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
			stage := filepath.Join(parent, u.stageName())
			err := os.Mkdir(stage, 0o700)
			if !errors.Is(err, fs.ErrNotExist) || parent == filepath.Dir(parent) {
				return stage, err
			}
		}
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", u.src.Dir)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	parent := filepath.Dir(dir)
	if beside, err := os.Stat(parent); err == nil && device(beside) == device(info) {
		stage := filepath.Join(parent, u.stageName())
		if err := os.Mkdir(stage, 0o700); err == nil {
			return stage, nil
		}
	}
	stage := filepath.Join(dir, u.stageName())
	return stage, os.Mkdir(stage, 0o700)
}

func device(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// place moves the stage into the directory, name by name, all within a handle
// of the directory, so that even a link made meanwhile leads nowhere else.
func (u *unpacking) place(stage string, st *stage) ([]placed, error) {
	entries := make([]*entry, 0, len(st.entries))
	for _, e := range st.entries {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	if err := u.conflicts(entries); err != nil {
		return nil, err
	}
	if err := forget(u.System, u.src); err != nil {
		return nil, err
	}
	if err := u.MkdirAll(u.src.Dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(u.Path(u.src.Dir))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// The name by which the directory itself can reach the stage.
	real, err := filepath.EvalSymlinks(u.Path(u.src.Dir))
	if err != nil {
		return nil, err
	}
	if inside := filepath.Join(real, u.stageName()); inside != stage {
		if err := os.Rename(stage, inside); err != nil {
			return nil, err
		}
	}
	m := mover{root: root, stage: u.stageName()}
	if err := m.move(entries); err != nil {
		return nil, partlyError{err}
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.name)
	}
	placed, err := record(u.Path(u.src.Dir), names)
	if err != nil {
		return nil, partlyError{err}
	}
	return placed, nil
}

// conflicts refuses an archive that would write through a symbolic link of the
// directory, or put a file where a directory is or the other way round.
func (u *unpacking) conflicts(entries []*entry) error {
	root, err := os.OpenRoot(u.Path(u.src.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range entries {
		info, err := root.Lstat(e.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("look at %s: %w", e.name, plain(err))
		case e.mode.IsDir() && info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a directory in it and a symbolic link in %s", e.name, u.src.Dir)
		case e.mode.IsDir() && !info.IsDir():
			return fmt.Errorf("%s is a directory in it and a file in %s", e.name, u.src.Dir)
		case !e.mode.IsDir() && info.IsDir():
			return fmt.Errorf("%s is no directory in it but one in %s", e.name, u.src.Dir)
		}
	}
	return nil
}
