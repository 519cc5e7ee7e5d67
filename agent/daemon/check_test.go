package daemon

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/check"
)

// What follows from checks, one letter each: . passes, x fails, u cannot be
// made; and of the
// verdicts: . nothing, d down, r restart, g give up, R recovered.
func TestVerdicts(t *testing.T) {
	letters := map[verdict]string{fine: ".", down: "d", restart: "r", giveUp: "g", recovered: "R"}
	f := func(why string, k Check, checks, want string) {
		t.Helper()
		var c condition
		var got strings.Builder
		now := Instant{Wall: time.Unix(0, 0)}
		for _, letter := range checks {
			var err error
			switch letter {
			case 'x':
				err = errors.New("it does not answer")
			case 'u':
				err = &check.Error{Fault: check.Unable, Err: errors.New("too many open files")}
			}
			got.WriteString(letters[c.judge(k, now, err)])
			now.Up += 30 * time.Second
		}
		if got.String() != want {
			t.Errorf("%s: checks %s give %s, want %s", why, checks, got.String(), want)
		}
	}
	k := Check{Failures: 3, RestartLimit: 3, RestartWindow: 10 * time.Minute}
	f("without a unit to restart it is told of", k, "..xx.xxxxx..", ".......ddd"+"R.")
	k.Restart = "web"
	f("three failures in a row, and three more before the next restart", k, "xxxxxx.xxx", "..rddrR..r")
	f("after the limit it is left alone", k, "xxxxxxxxxxxxxxx", "..rddrddrddgddd")
	f("a pass clears it, though restarts of the window count", k, "xxxxxxxxxxxx.xxxx", "..rddrddrddgR..gd")
	f("restarts of long ago do not count", k, "xxxxxxxxxxxx"+strings.Repeat(".", 20)+"xxx", "..rddrddrddgR"+strings.Repeat(".", 19)+"..r")
	f("of a service that cannot be looked at nothing is known that a restart would mend", k, "uuuuuux.", "..ddddrR")
	k.Failures, k.RestartLimit = 1, 0
	f("a limit of none restarts nothing", k, ".xx", ".gd")
}

// A service that has not answered yet has not passed: its heartbeat waits.
func TestCheckPassesOnlyAfterItPassed(t *testing.T) {
	w := &watcher{config: Check{Failures: 3}}
	fails := errors.New("it does not answer")
	for i, step := range []struct {
		err  error
		want bool
	}{{fails, false}, {fails, false}, {nil, true}, {fails, true}, {fails, true}, {fails, false}, {fails, false}, {nil, true}} {
		w.state.judge(w.config, Instant{}, step.err)
		if got := w.passes(); got != step.want {
			t.Errorf("check %d: passes = %v, want %v", i, got, step.want)
		}
	}
}

// A certificate that was replaced in its file is trusted from the next reload
// on, also by checks that have not changed.
func TestReloadReadsAuthoritiesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[check web]\nprobe = exec:web\n")
		pools := []*x509.CertPool{x509.NewCertPool(), x509.NewCertPool()}
		read := 0
		g.d.Roots = func(Config) *x509.CertPool { read++; return pools[read-1] }
		g.daemon(0, func() {
			w := g.d.watchers["web"]
			g.d.Reload(t.Context())
			if again := g.d.watchers["web"]; again != w || again.authorities() != pools[1] {
				t.Errorf("the check is the same: %v, and trusts what was read again: %v", again == w, again.authorities() == pools[1])
			}
		})
	})
}
