package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ours are the migrations that lead a database to this program's schema. They
// go forward only.
func ours() fs.FS {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // of a name that is written above
	}
	return dir
}

func newProvider(db *sql.DB, schema fs.FS) (*goose.Provider, error) {
	return goose.NewProvider(goose.DialectSQLite3, db, schema, goose.WithDisableGlobalRegistry(true), goose.WithTableName("schema_version"))
}

// versions returns the version of a database's schema, and the newest that
// this program knows. Nothing is written.
func versions(ctx context.Context, db *sql.DB, schema fs.FS) (current, newest int64, err error) {
	p, err := newProvider(db, schema)
	if err != nil {
		return 0, 0, err
	}
	for _, source := range p.ListSources() {
		newest = max(newest, source.Version)
	}
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM schema_version WHERE is_applied").Scan(&current)
	return current, newest, err
}

// migrate leads a database to the newest schema, one version at a time, each
// in a transaction of its own. Before each it keeps a copy of the file as
// PATH.v<version>.
func migrate(ctx context.Context, path string, db *sql.DB, schema fs.FS, log *slog.Logger) error {
	current, newest, err := versions(ctx, db, schema)
	if err != nil {
		return err
	}
	p, err := newProvider(db, schema)
	if err != nil {
		return err
	}
	for current < newest {
		kept := fmt.Sprintf("%s.v%d", path, current)
		if err := backup(ctx, db, kept); err != nil {
			return fmt.Errorf("keep a copy as %s: %w", kept, err)
		}
		done, err := p.UpByOne(ctx)
		if err != nil {
			return err
		}
		log.Info("store migrated", "from", current, "to", done.Source.Version, "copy", kept)
		current = done.Source.Version
	}
	return nil
}
