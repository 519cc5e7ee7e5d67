package outbox

import (
	"fmt"
	"testing"
	"time"
)

// Whoever names ever new endpoints that do not answer takes no room for ever.
func TestBreakersOfOldEndpointsAreForgotten(t *testing.T) {
	var b breakers
	now := time.Now()
	for i := range 3 * failuresToOpen {
		b.report(fmt.Sprint("https://", i), 0, now)
		b.report("https://down", 0, now)
		now = now.Add(20 * time.Minute)
	}
	if n := len(b.at); n > 6 {
		t.Errorf("%d endpoints are remembered, want those of the last hour", n)
	}
	if _, open := b.open("https://down", now.Add(-20*time.Minute)); !open {
		t.Error("the breaker of an endpoint that is called on end was forgotten")
	}
}
