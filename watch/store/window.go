package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/cfn-agent/cfn-agent/watch"
)

const (
	windowSuffix = "-windows" // of the store's path

	// windowVersion is kept as user_version of the file. Windows of another
	// version are of no use: they are set aside, and fill again.
	windowVersion = 1

	windowSchema = "CREATE TABLE IF NOT EXISTS window (alarm_id INTEGER PRIMARY KEY, fed INTEGER NOT NULL, data BLOB NOT NULL)"

	// flushStep is how many windows one transaction writes.
	flushStep = 5000
)

// openWindows opens the file of windows, or makes it. One that is damaged, or
// of another version, is set aside.
func openWindows(ctx context.Context, path string, log *slog.Logger) (*sql.DB, error) {
	if err := checkWindows(ctx, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := setAside(path, log, "its windows cannot be read: "+err.Error(), files...); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, err
	}
	db, err := writable(path, "NORMAL")
	if err != nil {
		return nil, err
	}
	if err := makeWindows(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("open the windows %s: %w", path, err), db.Close())
	}
	return db, nil
}

// makeWindows makes what a new file lacks. In one that is there nothing is written:
// a server begins on a full disk too.
func makeWindows(ctx context.Context, db *sql.DB) error {
	var version int
	err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err != nil || version == windowVersion {
		return err
	}
	for _, q := range []string{windowSchema, fmt.Sprintf("PRAGMA user_version = %d", windowVersion)} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func checkWindows(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := readOnly(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := quickCheck(ctx, db); err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version != windowVersion && version != 0 {
		return fmt.Errorf("they have version %d, not %d", version, windowVersion)
	}
	return nil
}

// Flush keeps the windows and last arrivals of alarms, and nothing else of
// them, in transactions of some thousands. They survive the end of the process
// but not always that of the machine.
func (s *Store) Flush(ctx context.Context, kept []watch.Kept) error {
	for len(kept) > 0 {
		n := min(flushStep, len(kept))
		err := write(ctx, s.windows, func(t *tx) error {
			return t.execAll(many{"INSERT OR FAIL INTO window (alarm_id, fed, data) VALUES ", "(?, ?, ?)",
				" ON CONFLICT (alarm_id) DO UPDATE SET (fed, data) = (excluded.fed, excluded.data)"}, n, func(a *args, i int) {
				a.add(kept[i].AlarmID, nanos(kept[i].Fed), blob(kept[i].Window))
			})
		})
		if err != nil {
			return s.wrap("keep windows", err)
		}
		kept = kept[n:]
	}
	return nil
}

// blob is a window that may be empty, but is not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (s *Store) deleteWindows(ctx context.Context, ids []int64) error {
	return write(ctx, s.windows, func(t *tx) error {
		for _, id := range ids {
			if _, err := t.exec("DELETE FROM window WHERE alarm_id = ?", id); err != nil {
				return err
			}
		}
		return nil
	})
}

// A windowCursor walks the windows of a range of alarms in the order of their
// ids. What cannot be read is not there.
type windowCursor struct {
	rows    *sql.Rows // nil: at the end
	row     row
	next    watch.Kept
	orphans []int64 // alarms that are gone, whose windows were passed over
	err     error   // why there are no more
}

func walkWindows(ctx context.Context, db *sql.DB, from, to int64) *windowCursor {
	c := &windowCursor{}
	c.rows, c.err = db.QueryContext(ctx, "SELECT alarm_id, fed, data FROM window WHERE alarm_id BETWEEN ? AND ? ORDER BY alarm_id", from, to)
	c.advance()
	return c
}

// find completes what is kept of an alarm by its window, if there is one.
func (c *windowCursor) find(k *watch.Kept) {
	for c.rows != nil && c.next.AlarmID < k.AlarmID {
		c.orphans = append(c.orphans, c.next.AlarmID)
		c.advance()
	}
	if c.rows != nil && c.next.AlarmID == k.AlarmID {
		k.Fed, k.Window = c.next.Fed, c.next.Window
		c.advance()
	}
}

func (c *windowCursor) advance() {
	if c.rows == nil {
		return
	}
	if !c.rows.Next() {
		c.err = c.rows.Err()
		c.close()
		return
	}
	if err := c.row.scan(c.rows); err != nil {
		c.err = err
		c.close()
		return
	}
	c.next.AlarmID, c.next.Fed, c.next.Window = c.row.number(), c.row.time(), column[[]byte](&c.row)
	if c.row.err != nil {
		c.err = c.row.err
		c.close()
	}
}

func (c *windowCursor) close() {
	if c.rows != nil {
		c.rows.Close()
		c.rows = nil
	}
}
