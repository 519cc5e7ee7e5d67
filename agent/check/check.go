// Package check tells whether a service answers, not only whether it exists:
// over HTTP, over TCP, by a command, by systemd's word, by a process of a
// name. What it finds wrong it tells apart, so that an operator knows where to
// look. It looks once: counting failures and restarting is for others.
package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// DefaultTimeout is how long a probe without a time-out of its own may take.
const DefaultTimeout = 5 * time.Second

// A Fault is what kind of thing is wrong.
type Fault string

// The faults of a service.
const (
	Absent      Fault = "absent"          // there is no such process or unit
	Down        Fault = "down"            // systemd does not have the unit running
	Closed      Fault = "closed"          // nobody listens, or the host is not there
	Unreachable Fault = "unreachable"     // no connection within the time-out
	Silent      Fault = "silent"          // a connection, and no byte within the time-out
	Slow        Fault = "slow"            // an answer that was not complete within the time-out
	Broken      Fault = "broken"          // the connection was closed, or what came is not the protocol
	Status      Fault = "status"          // another HTTP or exit status than that of success
	Unexpected  Fault = "unexpected"      // the text that must come back did not
	Certificate Fault = "bad certificate" // it is not valid for the name, the time or the authorities
	Unable      Fault = "unable"          // the probe itself could not be made
)

// An Error is what a probe found wrong.
type Error struct {
	Probe Probe
	Fault Fault
	Err   error
}

// Error is one line: the probe, and what is wrong.
func (e *Error) Error() string { return fmt.Sprintf("%v: %v", e.Probe, e.Err) }

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// A Checker makes probes. System must be set: its Root is where processes are
// looked for, its Run starts commands, and its Mask hides what they print.
type Checker struct {
	System *sys.System
	Roots  *x509.CertPool // authorities of an HTTPS service; nil: those of the system
}

// Check makes one probe, within the probe's time-out. It returns nil when the
// service answers as it should, else an *Error. A ctx that ends first counts
// as its time-out.
func (c *Checker) Check(ctx context.Context, p Probe) error {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p.Timeout = timeout
	var err error
	switch p.kind {
	case kindHTTP:
		err = c.http(ctx, p)
	case kindTCP:
		err = c.tcp(ctx, p)
	case kindExec:
		err = c.exec(ctx, p)
	case kindUnit:
		err = c.unit(ctx, p)
	case kindProcess:
		err = c.process(p)
	default:
		err = fault(Unable, errors.New("there is nothing to probe"))
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Probe = p
	}
	return err
}

// All makes probes at the same time and returns what each found, in order:
// nil for those that pass.
func (c *Checker) All(ctx context.Context, probes []Probe) []error {
	errs := make([]error, len(probes))
	var group sync.WaitGroup
	for i, p := range probes {
		group.Go(func() { errs[i] = c.Check(ctx, p) })
	}
	group.Wait()
	return errs
}

// fault is an Error whose probe Check fills in.
func fault(f Fault, err error) error { return &Error{Fault: f, Err: err} }

func faultf(f Fault, format string, args ...any) error { return fault(f, fmt.Errorf(format, args...)) }
