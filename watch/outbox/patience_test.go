package outbox_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A blind desk cannot learn whether anything is still to be done.
type blind struct{ desk }

func (b *blind) Look(context.Context, Row) (Sight, error) { return Sight{}, errors.New("no answer") }

// A restart that is tried again and again is given up when its time is over, and
// the operator is told. Each try once counted as the first: a guest whose restart
// could never begin stayed dead for ever, and nobody was told.
func TestRestartThatCannotBeginIsGivenUpInTime(t *testing.T) {
	for name, action := range map[string]Action{
		"it fails":              &desk{fails: &Failure{Err: errors.New("no answer"), Fate: Again}},
		"it cannot be asked of": &blind{},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, c *cloud) {
				told := &desk{}
				c.with(func(o *Options) { o.Actions[Exec], o.Actions[Notify] = action, told })
				c.add("p1", 10)
				c.pass(5 * time.Minute)
				c.fails(c.guests[0])
				c.pass(7 * time.Minute)
				if got := told.all(); len(got) > 0 {
					t.Errorf("told %q, within its time", got)
				}
				c.pass(10 * time.Minute)
				c.wantRow("when its time is over", c.rows("p1-0000")[0], GaveUp, "", "no answer (for 15m0s)")
				if got, want := told.all(), []string{"p1-0000: cfnwatch:exec:restart: gave-up: no answer (for 15m0s)"}; !slices.Equal(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
			})
		})
	}
}
