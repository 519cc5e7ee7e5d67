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

// newProvider reads the migrations that lead a database to this program's
// schema. They go forward only.
func newProvider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithTableName("schema_version"))
}

// versions returns the version of a database's schema, and the newest that
// this program knows. Nothing is written.
func versions(ctx context.Context, db *sql.DB) (current, newest int64, err error) {
	p, err := newProvider(db)
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
func migrate(ctx context.Context, path string, db *sql.DB, log *slog.Logger) error {
	current, newest, err := versions(ctx, db)
	if err != nil {
		return err
	}
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	for ; current < newest; current++ {
		kept := fmt.Sprintf("%s.v%d", path, current)
		if err := backup(ctx, db, kept); err != nil {
			return fmt.Errorf("keep a copy as %s: %w", kept, err)
		}
		log.Info("store migrated", "from", current, "copy", kept)
		if _, err := p.UpByOne(ctx); err != nil {
			return err
		}
	}
	return nil
}
