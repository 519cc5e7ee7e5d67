package services

import (
	"context"
	"errors"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// ErrNothingRuns says that services can only be enabled here: the machine is
// an image, or not one that its service manager runs.
var ErrNothingRuns = errors.New("no service can run here")

// Running says whether a service of a manager runs, or is on its way up, and
// changes nothing. One that ends by design and ended well counts as running;
// one that systemd tries again and again to start does not, nor one that does
// not exist. The error is ErrNothingRuns, or says that the manager is not
// known or does not answer: then nothing is known of the service.
func Running(ctx context.Context, s *sys.System, manager, name string) (bool, error) {
	if !s.Real() {
		return false, ErrNothingRuns
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, errNoAnswer)
	defer cancel()
	m, err := open(ctx, s, manager, name)
	if err != nil {
		return false, err
	}
	defer m.close()
	st, err := m.status(ctx, m.unit(name))
	switch {
	case err != nil:
		return false, err
	case st.offline:
		return false, ErrNothingRuns
	}
	return st.well(), nil
}

// well says that nothing needs to start the unit.
func (s status) well() bool {
	return s.running() || s.rising() || s.known && s.oneshot && s.active == "inactive" && s.result == "success"
}
