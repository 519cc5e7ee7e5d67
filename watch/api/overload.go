package api

import (
	"runtime"
	"time"
)

// patience is how long a request may wait to be handled. One that waits longer
// is refused: a queue makes the dead look alive and the living dead.
const patience = time.Second

// slots is how many requests are handled at once: what the processors can do,
// and some that wait for the store.
var slots = 8 * runtime.GOMAXPROCS(0)

// enter waits for a slot; leave gives it back.
func (h *Handler) enter() (leave func(), err error) {
	leave = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	case <-t.C:
		return nil, &Error{Status: 503, Code: "ServiceUnavailable", Message: "the server has too much to do: try again", RetryAfter: patience}
	}
}
