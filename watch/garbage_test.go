package watch

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestGarbageIsBoundedByWhatLives(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for _, c := range []struct {
		what  string
		lives int // MiB, never touched and so never taken
		busy  bool
		room  int // MiB
	}{
		{"small", 1, false, 32},
		{"small and busy", 1, true, 32},
		{"middling", 100, false, 32},
		{"large", 1000, false, 100},
		{"large and busy", 1000, true, 500},
	} {
		lives := make([]byte, c.lives<<20)
		runtime.GC()
		BoundMemory(c.busy)
		percent := debug.SetGCPercent(100)
		if room := max(4, c.lives) * percent / 100; room < c.room*3/4 || room > c.room*5/4 {
			t.Errorf("%s: %d MiB may be garbage beside %d, want about %d", c.what, room, c.lives, c.room)
		}
		runtime.KeepAlive(lives)
	}
}
