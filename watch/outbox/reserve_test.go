package outbox_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// together has the rows of a and b pass all their gates before either begins:
// what they would spend is then still there for both.
func together(o *Options) {
	o.Store = hesitant{o.Store}
	var passed sync.WaitGroup
	passed.Add(2)
	o.Witness = func(_ context.Context, gate string, r Row, _ watch.View) (Reply, error) {
		if gate == "g10" && r.Status == Looked && r.Tries == 0 && (r.Alarm == "a" || r.Alarm == "b") {
			passed.Done()
			passed.Wait()
		}
		return Reply{}, nil
	}
}

// hesitant is a store that lets others go first before it writes that an
// action begins.
type hesitant struct{ Store }

func (h hesitant) Update(ctx context.Context, changes ...Change) ([]string, error) {
	for i := 0; i < 1000 && changes[0].Row.Status == Acting; i++ {
		runtime.Gosched()
	}
	return h.Store.Update(ctx, changes...)
}

// Two that have passed the gates at the same moment do not both begin: what
// they share is asked about once more, by one after the other.
func TestWhatTwoHavePassedIsAskedOnceMore(t *testing.T) {
	for name, tt := range map[string]struct {
		target string // of b
		all    int
		gate   string
	}{
		"the target": {"web", 50, "g4"},
		"the budget": {"db", 1, "g5"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, c *cloud) {
				slow := &desk{takes: 20 * time.Minute}
				c.gates.All, c.gates.Rate = tt.all, Budget{}
				c.with(func(o *Options) {
					o.Actions[Exec] = slow
					together(o)
				})
				c.pass(time.Minute)
				for alarm, target := range map[string]string{"a": "web", "b": tt.target} {
					c.fire(alarm, target)
				}
				c.pass(5 * time.Second)
				if got := slow.all(); len(got) != 1 {
					t.Fatalf("acted for %q, want for one of them", got)
				}
				for _, alarm := range []string{"a", "b"} {
					if r := c.rows(alarm)[0]; r.Status != Acting {
						c.wantRow("the other", r, Held, tt.gate, "under way")
					}
				}
			})
		})
	}
}
