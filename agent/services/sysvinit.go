package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A sysvinit is System V init by its commands: service(8), or the script
// itself, and chkconfig(8) or update-rc.d(8).
type sysvinit struct {
	*sys.System
	written string // by the last verb
}

func (v *sysvinit) close() {}

// unit is the script's name: metadata may have that of a systemd service.
func (v *sysvinit) unit(name string) string { return strings.TrimSuffix(name, ".service") }

// script is where the script of a service is; empty: there is none.
func (v *sysvinit) script(name string) string {
	name = v.unit(name)
	if name == "" || strings.ContainsRune(name, '/') || name[0] == '.' || name[0] == '-' {
		return ""
	}
	for _, dir := range []string{"/etc/init.d", "/etc/rc.d/init.d"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(v.Path(path)); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// status knows of a script whether it says that it runs, by the exit status
// of its action "status" (Linux Standard Base, "Init Script Actions"), and
// whether it is started in one of the usual runlevels.
func (v *sysvinit) status(ctx context.Context, unit string) (status, error) {
	if v.script(unit) == "" {
		return status{}, nil
	}
	st := status{known: true, active: "inactive", enabled: "disabled"}
	if v.startedAtBoot(unit) {
		st.enabled = "enabled"
	}
	res, err := v.service(ctx, unit, "status")
	if err != nil {
		return st, err
	}
	if res.Status == 0 {
		st.active, st.sub = "active", "running"
	}
	return st, nil
}

// startedAtBoot looks for the links themselves: the tools of distributions
// answer differently, and about the present runlevel.
func (v *sysvinit) startedAtBoot(unit string) bool {
	return v.linked(unit, "S")
}

func (v *sysvinit) linked(unit, kind string) bool {
	for _, dir := range []string{"/etc/rc%c.d", "/etc/rc.d/rc%c.d"} {
		for _, level := range "2345" {
			links, _ := filepath.Glob(filepath.Join(v.Path(fmt.Sprintf(dir, level)), kind+"[0-9][0-9]*"))
			for _, link := range links {
				if filepath.Base(link)[3:] == unit {
					return true
				}
			}
		}
	}
	return false
}

func (v *sysvinit) service(ctx context.Context, unit, action string) (sys.Result, error) {
	env := v.With("LC_ALL=C")
	res, err := v.Run(ctx, sys.Cmd{Args: []string{"service", unit, action}, Env: env})
	if errors.Is(err, sys.ErrNotFound) {
		return v.Run(ctx, sys.Cmd{Args: []string{v.Path(v.script(unit)), action}, Env: env})
	}
	return res, err
}

func (v *sysvinit) do(ctx context.Context, unit string, w verb) error {
	action := string(w)
	if w == reloadOrRestart { // not every script can reload
		action = string(restart)
	}
	res, err := v.service(ctx, unit, action)
	v.written = strings.ToValidUTF8(string(res.Stdout)+string(res.Stderr), "\uFFFD")
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return fmt.Errorf("exit status %d", res.Status)
	}
	return nil
}

func (v *sysvinit) enable(ctx context.Context, unit string, on bool) (bool, error) {
	word := map[bool]string{true: "on", false: "off"}[on]
	err := v.tool(ctx, "chkconfig", unit, word)
	if !errors.Is(err, sys.ErrNotFound) {
		return err == nil, err
	}
	word = map[bool]string{true: "enable", false: "disable"}[on]
	err = nil
	if on && !v.linked(unit, "[SK]") {
		// update-rc.d enables only what has links already.
		err = v.tool(ctx, "update-rc.d", unit, "defaults")
	}
	if err == nil {
		err = v.tool(ctx, "update-rc.d", unit, word)
	}
	if errors.Is(err, sys.ErrNotFound) {
		return false, errors.New("neither chkconfig nor update-rc.d is installed")
	}
	return err == nil, err
}

func (v *sysvinit) tool(ctx context.Context, args ...string) error {
	res, err := v.Run(ctx, sys.Cmd{Args: args, Env: v.With("LC_ALL=C")})
	return res.Check(args[0], err)
}

func (v *sysvinit) reload(context.Context) error { return nil }

func (v *sysvinit) names(context.Context) ([]string, error) {
	var names []string
	for _, dir := range []string{"/etc/init.d", "/etc/rc.d/init.d"} {
		entries, _ := os.ReadDir(v.Path(dir))
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// log is the end of what the script wrote when it was last told something.
func (v *sysvinit) log(context.Context, string) string {
	lines := strings.Split(strings.TrimSpace(v.written), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
