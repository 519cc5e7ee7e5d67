package services

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// callLimit bounds one call: systemd queues what takes time and answers.
const callLimit = 30 * time.Second

// A bus is systemd over D-Bus, org.freedesktop.systemd1(5). What systemd
// itself leaves to programs is left to them here too: the journal, and the
// links of System V scripts.
type bus struct {
	*sys.System
	conn *dbus.Conn
	ctl  systemctl
}

// openBus connects to the system bus or, for root and when there is no bus,
// to systemd's own socket.
func openBus(ctx context.Context, s *sys.System) (*bus, error) {
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return &bus{System: s, conn: conn, ctl: systemctl{System: s}}, nil
}

func (b *bus) close() { b.conn.Close() }

func (b *bus) unit(name string) string { return unitName(name) }

func (b *bus) status(ctx context.Context, unit string) (status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, errNoAnswer)
	defer cancel()
	props, err := b.conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return status{}, err
	}
	st := parseStatus(unit, func(name string) string { return propertyText(props[name]) })
	if sysvScript(props["SourcePath"]) {
		// systemctl asks chkconfig or update-rc.d about these; systemd cannot.
		if word, err := b.ctl.isEnabled(ctx, unit); err == nil {
			st.enabled = word
		}
	}
	return st, nil
}

func sysvScript(source any) bool {
	p, _ := source.(string)
	return path.Base(path.Dir(p)) == "init.d"
}

// propertyText is a property as "systemctl show" prints it.
func propertyText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any: // a job: its number and its path
		if len(v) > 0 {
			return fmt.Sprint(v[0])
		}
		return ""
	}
	return fmt.Sprint(v)
}

// parseStatus reads the properties that "systemctl show" prints and D-Bus
// gives. A property that an old systemd lacks is empty.
func parseStatus(unit string, property func(string) string) status {
	restarts, _ := strconv.Atoi(property("NRestarts"))
	load := property("LoadState")
	st := status{
		known:    load != "not-found" && load != "",
		masked:   load == "masked",
		active:   property("ActiveState"),
		sub:      property("SubState"),
		enabled:  property("UnitFileState"),
		result:   property("Result"),
		reloaded: property("ReloadResult"),
		restarts: restarts,
		oneshot:  property("Type") == "oneshot",
		working:  property("Job") != "" && property("Job") != "0",
		stale:    property("NeedDaemonReload") == "yes",
	}
	st.skipped = st.active == "inactive" && (property("ConditionResult") == "no" || property("AssertResult") == "no") &&
		property("ConditionTimestampMonotonic") != "0"
	if id := property("Id"); id != unit {
		st.id = id
		if st.enabled != "enabled" {
			st.enabled = "alias"
		}
	}
	return st
}

// enable changes the links of a unit and has systemd read them, as
// "systemctl enable" does.
func (b *bus) enable(ctx context.Context, unit string, on bool) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, errNoAnswer)
	defer cancel()
	source, err := b.conn.GetUnitPropertyContext(ctx, unit, "SourcePath")
	if err == nil && sysvScript(source.Value.Value()) {
		return b.ctl.enable(ctx, unit, on)
	}
	changes := 0
	if on {
		_, links, err := b.conn.EnableUnitFilesContext(ctx, []string{unit}, false, false)
		if err != nil {
			return false, err
		}
		changes = len(links)
	} else {
		for _, runtime := range []bool{false, true} {
			links, err := b.conn.DisableUnitFilesContext(ctx, []string{unit}, runtime)
			if err != nil {
				return false, err
			}
			changes += len(links)
		}
	}
	if changes == 0 {
		return false, nil
	}
	return true, b.conn.ReloadContext(ctx)
}

func (b *bus) do(ctx context.Context, unit string, v verb) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, errNoAnswer)
	defer cancel()
	call, ok := map[verb]func(context.Context, string, string, chan<- string) (int, error){
		start:           b.conn.StartUnitContext,
		stop:            b.conn.StopUnitContext,
		restart:         b.conn.RestartUnitContext,
		reloadOrRestart: b.conn.ReloadOrRestartUnitContext,
	}[v]
	if !ok {
		return errors.New("unknown verb")
	}
	if v != stop {
		// A unit that failed too often may not start before this.
		_ = b.conn.ResetFailedUnitContext(ctx, unit)
	}
	_, err := call(ctx, unit, "replace", nil)
	return err
}

func (b *bus) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	return b.conn.ReloadContext(ctx)
}

func (b *bus) names(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, errNoAnswer)
	defer cancel()
	files, err := b.conn.ListUnitFilesContext(ctx)
	var names []string
	for _, f := range files {
		names = append(names, path.Base(f.Path))
	}
	slices.Sort(names)
	return names, err
}

func (b *bus) log(ctx context.Context, unit string) string { return b.ctl.log(ctx, unit) }

// journal is the end of what a unit wrote to the journal. What it wrote last
// may be on its way there yet.
func journal(ctx context.Context, s *sys.System, unit string) string {
	env := s.With("LC_ALL=C")
	_, _ = s.Run(ctx, sys.Cmd{Args: []string{"journalctl", "--sync"}, Env: env, Timeout: 10 * time.Second})
	res, err := s.Run(ctx, sys.Cmd{
		Args: []string{"journalctl", "-u", unit, "-n", "20", "--no-pager", "-q", "-o", "cat"}, Env: env, Timeout: callLimit,
	})
	if err != nil || res.Status != 0 {
		return ""
	}
	return strings.ToValidUTF8(string(res.Stdout), "\uFFFD")
}
