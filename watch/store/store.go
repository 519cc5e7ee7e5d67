// Package store keeps what outlives the server: alarms and their states, the
// history, actions not yet finished, issued keys, suspensions, and the windows
// of alarms. It is the only place with SQL. It decides nothing.
//
// The store is a SQLite database in WAL mode with synchronous=FULL: what a
// method that writes has returned without an error survives the end of the
// process and of the machine (https://www.sqlite.org/pragma.html#pragma_synchronous).
// Windows are samples, which may be lost; they are a second file beside it,
// PATH-windows, so that neither its damage nor its writes touch the first.
package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Options say how a store is opened. The zero value opens what is there, or
// makes a new store where nothing is.
type Options struct {
	New bool         // sets what is there aside, with a name that says when, and begins anew
	Log *slog.Logger // hears what was set aside or migrated; nil: slog.Default

	schema fs.FS // migrations; nil: ours
}

// A Store is open until Close. Its methods may be called at any time from any
// goroutine.
type Store struct {
	path    string
	log     *slog.Logger
	lock    *lock.Lock
	writer  *sql.DB // of one connection: writers wait for each other
	readers *sql.DB // read beside the writer
	history *sql.DB // likewise, for who looks at the history
	windows *sql.DB // the second file, of one connection

	standstill atomic.Pointer[outbox.Standstill] // nil: there is none
}

// Close closes the store and lets another process open it.
func (s *Store) Close() error {
	var errs []error
	// The writer last: the last connection to a database folds its log in.
	for _, db := range []*sql.DB{s.readers, s.history, s.windows, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Release())...)
}

// wrap says of an error what was being done, and in which file.
func (s *Store) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in the store %s: %w", what, s.path, err)
}

var (
	_ watch.Store  = (*Store)(nil)
	_ outbox.Store = (*Store)(nil)
)
