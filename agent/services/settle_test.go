package services

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// late is a manager whose unit is up after a time.
type late struct {
	manager
	began time.Time
	after time.Duration
}

func (l late) status(context.Context, string) (status, error) {
	if time.Since(l.began) < l.after {
		return status{known: true, active: "activating", sub: "start"}, nil
	}
	return status{known: true, active: "active", sub: "running"}, nil
}

// The limit is of the way up. A unit that arrives just before it is watched for
// as long as any, and is none that did not arrive.
func TestArrivesJustInTime(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0:                "",
		89 * time.Second: "",
		91 * time.Second: "it is still activating after 1m30s",
	} {
		synctest.Test(t, func(t *testing.T) {
			j := &job{manager: late{began: time.Now(), after: after}, pace: realPace, unit: "x.service"}
			if got := j.settle(t.Context()); got != want {
				t.Errorf("a unit that is up after %s: %q, want %q", after, got, want)
			}
			if took := time.Since(j.manager.(late).began); want == "" && took < after+realPace.watch {
				t.Errorf("a unit that is up after %s was watched until %s", after, took)
			}
		})
	}
}
