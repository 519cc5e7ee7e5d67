package stats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/metric"
)

// SpoolPath is where datapoints wait for the server to answer again.
const SpoolPath = "/var/lib/cfn-push-stats/spool"

// HeartbeatPath is the lock that a program holds which sends heartbeats again
// and again; the name of the alarm that they are for is in it.
const HeartbeatPath = "/run/cfn-push-stats.heartbeat"

// What is kept is no older and no larger than this.
const (
	SpoolAge  = time.Hour
	SpoolSize = 4 << 20
)

// lockWait is how long another push is waited for that has the spool, and may be
// sending what it holds.
const lockWait = drainLimit + 10*time.Second

// A Spool keeps datapoints in a file, for its owner alone, over the life of
// processes. Several processes may use it at a time: the file beside it, with
// the suffix .lock, is locked.
type Spool struct{ Path string }

// A Kept is what a spool holds: datapoints, oldest first, and how many older
// ones were dropped since it was last empty.
type Kept struct {
	Points  []metric.Datapoint
	Dropped int
}

// Load returns what the spool holds. A spool that is not there holds nothing.
func (s Spool) Load() (Kept, error) {
	data, err := os.ReadFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, fmt.Errorf("read the spool: %w", err)
	}
	return parseKept(data), nil
}

// Add keeps datapoints; those without a time get now. The oldest are dropped
// where there would be more than SpoolAge and SpoolSize allow.
func (s Spool) Add(ctx context.Context, points []metric.Datapoint, now time.Time) (Kept, error) {
	l, err := s.lock(ctx, lockWait)
	if err != nil {
		return Kept{}, err
	}
	defer l.Release()
	k, err := s.Load()
	if err != nil {
		return k, err
	}
	for _, p := range points {
		if p.Time.IsZero() {
			p.Time = now
		}
		k.Points = append(k.Points, p)
	}
	k.trim(now)
	return k, s.save(k)
}

// Drain hands what is kept to send, oldest first, as much at a time as one
// request carries. What send returns nil for is gone from the spool; so is what
// it returns an error and false for, which counts as dropped; any other error
// ends the draining. It returns how many datapoints were sent, and how many
// have been dropped since the spool was last empty. A spool that another
// process has is left to it.
func (s Spool) Drain(ctx context.Context, now time.Time, send func([]metric.Datapoint) (again bool, err error)) (sent, dropped int, err error) {
	if _, err := os.Stat(s.Path); errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	l, err := s.lock(ctx, 0)
	if errors.Is(err, lock.ErrHeld) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer l.Release()
	k, err := s.Load()
	if err != nil {
		return 0, 0, err
	}
	k.trim(now)
	for len(k.Points) > 0 {
		batch, rest := metric.Cut(k.Points)
		again, err := send(batch)
		switch {
		case err == nil:
			sent += len(batch)
		case again:
			return sent, k.Dropped, errors.Join(err, s.save(k))
		default:
			k.Dropped += len(batch)
		}
		// At once: what a killed process has sent is not sent again.
		if k.Points = rest; len(rest) > 0 {
			if err := s.save(k); err != nil {
				return sent, k.Dropped, err
			}
		}
	}
	if err := os.Remove(s.Path); err != nil {
		return sent, k.Dropped, fmt.Errorf("empty the spool: %w", err)
	}
	return sent, k.Dropped, nil
}

func (s Spool) save(k Kept) error {
	if err := atomicfile.Write(s.Path, k.encode(), atomicfile.KeepOwner(0o600)); err != nil {
		return fmt.Errorf("write the spool: %w", err)
	}
	return nil
}

// lock waits up to limit for the lock of the spool.
func (s Spool) lock(ctx context.Context, limit time.Duration) (*lock.Lock, error) {
	if err := atomicfile.MkdirPrivate(filepath.Dir(s.Path)); err != nil {
		return nil, fmt.Errorf("lock the spool: %w", err)
	}
	for end := time.Now().Add(limit); ; {
		l, err := lock.Try(s.Path + ".lock")
		if !errors.Is(err, lock.ErrHeld) || !time.Now().Before(end) || ctx.Err() != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// keptHead is the first line of a spool.
type keptHead struct {
	Dropped int `json:"dropped"`
}

// encode writes a line for the head and for each datapoint.
func (k Kept) encode() []byte {
	b := encodeLine(keptHead{k.Dropped})
	for _, p := range k.Points {
		b = append(b, encodeLine(p)...)
	}
	return b
}

func encodeLine(v any) []byte {
	b, _ := json.Marshal(v) // a head, or a datapoint that was checked: both can be written
	return append(b, '\n')
}

// parseKept reads a spool. A line that is none of ours counts as a datapoint
// that was dropped.
func parseKept(data []byte) Kept {
	var k Kept
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	var head keptHead
	if err := json.Unmarshal(first, &head); err == nil && head.Dropped >= 0 && head.Dropped < 1<<40 {
		k.Dropped = head.Dropped
	} else {
		k.Dropped++
	}
	for line := range bytes.Lines(rest) {
		var p metric.Datapoint
		if err := json.Unmarshal(line, &p); err != nil || p.Time.IsZero() || p.Check() != nil {
			k.Dropped++
			continue
		}
		k.Points = append(k.Points, p)
	}
	return k
}

// trim drops the oldest datapoints, and counts them.
func (k *Kept) trim(now time.Time) {
	before := len(k.Points)
	k.Points = slices.DeleteFunc(k.Points, func(p metric.Datapoint) bool { return now.Sub(p.Time) > SpoolAge })
	size := len(encodeLine(keptHead{math.MaxInt}))
	from := len(k.Points)
	for ; from > 0; from-- {
		if size += len(encodeLine(k.Points[from-1])); size > SpoolSize {
			break
		}
	}
	k.Points = k.Points[from:]
	k.Dropped += before - len(k.Points)
}
