package services

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A systemctl is systemd by its command, systemctl(1): where D-Bus does not
// answer, and in a tree that is not running.
type systemctl struct {
	*sys.System
	offline bool // systemd does not run: there is only enabling
}

func (c *systemctl) close() {}

func (c *systemctl) unit(name string) string { return unitName(name) }

func (c *systemctl) run(ctx context.Context, args ...string) (sys.Result, error) {
	argv := []string{"systemctl", "--no-pager", "--no-ask-password"}
	if !c.Real() {
		argv = append(argv, "--root", c.Root)
	}
	return c.Run(ctx, sys.Cmd{Args: append(argv, args...), Env: c.With("LC_ALL=C")})
}

// shown are the properties that parseStatus reads.
const shown = "Id,LoadState,ActiveState,SubState,UnitFileState,Result,ReloadResult,NRestarts,Type,Job,NeedDaemonReload," +
	"ConditionResult,AssertResult,ConditionTimestampMonotonic"

func (c *systemctl) status(ctx context.Context, unit string) (status, error) {
	if c.offline {
		return c.offlineStatus(ctx, unit)
	}
	res, err := c.run(ctx, "show", "--property", shown, "--", unit)
	if err := res.Check("systemctl", err); err != nil {
		return status{}, err
	}
	props := map[string]string{}
	for line := range strings.Lines(string(res.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[name] = value
	}
	st := parseStatus(unit, func(name string) string { return props[name] })
	if st.enabled == "generated" || st.enabled == "" && st.known {
		if word, err := c.isEnabled(ctx, unit); err == nil {
			st.enabled = word
		}
	}
	return st, nil
}

func (c *systemctl) offlineStatus(ctx context.Context, unit string) (status, error) {
	word, err := c.isEnabled(ctx, unit)
	st := status{known: word != "not-found", enabled: word, offline: true, active: "inactive"}
	st.masked = word == "masked" || word == "masked-runtime"
	return st, err
}

// isEnabled is the one word that "systemctl is-enabled" prints, not-found
// when there is no such unit. Its status is not 0 for most of them.
func (c *systemctl) isEnabled(ctx context.Context, unit string) (string, error) {
	res, err := c.run(ctx, "is-enabled", "--", unit)
	if err != nil {
		return "", fmt.Errorf("systemctl: %w", err)
	}
	word := strings.TrimSpace(string(res.Stdout))
	switch {
	case word != "" && !strings.ContainsAny(word, " \n"):
		return word, nil
	case res.Status != 0 && strings.Contains(string(res.Stderr), "No such file"):
		return "not-found", nil // before systemd 253
	case res.Status == 0:
		return "", errors.New("systemctl is-enabled says nothing")
	}
	return "", res.Check("systemctl", nil)
}

func (c *systemctl) enable(ctx context.Context, unit string, on bool) (bool, error) {
	verb := "disable"
	if on {
		verb = "enable"
	}
	before, err := c.isEnabled(ctx, unit)
	if err != nil {
		return false, err
	}
	res, err := c.run(ctx, verb, "--", unit)
	if err := res.Check("systemctl", err); err != nil {
		return false, err
	}
	after, err := c.isEnabled(ctx, unit)
	return before != after || strings.Contains(string(res.Stderr), "symlink"), err
}

func (c *systemctl) do(ctx context.Context, unit string, v verb) error {
	if v != stop {
		// A unit that failed too often may not start before this.
		_, _ = c.run(ctx, "reset-failed", "--", unit)
	}
	// Not waited for: what becomes of the unit is looked at, for longer.
	res, err := c.run(ctx, "--no-block", string(v), "--", unit)
	return res.Check("systemctl", err)
}

func (c *systemctl) reload(ctx context.Context) error {
	if c.offline {
		return nil
	}
	res, err := c.run(ctx, "daemon-reload")
	return res.Check("systemctl", err)
}

func (c *systemctl) names(ctx context.Context) ([]string, error) {
	res, err := c.run(ctx, "list-unit-files", "--no-legend", "--full")
	var names []string
	for line := range strings.Lines(string(res.Stdout)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	return names, res.Check("systemctl", err)
}

func (c *systemctl) log(ctx context.Context, unit string) string {
	if c.offline {
		return ""
	}
	return journal(ctx, c.System, unit)
}
