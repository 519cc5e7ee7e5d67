package outbox_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// slowly is a store that once tells what is due when that has gone on meanwhile.
type slowly struct {
	Store
	meanwhile atomic.Pointer[func()]
}

func (s *slowly) Due(ctx context.Context, now time.Time, n int) ([]Row, error) {
	rows, err := s.Store.Due(ctx, now, n)
	if len(rows) > 0 {
		if f := s.meanwhile.Swap(nil); f != nil {
			(*f)()
		}
	}
	return rows, err
}

// A clock that is set ahead ends leases of what is worked on here: what was read
// of a row before it went on once went over what it had come to since, and the
// action was taken again.
func TestRowThatIsWorkedOnIsLeftAlone(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		var store *slowly
		quick, asked := &desk{takes: time.Minute}, make(chan struct{})
		c.with(func(o *Options) {
			store = &slowly{Store: o.Store}
			o.Store, o.Actions[Exec] = store, quick
			o.Witness = func(_ context.Context, gate string, r Row, _ watch.View) (Reply, error) {
				if gate == "g10" && r.Status == Looked {
					<-asked
				}
				return Reply{}, nil
			}
		})
		c.pass(time.Minute)
		c.fire("a", "web")
		c.pass(2 * time.Second)
		if r := c.rows("a")[0]; r.Status != Looked {
			t.Fatalf("%s, want looked", r.Status)
		}
		s, err := c.outbox.Suspend(t.Context(), Suspension{Scope: OfAll, Owner: "uid 0"})
		if err != nil {
			t.Fatal(err)
		}
		begins := func() {
			close(asked)
			time.Sleep(time.Millisecond)
		}
		store.meanwhile.Store(&begins)
		c.set.Store(int64(5 * time.Minute))
		c.pass(10 * time.Second)
		if r := c.rows("a")[0]; r.Status != Acting {
			t.Errorf("%s by %q (%s), want acting", r.Status, r.Gate, r.Why)
		}
		c.pass(5 * time.Minute)
		c.resume(s)
		c.pass(20 * time.Minute)
		if got := quick.all(); !slices.Equal(got, []string{"a: "}) {
			t.Errorf("acted for %q, want once", got)
		}
		c.wantRow("in the end", c.rows("a")[0], Done, "", "")
	})
}
