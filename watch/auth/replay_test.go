package auth

import (
	"testing"
	"time"
)

func TestReplayRemembersAsLongAsASignatureIsGood(t *testing.T) {
	p := replay{limit: replayLimit}
	p.claim(1, start)
	for after, want := range map[time.Duration]bool{0: true, MaxSkew: true, 2*MaxSkew - time.Second: true, 2*MaxSkew + 15*time.Minute: false} {
		p := replay{limit: replayLimit}
		p.claim(1, start)
		for at := 7 * time.Second; at < after; at += 7 * time.Second {
			p.claim(uint64(at), start.Add(at))
		}
		if got := p.claim(1, start.Add(after)); got != want {
			t.Errorf("known after %v: %v, want %v", after, got, want)
		}
	}
}

func TestReplayIsBounded(t *testing.T) {
	const limit = 4000
	p := replay{limit: limit}
	for i := range uint64(10 * limit) {
		if p.claim(i, start) {
			t.Fatalf("%d known before it came", i)
		}
		held := 0
		for _, g := range p.generations {
			held += len(g)
		}
		if held > limit {
			t.Fatalf("%d hashes held, want at most %d", held, limit)
		}
	}
	// At least three of four generations are full.
	for i := uint64(10*limit - limit*3/4); i < 10*limit; i++ {
		if !p.claim(i, start) {
			t.Fatalf("%d forgotten, one of the newest %d", i, limit*3/4)
		}
	}
}

// A wall clock that is set back must not make a generation last for ever.
func TestReplayClockSetBack(t *testing.T) {
	p := replay{limit: replayLimit}
	p.claim(1, start.Add(24*time.Hour))
	p.claim(2, start)
	if !p.since.Equal(start) {
		t.Errorf("the newest generation began at %v, want %v", p.since, start)
	}
	if !p.claim(1, start) {
		t.Error("forgotten when the clock was set back")
	}
}
