package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
)

// tries are those of one download, as far as they have failed.
type tries struct {
	policy retry.Policy
	target target
	start  time.Time
	number int
	last   error // of the last one that was not cut short
}

// again says whether another try may come, and not before a time.
func (d *tries) again(after time.Duration) bool {
	elapsed := time.Since(d.start)
	return temporary(d.last, elapsed) && (d.policy.Total == 0 || elapsed+after < d.policy.Total)
}

// tell says at the first failure that the download is tried again: nobody
// could know else what a silence of minutes is about.
func (d *tries) tell(ctx context.Context) {
	if d.number > 1 || d.policy.Tries <= 1 {
		return
	}
	what := " does not answer, trying again"
	limit := d.policy.Total
	if status, ok := errors.AsType[*StatusError](d.last); ok {
		what = " answers with an error, trying again"
		if refusal(status.Status) && (limit == 0 || limit > settleTime) {
			limit = settleTime
		}
	}
	if deadline, ok := ctx.Deadline(); ok && (limit == 0 || time.Until(deadline) < limit) {
		limit = time.Until(deadline).Round(time.Second)
	}
	attrs := []any{"url", d.target.shown, "err", d.last}
	if limit > 0 {
		attrs = append(attrs, "for", limit.String())
	}
	d.target.log.WarnContext(ctx, d.target.url.Hostname()+what, attrs...)
}

// gaveUp is the error of a download, with what went wrong in it and why
// nothing more was tried.
func (d *tries) gaveUp(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case err == nil:
		return nil
	case cause != nil && d.last != nil:
		return fmt.Errorf("%w; gave up: %w", d.last, cause)
	case cause != nil:
		return cause
	case d.number > 1:
		return fmt.Errorf("%w; gave up after %d tries", err, d.number)
	}
	return err
}

// refusal says that a status may only mean that credentials or an object are
// too young to be known everywhere.
func refusal(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}
