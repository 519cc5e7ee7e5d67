package watch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Run ticks by itself, wakes whoever acts, and flushes at its end.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		var batches []Batch
		ticks := 0
		e := New(Options{Store: store, OnBatch: func(b Batch) { batches = append(batches, b) }, OnTick: func(TickResult, error) { ticks++ }})
		if err := e.Start(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Define(t.Context(), time.Now(), member, heartbeat("h")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.Run(ctx)
		}()
		push := func() {
			e.Put(time.Now(), guest, []Sample{{Metric: "Heartbeat", Alarm: "h", Count: 1}})
		}
		for range 10 {
			push()
			time.Sleep(time.Minute)
		}
		if v, _ := e.View(time.Now(), "p", "h"); v.State != OK {
			t.Errorf("state %s while it pushes, want OK", v.State)
		}
		time.Sleep(76 * time.Second)
		if v, _ := e.View(time.Now(), "p", "h"); v.State != Firing {
			t.Errorf("state %s 136 s after its last push, want ALARM", v.State)
		}
		push()
		arrived := time.Now()
		cancel()
		<-done
		wanted := 0
		for _, b := range batches {
			wanted += len(b.Wanted)
		}
		if wanted != 1 || ticks < 600 {
			t.Errorf("%d actions in batches, want 1; %d ticks", wanted, ticks)
		}
		store.Load(t.Context(), func(_ Alarm, k Kept) error {
			if !k.Fed.Equal(arrived) {
				t.Errorf("last arrival kept is %s, want %s", k.Fed, arrived)
			}
			return nil
		})
	})
}

// Everything at once, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	e := New(Options{FlushEvery: time.Millisecond})
	if err := e.Start(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 0))
			for range 400 {
				name, now := fmt.Sprint("a", rnd.IntN(20)), time.Now()
				names := []string{name}
				switch rnd.IntN(12) {
				case 0:
					e.Define(t.Context(), now, member, heartbeat(name))
				case 1:
					e.Define(t.Context(), now, member, cpuAlarm(name))
				case 2:
					e.Delete(t.Context(), now, member, names)
				case 3:
					e.SetState(t.Context(), now, member, name, pick(rnd, OK, Firing, NoData), "", nil)
				case 4:
					e.EnableActions(t.Context(), now, member, names, rnd.IntN(2) == 0)
				case 5:
					e.Flush(t.Context(), now)
				case 6:
					e.Deaf(now, "test")
					e.SignOfLife(now, guest.Access)
				case 7:
					for _, v := range e.Alarms(now, op, AlarmQuery{}) {
						e.LeaveOut(v.ID, rnd.IntN(2) == 0)
					}
					e.Census(AllProjects, now)
				case 8:
					e.Tick(t.Context(), now)
				default:
					e.Put(now, guest, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: name, Count: 1},
						{Namespace: "system/linux", Metric: "CPU", Count: 1, Sum: float64(rnd.IntN(60))}})
				}
			}
		})
	}
	all.Wait()
	e.Tick(t.Context(), time.Now())
	counted := Totals{}
	for _, v := range e.Alarms(time.Now(), op, AlarmQuery{}) {
		switch v.State {
		case OK:
			counted.OK++
		case Firing:
			counted.Firing++
		default:
			counted.NoData++
		}
	}
	if got := e.Totals(); got.OK != counted.OK || got.Firing != counted.Firing || got.NoData != counted.NoData {
		t.Errorf("totals %+v, counted %+v", got, counted)
	}
	c := e.Census("p", time.Now())
	if c.Overdue < 0 || c.Alive < 0 || c.Alive > 20 {
		t.Errorf("census %+v of 20 guests", c)
	}
}

// A push of a guest that is known allocates nothing.
func TestPushAllocatesNothing(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	s := []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: "h", Count: 1, Dimensions: []Dimension{{"InstanceId", "i"}}}}
	b.e.Put(b.now, guest, s)
	b.tick()
	if n := testing.AllocsPerRun(100, func() { b.e.Put(b.now, guest, s) }); n > 0 {
		t.Errorf("a push allocates %v times", n)
	}
}
