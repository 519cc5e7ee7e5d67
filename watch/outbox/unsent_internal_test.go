package outbox

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
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
