package outbox_test

import (
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Alarms that guests of any stack may feed are of no stack, which a budget could
// be of: once the sixth guest of a project to die within an hour was kept waiting.
func TestBudgetOfStackIsNotOfAnyStack(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.gates.PerStack = []Budget{{Count: 1, In: time.Hour}}
		c.with(nil)
		c.stack = watch.AnyStack
		c.add("p1", 20)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		c.fails(c.guests[1])
		c.wantRestarts("two of any stacks", "p1-0000", "p1-0001")
	})
}
