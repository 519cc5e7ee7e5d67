package outbox

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch"
)

// The history of a project is its own to read: the operator's resolver is not
// for it.
func TestErrorOfANameTellsNoResolver(t *testing.T) {
	for _, e := range []*net.DNSError{
		{Err: "no such host", Name: "hooks.example", Server: "10.0.0.53:53", IsNotFound: true},
		{Err: "read udp 10.0.0.7:41234->10.0.0.53:53: i/o timeout", Name: "hooks.example", Server: "10.0.0.53:53", IsTimeout: true},
	} {
		err := bare(&url.Error{Op: "Post", URL: "https://hooks.example/T0P", Err: &net.OpError{Op: "dial", Net: "tcp", Err: e}})
		if text := err.Error(); strings.Contains(text, "10.0.0.") || !strings.Contains(text, "hooks.example") {
			t.Errorf("%v becomes %q, want the name without who was asked", e, text)
		}
		if refused := errors.New("refused"); bare(&url.Error{Err: refused}) != refused {
			t.Error("another error is not as it was")
		}
	}
}

// A notice about a message that was a repeat is none: behind others it was put
// off until those of its alarm had ended, and a notice is of no alarm.
func TestNoticeOfARepeatIsNoRepeat(t *testing.T) {
	o := New(Options{Settings: Settings{Actions: map[Kind]Action{Notify: &Operator{}}}})
	r := Row{Key: "7.1.2.0.5", Wanted: watch.Wanted{Transition: watch.Transition{AlarmID: 7, Number: 2}, Repeat: 5, Action: "https://a.example"}, Status: GaveUp}
	told := o.tellOfEnd(r)
	if len(told) != 1 || told[0].Row.AlarmID != 0 || told[0].Row.Number != 0 || told[0].Row.Repeat != 0 {
		t.Errorf("told by %+v, want one row in no order", told)
	}
}
