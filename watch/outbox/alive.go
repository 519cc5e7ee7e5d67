package outbox

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Alive calls a URL again and again while the server does its work, so that
// somebody else notices when it does not: who watches the watcher.
type Alive struct {
	URL   string
	Every time.Duration
	HTTP  *http.Client
	Log   *slog.Logger
	Well  func(now time.Time) error // why the server does not do its work; nil: it does
}

// Run calls until ctx is done.
func (a Alive) Run(ctx context.Context) {
	ticker := time.NewTicker(a.Every)
	defer ticker.Stop()
	for {
		if err := a.Well(time.Now()); err != nil {
			a.Log.Warn("not called alive", "err", err)
		} else if err := a.call(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("alive call", "url", Shown(a.URL), "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a Alive) call(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(a.Every, postTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return bare(err)
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return nil
}
