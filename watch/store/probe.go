package store

import (
	"context"
	"time"
)

// Probe writes a little, as durably as all that is written: an error says that
// nothing can be stored now. It waits for a write that is under way, and for one
// of another process 10 s.
func (s *Store) Probe(ctx context.Context, now time.Time) error {
	err := write(ctx, s.writer, func(t *tx) error {
		_, err := t.exec("INSERT INTO probe (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at", nanos(now))
		return err
	})
	return s.wrap("try a write", err)
}
