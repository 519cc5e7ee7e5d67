package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
)

// Backup writes a copy of the store, as it is at one moment, to a file with
// mode 0600, replacing an earlier one; others read and write meanwhile. It can
// take the place of a store. Windows are not in it.
func (s *Store) Backup(ctx context.Context, file string) error {
	err := replaceable(file)
	if err == nil {
		err = backup(ctx, s.readers, file)
	}
	return s.wrap("back up to "+file, err)
}

// replaceable says why a backup may not take the place of what is there: a
// mistyped name costs neither the store itself, which is in use, nor any other
// file.
func replaceable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil
	}
	is, err := isBackup(file)
	if err == nil && !is {
		err = errors.New("what is there is no backup, and stays: give another name")
	}
	return err
}

// backup copies a database by VACUUM INTO. The file is whole or not there.
func backup(ctx context.Context, db *sql.DB, file string) (err error) {
	dir := filepath.Dir(file)
	// VACUUM INTO takes a file that is empty, and leaves its mode.
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	defer tmp.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", tmp.Name()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	return atomicfile.SyncDir(dir)
}
