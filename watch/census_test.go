package watch

import (
	"fmt"
	"testing"
	"time"
)

// A guest that stays dead is overdue for good. The share of the overdue was once
// of those that lived when it died, however many came since: a few guests of a
// large site were a storm of all, and nobody's were restarted.
func TestGuestsThatComeLaterCountInStorms(t *testing.T) {
	b := newBench(t, Options{})
	old := b.guests(5)
	b.pass(10*time.Minute, old.push)
	old.dead["g0"] = true
	b.pass(10*time.Minute, old.push)
	if c := b.e.Census(AllProjects, b.now); c.Overdue != 1 || c.Alive != 5 {
		t.Fatalf("census %+v, want 1 of 5 overdue", c)
	}
	late := b.guests(0)
	for i := range 60 {
		name := fmt.Sprint("late", i)
		b.define(heartbeat(name))
		late.names = append(late.names, name)
	}
	b.pass(10*time.Minute, old.push, late.push)
	for _, domain := range []string{AllProjects, "p"} {
		if c := b.e.Census(domain, b.now); c.Overdue != 1 || c.Alive != 65 {
			t.Errorf("census of %s %+v, want 1 of 65 overdue", domain, c)
		}
	}
	for _, name := range late.names[:50] {
		if err := b.e.Delete(t.Context(), b.now, member, []string{name}); err != nil {
			t.Fatal(err)
		}
	}
	if c := b.e.Census(AllProjects, b.now); c.Overdue != 1 || c.Alive != 15 {
		t.Errorf("census %+v, want 1 of the 15 that are left", c)
	}
}
