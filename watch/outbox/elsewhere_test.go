package outbox_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// windows is how soon after the end of a fault alarms must be right again: two
// silences.
const windows = 2 * silence

// elsewhere plays a fault that is no guest's: a project of living guests, of
// which one dies by itself when all is over, and is restarted.
func elsewhere(t *testing.T, fault func(c *cloud), why watch.EventQuery, begins string) {
	t.Helper()
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 200)
		c.pass(5 * time.Minute)
		fault(c)
		c.pass(windows)
		c.wantRestarts("a fault elsewhere")
		c.wantStates("two windows after it", map[watch.State]int{watch.OK: 200})
		c.wantHistory(why, begins)
		c.fails(c.guests[7])
		c.wantRestarts("a guest that dies after it", c.guests[7].name)
	})
}

var deafness = watch.EventQuery{Kinds: []watch.EventKind{watch.Deafness}}

func TestClockSetAheadRestartsNobody(t *testing.T) {
	elsewhere(t, func(c *cloud) { c.set.Add(int64(time.Hour)); c.pass(10 * time.Minute) }, deafness, "listens anew: the clock was set by 1h0m0s")
}

func TestClockSetBackRestartsNobody(t *testing.T) {
	elsewhere(t, func(c *cloud) { c.set.Add(-int64(time.Hour)); c.pass(10 * time.Minute) }, deafness, "listens anew: the clock was set by -1h0m0s")
}

// A clock that is set while a storm holds actions lets none of them go.
func TestClockSetInAStormRestartsNobody(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		elsewhere(t, func(c *cloud) {
			c.each(c.guests, func(g *guest) { g.cut = true })
			c.pass(5 * time.Minute)
			c.set.Add(int64(step))
			c.pass(10 * time.Minute)
			c.each(c.guests, func(g *guest) { g.cut = false })
		}, watch.EventQuery{Project: "p1", Kinds: []watch.EventKind{watch.Gate}}, "storm: nothing rough is done: ")
	}
}

// Each tick that writes takes a minute: what came meanwhile is heard, but ticks
// come late.
func TestDatabaseThatIsSlowRestartsNobody(t *testing.T) {
	elsewhere(t, func(c *cloud) {
		c.disk.slow.Store(int64(time.Minute))
		c.each(c.guests[:40], func(g *guest) { g.cut = true }) // there is something to write
		c.pass(4 * time.Minute)
		c.each(c.guests[:40], func(g *guest) { g.cut = false })
		c.pass(3 * time.Minute)
		c.disk.slow.Store(0)
		c.pass(time.Minute)
	}, deafness, "listens anew: a tick came ")
}

// Nothing is written for ten minutes, in which guests are cut off and come
// back: no state changes, and afterwards only what is then true is.
func TestDiskThatIsFullRestartsNobody(t *testing.T) {
	elsewhere(t, func(c *cloud) {
		before := len(c.history(watch.EventQuery{Kinds: []watch.EventKind{watch.StateUpdate}}))
		c.disk.full.Store(true)
		c.pass(time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(6 * time.Minute)
		c.wantStates("on a full disk", map[watch.State]int{watch.OK: 200})
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.pass(3 * time.Minute)
		c.disk.full.Store(false)
		c.pass(time.Minute)
		if after := len(c.history(watch.EventQuery{Kinds: []watch.EventKind{watch.StateUpdate}})); after != before {
			c.t.Errorf("%d changes of states were told, want none: all is as it was", after-before)
		}
	}, watch.EventQuery{Alarm: "p1-0000", Kinds: []watch.EventKind{watch.StateUpdate}}, "Alarm updated from INSUFFICIENT_DATA to OK")
}

// Clocks of guests are twenty minutes off: the server refuses what they sign,
// knows that they live, and is not deaf to others.
func TestGuestsWithWrongClocksAreNotRestarted(t *testing.T) {
	for _, off := range []time.Duration{20 * time.Minute, -20 * time.Minute} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			elsewhere(t, func(c *cloud) {
				v := auth.New(auth.Options{})
				c.refuse = func(g *guest) {
					_, err := c.signed(v, g.project, off)
					e, ok := errors.AsType[*auth.Error](err)
					if !ok || e.Code != auth.RequestExpired || e.Access != g.project {
						c.t.Errorf("a request signed %s off: %v", off, err)
						return
					}
					c.engine.SignOfLife(c.now(), e.Access)
				}
				c.pass(30 * time.Minute)
				c.refuse = nil
			}, watch.EventQuery{Kinds: []watch.EventKind{watch.Deafness}, Project: "p1"}, "not heard: pushes of key p1 are refused")
		})
	}
}

// signed is what becomes of a push whose signature is by a clock that is off.
func (c *cloud) signed(v *auth.Verifier, access string, off time.Duration) (watch.Caller, error) {
	const body = "Action=PutMetricData"
	req, err := http.NewRequest(http.MethodPost, "http://watch/v1/", strings.NewReader(body))
	if err != nil {
		return watch.Caller{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	key := awsquery.Credentials{AccessKey: access, SecretKey: "s"}
	if err := awsquery.SignV4(c.t.Context(), req, []byte(body), key, "", awsquery.CloudWatch, c.now().Add(off)); err != nil {
		return watch.Caller{}, err
	}
	pass, err := v.Verify(c.t.Context(), req, []byte(body), c.now())
	if err != nil {
		return watch.Caller{}, err
	}
	return pass.Caller, nil
}

// The network of one of three zones is gone, and with it a third of each
// project's guests: too few for a storm in a project, and one of all of them.
func TestZoneWhoseNetworkIsGoneRestartsNobody(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 60)
		c.add("p2", 60)
		c.pass(5 * time.Minute)
		zone := append(c.guests[:20:20], c.guests[60:80]...)
		c.each(zone, func(g *guest) { g.cut = true })
		c.pass(10 * time.Minute)
		c.wantStates("cut off", map[watch.State]int{watch.OK: 80, watch.Firing: 40})
		if got := c.outbox.Storms(); len(got) != 1 || got[0].Domain != "all" || got[0].Overdue != 40 {
			t.Errorf("storms %+v, want one of 40 in all", got)
		}
		c.each(zone, func(g *guest) { g.cut = false })
		c.pass(windows)
		c.wantRestarts("a zone without its network")
		c.wantStates("two windows after it", map[watch.State]int{watch.OK: 120})
		c.wantHistory(watch.EventQuery{Kinds: []watch.EventKind{watch.Gate}}, "storm: nothing rough is done: ")
	})
}
