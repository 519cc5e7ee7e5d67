package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A manager is what starts and stops services on a machine. A unit is a
// service by the manager's own full name.
type manager interface {
	unit(name string) string
	status(ctx context.Context, unit string) (status, error)
	enable(ctx context.Context, unit string, on bool) (changed bool, err error)
	do(ctx context.Context, unit string, v verb) error
	reload(ctx context.Context) error // its own files
	names(ctx context.Context) ([]string, error)
	log(ctx context.Context, unit string) string // the end of what the unit wrote
	close()
}

// A verb is something to do to a unit, in the words of systemctl(1).
type verb string

const (
	start           verb = "start"
	stop            verb = "stop"
	restart         verb = "restart"
	reloadOrRestart verb = "reload-or-restart"
)

// A status is what a manager knows of a unit. The words are systemd's.
type status struct {
	id       string // another name than asked for: the one asked for is an alias
	known    bool   // there is such a unit
	masked   bool
	active   string // active, activating, deactivating, reloading, inactive, failed
	sub      string
	enabled  string // enabled, disabled, static, ...
	result   string // success, or why it is not running
	reloaded string // result of the last reload; empty: none
	restarts int    // by systemd itself since it was started
	oneshot  bool   // ends by design
	skipped  bool   // a condition of the unit kept it from starting
	working  bool   // a start or stop is under way
	stale    bool   // its files have changed since they were read
	offline  bool   // nothing runs here: there is only enabling
}

func (s status) running() bool {
	return s.active == "active" || s.active == "reloading"
}

// rising says that the unit is on its way up, though not on a further try. One
// that somebody restarts has first to go down.
func (s status) rising() bool {
	return s.active == "activating" && s.sub != "auto-restart" || s.working && (s.active == "inactive" || s.active == "deactivating")
}

// open returns the manager of the machine. The error says in a user's words
// why there is none.
func open(ctx context.Context, s *sys.System, name, service string) (manager, error) {
	switch name {
	case "systemd", "sysvinit":
	case "windows":
		return nil, errors.New(`the manager "windows" has no meaning on this machine: the service was skipped`)
	default:
		return nil, fmt.Errorf("the service manager %q is not known: use systemd or sysvinit", name)
	}
	_, err := sys.LookPath("systemctl", s.Getenv("PATH"), "")
	ctl := &systemctl{System: s}
	switch {
	case s.Real() && booted(s):
		bus, busErr := openBus(ctx, s)
		if busErr == nil {
			return bus, nil
		}
		s.Log.Debug("systemd does not answer on d-bus", "err", busErr)
		if err != nil {
			return nil, fmt.Errorf("systemd cannot be reached: %w", busErr)
		}
		return ctl, nil
	case s.Real() && (&sysvinit{System: s}).script(service) != "":
		return &sysvinit{System: s}, nil
	case err == nil:
		ctl.offline = true
		return ctl, nil
	case s.Real():
		return &sysvinit{System: s}, nil
	}
	return nil, fmt.Errorf("services below %s cannot be enabled: systemctl is not installed", s.Root)
}

// booted says that systemd runs the machine, as sd_booted(3) does.
func booted(s *sys.System) bool {
	info, err := os.Stat(s.Path("/run/systemd/system"))
	return err == nil && info.IsDir()
}

// unitName is the name of a unit: that of a service may leave out its suffix.
// heat-cfntools added .service to every name, so that foo.timer became
// foo.timer.service.
func unitName(name string) string {
	if hasUnitSuffix(name) {
		return name
	}
	return name + ".service"
}

// Same says whether two names are of the same service: the suffix .service may
// be left out.
func Same(a, b string) bool { return unitName(a) == unitName(b) }

// hasUnitSuffix knows the types of systemd.unit(5).
func hasUnitSuffix(name string) bool {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return false
	}
	switch name[i+1:] {
	case "service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope":
		return true
	}
	return false
}
