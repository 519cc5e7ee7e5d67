package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// How many queries may run beside each other; those of the history have
// connections of their own. Projects ask for it, and what they ask can be long to
// find: what is to be done next does not wait for that.
const (
	readConnections    = 4
	historyConnections = 2
)

// connect opens a database file with parameters of the driver and of SQLite's
// URIs (https://www.sqlite.org/uri.html), and at most n connections.
func connect(path string, n int, params url.Values) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	params.Set("_error_rc", "1")
	params.Set("_dqs", "0")
	params.Set("_txlock", "immediate")
	params.Set("_busy_timeout", "10000")
	name := url.URL{Scheme: "file", Path: abs, RawQuery: params.Encode()}
	c, err := sqlite.NewConnector(name.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// writable opens a database file to write it. Commits are durable when
// synchronous is FULL.
func writable(path, synchronous string) (*sql.DB, error) {
	return connect(path, 1, url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {synchronous},
		"_pragma": {
			"page_size(4096)", // of a new file
			// A tick in which all fire is a large transaction: pages that do not
			// fit in the cache (KiB) are written twice, as are those of logs
			// that are folded in too early (pages).
			"cache_size(-65536)",
			"wal_autocheckpoint(8192)",
			// After a storm the log gives its room back (bytes).
			"journal_size_limit(67108864)",
		},
	})
}

// readOnly opens a database file so that nothing of it changes.
func readOnly(path string, n int) (*sql.DB, error) {
	return connect(path, n, url.Values{"mode": {"ro"}})
}

// A tx is a transaction that writes.
type tx struct {
	ctx   context.Context
	conn  *sql.Conn
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
}

// write runs f as one transaction, which is durable when write returns nil;
// on an error nothing of it happened. A context that ends before it begins
// is obeyed; after that it is too late.
func write(ctx context.Context, db *sql.DB, f func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A context that can end costs a goroutine for each statement.
	ctx = context.WithoutCancel(ctx)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // gives it back
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(&tx{ctx: ctx, conn: conn, tx: t, stmts: map[string]*sql.Stmt{}}); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Commit()
}

// stmt prepares a statement once for the transaction.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.tx.PrepareContext(t.ctx, query)
	if err == nil {
		t.stmts[query] = s
	}
	return s, err
}

func (t *tx) run(query string, args []any) (sql.Result, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(t.ctx, args...)
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	result, err := t.run(query, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// rowsAtOnce is how many rows one statement writes: half the cost of a row is
// that of its statement.
const rowsAtOnce = 50

// many is a statement for many rows: head, then each row's values, then tail.
type many struct{ head, row, tail string }

// execAll runs a statement for n rows, some at a time. values adds those of a row.
// It asks the driver itself: a quarter of what a row costs would be that
// database/sql looks at each value.
func (t *tx) execAll(q many, n int, values func(a *args, i int)) error {
	return t.conn.Raw(func(conn any) error {
		var a args
		for from := 0; from < n; {
			rows := min(rowsAtOnce, n-from)
			query := q.head + q.row + strings.Repeat(", "+q.row, rows-1) + q.tail
			stmt, err := conn.(driver.ConnPrepareContext).PrepareContext(t.ctx, query)
			if err != nil {
				return err
			}
			for ; err == nil && from+rows <= n; from += rows {
				a = a[:0]
				for i := from; i < from+rows; i++ {
					values(&a, i)
				}
				_, err = stmt.(driver.StmtExecContext).ExecContext(t.ctx, a)
			}
			if err := errors.Join(err, stmt.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// args are the values of a statement.
type args []driver.NamedValue

func (a *args) add(values ...any) {
	for _, v := range values {
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		*a = append(*a, driver.NamedValue{Ordinal: len(*a) + 1, Value: v})
	}
}

// insert adds a row and returns its id.
func (t *tx) insert(query string, args ...any) (id int64, err error) {
	result, err := t.run(query, args)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// each calls f with every row of a query in the transaction.
func (t *tx) each(f func(*row) error, query string, args ...any) error {
	return each(t.ctx, t.tx, f, query, args...)
}

// nanos is how a time is kept; see the schema. One that is too far off for that, as
// clients spell the begin or the end of time, is the farthest that is not.
func nanos(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s >= most:
		return math.MaxInt64
	case s <= -most:
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// asJSON is how a list or what few have is kept; see the schema. None of them
// holds what JSON cannot say.
func asJSON(v any) string {
	if reflect.ValueOf(v).IsZero() {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A row is what a query has come to, read column by column in their order.
// The first value that is not of the kind asked for is its error.
type row struct {
	values, into []any // into points to values, for Scan
	next         int
	err          error
}

func (r *row) scan(rows *sql.Rows) error {
	if r.values == nil {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		r.values, r.into = make([]any, len(columns)), make([]any, len(columns))
		for i := range r.values {
			r.into[i] = &r.values[i]
		}
	}
	r.next = 0
	return rows.Scan(r.into...)
}

// column takes the next column as the type that the driver has for its kind:
// string, int64, float64 or []byte.
func column[T any](r *row) T {
	v, ok := r.values[r.next].(T)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("column %d is of type %T, not %T", r.next+1, r.values[r.next], v)
	}
	r.next++
	return v
}

func (r *row) text() string            { return column[string](r) }
func (r *row) number() int64           { return column[int64](r) }
func (r *row) real() float64           { return column[float64](r) }
func (r *row) yes() bool               { return column[int64](r) != 0 }
func (r *row) time() time.Time         { return fromNanos(column[int64](r)) }
func (r *row) duration() time.Duration { return time.Duration(column[int64](r)) }

// raw takes a column of JSON as it is.
func (r *row) raw() json.RawMessage {
	if text := r.text(); text != "" {
		return json.RawMessage(text)
	}
	return nil
}

// decode takes a column of JSON as a list or what few have. Of most it is empty,
// and costs nothing.
func decode[T any](r *row) T {
	text := r.text()
	if text == "" {
		var none T
		return none
	}
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil && r.err == nil {
		r.err = err
	}
	return *v
}

// A querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls f with every row of a query, which ends with f's error.
func each(ctx context.Context, db querier, f func(*row) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r row
	for rows.Next() {
		if err := r.scan(rows); err != nil {
			return err
		}
		if err := f(&r); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
	}
	return rows.Err()
}

// list returns the rows of a query, each made a value.
func list[T any](ctx context.Context, db querier, read func(*row) T, query string, args ...any) (all []T, err error) {
	err = each(ctx, db, func(r *row) error {
		all = append(all, read(r))
		return nil
	}, query, args...)
	return all, err
}
