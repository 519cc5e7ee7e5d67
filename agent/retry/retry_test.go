package retry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

// count runs a policy on a function that always gives err, in a bubble.
func count(t *testing.T, p Policy, err error) (tries int, took time.Duration, got error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got = p.Do(t.Context(), func(context.Context) error { tries++; return err })
		took = time.Since(start)
	})
	return tries, took, got
}

func TestZeroPolicyTriesOnce(t *testing.T) {
	tries, took, err := count(t, Policy{}, Temporary(errDown))
	if tries != 1 || took != 0 || err != errDown {
		t.Errorf("Policy{}.Do = %d tries in %v, %v, want 1 in 0s, %v", tries, took, err, errDown)
	}
}

func TestUnmarkedErrorEndsAtOnce(t *testing.T) {
	tries, _, err := count(t, Default(), errDown)
	if tries != 1 || err != errDown {
		t.Errorf("Do = %d tries, %v, want 1, %v", tries, err, errDown)
	}
}

func TestTriesAndWaitsAreBounded(t *testing.T) {
	// Bounds of the seven waits: 1+2+4+8+16+20+20 s.
	for range 20 {
		tries, took, err := count(t, Default(), Temporary(errDown))
		if tries != 8 || took > 71*time.Second || err != errDown {
			t.Fatalf("Do = %d tries in %v, %v, want 8 in at most 71s, %v", tries, took, err, errDown)
		}
	}
}

func TestJitterSpreadsTheWaits(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 10 {
		_, took, _ := count(t, Policy{First: time.Minute, Tries: 2}, Temporary(errDown))
		seen[took] = true
	}
	if len(seen) < 2 {
		t.Errorf("ten guests waited %v, want different waits", seen)
	}
}

func TestAfterIsTheLeastWait(t *testing.T) {
	tries, took, _ := count(t, Policy{First: time.Second, Tries: 2}, After(errDown, 30*time.Second))
	if tries != 2 || took < 30*time.Second || took > 31*time.Second {
		t.Errorf("Do = %d tries in %v, want 2 in 30s to 31s", tries, took)
	}
}

func TestWaitPastTotalIsNotBegun(t *testing.T) {
	tries, took, err := count(t, Default(), After(errDown, time.Hour))
	if tries != 1 || took != 0 || err != errDown {
		t.Errorf("Do = %d tries in %v, %v, want 1 in 0s, %v", tries, took, err, errDown)
	}
}

func TestTotalEndsATryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := Default().Do(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if took := time.Since(start); err == nil || took != 5*time.Minute {
			t.Errorf("Do = %v after %v, want an error after 5m", err, took)
		}
	})
}

func TestCancelledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		err := Policy{Tries: 2}.Do(ctx, func(context.Context) error { return After(errDown, time.Minute) })
		if !errors.Is(err, errDown) || !errors.Is(err, cause) {
			t.Errorf("Do = %v, want %v and %v", err, errDown, cause)
		}
	})
}

func TestSuccessAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Default().Do(t.Context(), func(context.Context) error {
			if tries++; tries < 3 {
				return Temporary(errDown)
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("Do = %v after %d tries, want nil after 3", err, tries)
		}
	})
}

func TestMarkingNilIsNil(t *testing.T) {
	if err := Temporary(nil); err != nil {
		t.Errorf("Temporary(nil) = %v, want nil", err)
	}
}

func TestTotalKeepsTheEarlierReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Default().Do(t.Context(), func(ctx context.Context) error {
			if tries++; tries == 1 {
				return Temporary(errDown)
			}
			<-ctx.Done()
			return Temporary(ctx.Err())
		})
		if !errors.Is(err, errDown) {
			t.Errorf("Do = %v, want it to name %v", err, errDown)
		}
	})
}

func TestWrappedMarkKeepsTheWords(t *testing.T) {
	wrapped := fmt.Errorf("dial: %w", Temporary(errDown))
	tries, _, err := count(t, Policy{Tries: 2}, wrapped)
	if tries != 2 || err.Error() != "dial: down" {
		t.Errorf("Do = %d tries, %q, want 2, %q", tries, err, "dial: down")
	}
}
