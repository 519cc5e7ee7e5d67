package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/lock"
)

// A DamagedError says that a store cannot be used. Its file is as it was.
type DamagedError struct {
	Path string
	Why  string // what SQLite found first
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the store %s is damaged (%s): put a backup in its place, or begin anew with --new-store, which keeps it beside the new one", e.Path, e.Why)
}

// A NewerError says that a newer program made the store. Its file is as it was.
type NewerError struct {
	Path         string
	Version, Max int64
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the store %s has version %d of the schema, and this program knows %d: use the newer program, or put a backup of before in its place (the copy %s.v%d, if it is there)",
		e.Path, e.Version, e.Max, e.Path, e.Max)
}

// Open opens the store at a path, checks it, and leads it to this program's
// schema, keeping a copy before each step. Where nothing is, a new store is
// made, with mode 0600. The error is a *DamagedError, a *NewerError or
// lock.ErrHeld when another process has it open.
func Open(ctx context.Context, path string, o Options) (s *Store, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.schema == nil {
		o.schema = ours()
	}
	held, err := lock.Try(path + ".lock")
	if errors.Is(err, lock.ErrHeld) {
		return nil, fmt.Errorf("open the store %s: %w: is cfn-watch running already?", path, lock.ErrHeld)
	}
	if err != nil {
		return nil, err
	}
	s = &Store{path: path, log: o.Log, lock: held}
	err = prepare(ctx, path, o)
	if err == nil {
		err = s.open(ctx, o.schema)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare makes a store where there is none, or where a new one is asked for.
func prepare(ctx context.Context, path string, o Options) error {
	if o.New {
		if err := setAside(path, o.Log, "a new store was asked for", slices.Concat([]string{"", MarksSuffix}, besides)...); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := setAside(path, o.Log, "the store that it belongs to is gone", append(besides, MarksSuffix)...); err != nil {
		return err
	}
	if err := create(ctx, path, o.schema); err != nil {
		return fmt.Errorf("make the store %s: %w", path, err)
	}
	return nil
}

// open opens a store that is there.
func (s *Store) open(ctx context.Context, schema fs.FS) error {
	if err := dropForeign(s.path, s.log); err != nil {
		return err
	}
	if err := check(ctx, s.path, schema); err != nil {
		return err
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		return err
	}
	var err error
	if s.writer, err = writable(s.path, "FULL"); err != nil {
		return err
	}
	if err := migrate(ctx, s.path, s.writer, schema, s.log); err != nil {
		return fmt.Errorf("migrate the store %s: %w", s.path, err)
	}
	if s.readers, err = readOnly(s.path, readConnections); err != nil {
		return err
	}
	if s.history, err = readOnly(s.path, historyConnections); err != nil {
		return err
	}
	s.windows, err = openWindows(ctx, s.path+windowSuffix, s.log)
	return err
}

// create makes an empty store under another name and puts it in its place, so
// that a store that is there is a whole one.
func create(ctx context.Context, path string, schema fs.FS) error {
	tmp := path + ".new"
	if err := removeAll(tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	db, err := writable(tmp, "FULL")
	if err != nil {
		return err
	}
	p, err := newProvider(db, schema)
	if err == nil {
		_, err = p.Up(ctx)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return errors.Join(err, removeAll(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// files are those of a database, and besides what belongs to a store beside
// the file of its name.
var (
	files   = []string{"", "-wal", "-shm"}
	besides = []string{"-wal", "-shm", windowSuffix, windowSuffix + "-wal", windowSuffix + "-shm"}
)

// MarksSuffix, after a store's path, is the folder where commands leave marks of what
// they do for its rows. Those of other rows with the same keys must not be there; of a
// backup they are the same rows.
const MarksSuffix = "-exec"

func removeAll(path string) error {
	var errs []error
	for _, suffix := range files {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// setAside renames those files that are there, so that they still belong
// together.
func setAside(path string, log *slog.Logger, why string, suffixes ...string) error {
	mark := ".old-" + time.Now().UTC().Format("20060102T150405.000Z")
	for _, suffix := range suffixes {
		err := os.Rename(path+suffix, path+mark+suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			log.Warn("file set aside", "path", path+suffix, "as", path+mark+suffix, "why", why)
		}
	}
	return nil
}
