package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// A Key is an access key that the server issued.
type Key struct {
	Access  string
	Secret  awsquery.Secret
	Project string // whose alarms it may see or feed
	Stack   string // root stack that it is bound to; empty: none
	Role    watch.Role
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it is not
}

// ErrNoKey says that no key has been issued with that id.
var ErrNoKey = errors.New("no such access key was issued")

const keyColumns = "access, secret, project, stack, role, created, expires, revoked"

func readKey(r *row) Key {
	return Key{r.text(), awsquery.Secret(r.text()), r.text(), r.text(), watch.Role(r.text()), r.time(), r.time(), r.time()}
}

// PutKey keeps a new key, durably. An id that is taken is an error.
func (s *Store) PutKey(ctx context.Context, k Key) error {
	err := write(ctx, s.writer, func(t *tx) error {
		_, err := t.exec("INSERT INTO access_key ("+keyColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			k.Access, string(k.Secret), k.Project, k.Stack, string(k.Role), nanos(k.Created), nanos(k.Expires), nanos(k.Revoked))
		return err
	})
	return s.wrap("keep the key "+k.Access, err)
}

// RevokeKey marks a key as revoked at a time, durably; one that was revoked
// before stays so. The error is ErrNoKey when there is none.
func (s *Store) RevokeKey(ctx context.Context, access string, at time.Time) error {
	err := write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec("UPDATE access_key SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE access = ?", nanos(at), access)
		if err == nil && n == 0 {
			err = ErrNoKey
		}
		return err
	})
	return s.wrap("revoke the key "+access, err)
}

// Keys returns every key that was issued, the oldest first, also those that
// have expired or are revoked.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	keys, err := list(ctx, s.readers, readKey, "SELECT "+keyColumns+" FROM access_key ORDER BY created, access")
	return keys, s.wrap("read keys", err)
}

// saveFed is for pairs of a key and an alarm. An alarm that was deleted meanwhile
// is fed by nobody.
var saveFed = many{"INSERT OR IGNORE INTO key_alarm (access, alarm_id) SELECT column1, column2 FROM (VALUES ", "(?, ?)",
	") WHERE EXISTS (SELECT 1 FROM alarm WHERE id = column2)"}

// SaveFed adds alarms to those that access keys have fed, in transactions of some
// thousands, in the order of the store.
func (s *Store) SaveFed(ctx context.Context, fed map[string][]int64) error {
	type pair struct {
		access string
		alarm  int64
	}
	var pairs []pair
	for _, access := range slices.Sorted(maps.Keys(fed)) {
		for _, id := range fed[access] {
			pairs = append(pairs, pair{access, id})
		}
	}
	for piece := range slices.Chunk(pairs, flushStep) {
		err := write(ctx, s.writer, func(t *tx) error {
			return t.execAll(saveFed, len(piece), func(a *args, i int) { a.add(piece[i].access, piece[i].alarm) })
		})
		if err != nil {
			return s.wrap("keep which keys fed which alarms", err)
		}
	}
	return nil
}

// SaveRefused keeps for how long pushes of access keys have been refused, 0 for
// no longer, in transactions of some thousands.
func (s *Store) SaveRefused(ctx context.Context, refused map[string]time.Duration) error {
	for piece := range slices.Chunk(slices.Collect(maps.Keys(refused)), flushStep) {
		err := write(ctx, s.writer, func(t *tx) error {
			for _, access := range piece {
				query, args := "INSERT OR REPLACE INTO refused_key (access, lasted) VALUES (?, ?)", []any{access, int64(refused[access])}
				if refused[access] == 0 {
					query, args = "DELETE FROM refused_key WHERE access = ?", args[:1]
				}
				if _, err := t.exec(query, args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return s.wrap("keep which keys are refused", err)
		}
	}
	return nil
}

// LoadRefused returns for how long pushes of access keys have been refused.
func (s *Store) LoadRefused(ctx context.Context) (map[string]time.Duration, error) {
	refused := map[string]time.Duration{}
	err := each(ctx, s.readers, func(r *row) error {
		access := r.text()
		refused[access] = r.duration()
		return nil
	}, "SELECT access, lasted FROM refused_key")
	return refused, s.wrap("read which keys are refused", err)
}

// ForgetFed forgets which alarms keys have fed, and that they were refused, in transactions of some thousands.
func (s *Store) ForgetFed(ctx context.Context, access []string) error {
	for piece := range slices.Chunk(access, flushStep) {
		err := write(ctx, s.writer, func(t *tx) error {
			for _, a := range piece {
				for _, q := range []string{"DELETE FROM key_alarm WHERE access = ?", "DELETE FROM refused_key WHERE access = ?"} {
					if _, err := t.exec(q, a); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return s.wrap("forget which keys fed which alarms", err)
		}
	}
	return nil
}

// LoadFed returns the alarms that each access key has fed.
func (s *Store) LoadFed(ctx context.Context) (map[string][]int64, error) {
	fed := map[string][]int64{}
	err := each(ctx, s.readers, func(r *row) error {
		access := r.text()
		fed[access] = append(fed[access], r.number())
		return nil
	}, "SELECT access, alarm_id FROM key_alarm ORDER BY access, alarm_id")
	return fed, s.wrap("read which keys fed which alarms", err)
}
