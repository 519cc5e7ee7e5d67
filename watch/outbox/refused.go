package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

const (
	refusedLook = time.Minute     // between looks at access keys that are refused
	refusedFor  = 5 * time.Minute // from the first such push to the last, before the operator is told: Keystone may be away for a moment
	refusedMost = 3               // that are named
)

// refusals are the access keys that the operator was told of.
type refusals struct {
	looked time.Time
	told   map[string]bool // also that what they fed is judged again
}

// watchRefused tells the operator of access keys whose pushes are refused, since
// nothing is restarted for that, and when that ends: once for all that are new.
func (o *Outbox) watchRefused(ctx context.Context, now time.Time) error {
	if passed := now.Sub(o.refused.looked); passed >= 0 && passed < refusedLook {
		return nil
	}
	told := map[string]bool{}
	var begun, over []watch.Refused
	for _, r := range o.Engine.Refused(now) {
		wasOver, known := o.refused.told[r.Access]
		switch {
		case r.Over && !wasOver:
			over = append(over, r)
		case !r.Over && !known && r.Last.Sub(r.Since) < refusedFor:
			continue
		case !r.Over && !known:
			begun = append(begun, r)
		}
		told[r.Access] = r.Over
	}
	err := errors.Join(
		o.tellRefused(ctx, "refused", begun, "such alarms count as not heard, and nothing is restarted for their silence, for a day at most"),
		o.tellRefused(ctx, "judged", over, "that is so for a day now: such alarms are judged silent again, and what they ask for is done"))
	if err == nil {
		o.refused = refusals{now, told}
	}
	return err
}

// tellRefused sends a notice of some keys, with what is to be said of them.
func (o *Outbox) tellRefused(ctx context.Context, news string, list []watch.Refused, text string) error {
	if len(list) == 0 {
		return nil
	}
	var named []string
	for _, r := range list[:min(refusedMost, len(list))] {
		named = append(named, fmt.Sprintf("%s (%s)", r.Access, strings.Join(r.Alarms, ", ")))
	}
	keys := "access key " + named[0]
	if len(list) > 1 {
		keys = fmt.Sprintf("%d access keys, such as %s,", len(list), strings.Join(named, ", "))
	}
	text = fmt.Sprintf("pushes of %s are refused or cannot be verified: %s", keys, text)
	o.Log.Warn(text)
	return o.Tell(ctx, fmt.Sprintf("%s|%s|%d|%d", news, list[0].Access, list[0].Since.Unix(), len(list)), text)
}
