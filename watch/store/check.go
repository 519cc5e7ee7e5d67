package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// check says what is wrong with the file of a store, which it only reads.
func check(ctx context.Context, path string, schema fs.FS) error {
	db, err := readOnly(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := quickCheck(ctx, db); err != nil {
		return explain(ctx, path, err)
	}
	switch current, newest, err := versions(ctx, db, schema); {
	case err != nil:
		return explain(ctx, path, err)
	case current > newest:
		return &NewerError{path, current, newest}
	}
	return nil
}

// quickCheck reads a database whole (https://www.sqlite.org/pragma.html#pragma_quick_check).
func quickCheck(ctx context.Context, db *sql.DB) error {
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return errors.New(found)
	}
	return nil
}

// explain makes a DamagedError of what the file itself is to blame for, which
// an error of the system that is around it is not.
func explain(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("check the store %s: %w", path, context.Cause(ctx))
	}
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_FULL:
			return fmt.Errorf("read the store %s: %w", path, err)
		}
	}
	return &DamagedError{path, strings.Join(strings.Fields(err.Error()), " ")}
}

// dropForeign sets aside what is beside a backup that was put in a store's
// place: the log of another database, which SQLite would play into this one,
// and windows whose alarms may be others now. The header tells: a backup says
// that it has no write-ahead log, and the file of a store that was ever
// opened that it has (https://www.sqlite.org/fileformat.html, offset 18).
func dropForeign(path string, log *slog.Logger) error {
	if is, err := isBackup(path); err != nil || !is {
		return err // what is no database is left to check
	}
	return setAside(path, log, "it belongs to the store that the backup replaced", besides...)
}

func isBackup(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	header := make([]byte, 20)
	_, err = io.ReadFull(f, header)
	return err == nil && bytes.HasPrefix(header, []byte("SQLite format 3\x00")) && bytes.Equal(header[18:], []byte{1, 1}), nil
}
