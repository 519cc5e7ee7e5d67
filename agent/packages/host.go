package packages

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A host is the machine, with what the managers share.
type host struct {
	*sys.System
	client *fetch.Client
	tmp    string
}

// At boot the timers of a distribution update its lists and packages, so a
// lock is often held for a minute or two. lockLimit is how long it is waited
// for in all, lockPause how long between two tries.
const (
	lockLimit = 300 * time.Second
	lockPause = 3 * time.Second
)

// lockHeld finds the texts of apt, dpkg, rpm and yum when another process has
// the lock. Of apt, "Could not open lock file" is another matter: no
// permission.
var lockHeld = pattern.Lazy{Expr: `Could not get lock|is locked by another process|was locked by another process|` +
	`can't create transaction lock|another app is currently holding the yum lock; exiting`}

// query runs a tool whose output is parsed and which changes nothing.
func (h *host) query(ctx context.Context, args ...string) (sys.Result, error) {
	res, err := h.Run(ctx, sys.Cmd{Args: args, Env: h.With("LC_ALL=C")})
	h.Log.Debug("package database asked", "tool", args[0], "status", res.Status)
	return res, err
}

// change runs a tool that changes the machine. While another process has the
// lock, it waits and tries again; locked says so of a result whose text does
// not, and may be nil.
func (h *host) change(ctx context.Context, env []string, locked func(sys.Result) bool, args ...string) (sys.Result, error) {
	cmd := sys.Cmd{Args: args, Env: append(messagesInC(h.Environ), env...), Merge: true}
	for start := time.Now(); ; {
		res, err := h.Run(ctx, cmd)
		if err != nil {
			return res, err
		}
		if res.Status == 0 {
			h.Log.Debug("package manager run", "tool", args[0])
			return res, nil
		}
		held := lockHeld.Regexp().Match(res.Stdout) || locked != nil && locked(res)
		if !held || time.Since(start)+lockPause > lockLimit {
			h.Log.Warn("package manager failed", "tool", args[0], "status", res.Status,
				"output", h.Mask.String(tail(res.Stdout)))
			return res, nil
		}
		h.Log.Info("package manager locked by another process, waiting", "tool", args[0])
		select {
		case <-ctx.Done():
			return res, context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
}

// find returns the first of some programs that is installed.
func (h *host) find(tools ...string) (string, error) {
	for _, tool := range tools {
		if _, err := sys.LookPath(tool, h.Getenv("PATH"), ""); err == nil {
			return tool, nil
		}
	}
	return "", fmt.Errorf("%s is %w", tools[0], sys.ErrNotFound)
}

// checked is for a query that must succeed.
func checked(res sys.Result, err error, tool string) error {
	if errors.Is(err, sys.ErrNotFound) {
		return err
	}
	return res.Check(tool, err)
}

// messagesInC is an environment in which programs speak English and
// everything else is as it was: LC_ALL=C would go on to the scripts of
// packages, and a database that such a script makes would be in ASCII.
func messagesInC(env []string) []string {
	all := ""
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "LC_ALL="); ok {
			all = value
		}
	}
	var out []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case name == "LC_ALL", name == "LC_MESSAGES", name == "LANGUAGE":
		case all != "" && (name == "LANG" || strings.HasPrefix(name, "LC_")):
		default:
			out = append(out, v)
		}
	}
	if all != "" {
		out = append(out, "LANG="+all)
	}
	return append(out, "LC_MESSAGES=C")
}
