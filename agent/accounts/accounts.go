// Package accounts makes the groups and users of a config, with the tools of
// the shadow suite (groupadd(8), useradd(8), usermod(8)).
//
// It only ever adds: an account that is there keeps its number, its home and
// the groups it is in. It sets no passwords, and no shell to log in with.
//
// The keys are those of "groups" and "users" in the AWS CloudFormation User
// Guide, AWS::CloudFormation::Init.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// ApplyGroup makes a group that is not there. One that is there stays as it
// is; when its number is not the one asked for the outcome is degraded, and
// so it is when the group cannot be made. The error is that of ctx.
func ApplyGroup(ctx context.Context, s *sys.System, g metadata.Group) (sys.Outcome, error) {
	out := sys.Outcome{Name: g.Name}
	if err := checkName("group", g.Name); err != nil {
		out.Degraded = err.Error()
		return out, nil
	}
	fields, err := s.Group(ctx, g.Name)
	switch {
	case err == nil:
		if g.GID != "" && !sameNumber(g.GID, fields[2]) {
			out.Degraded = fmt.Sprintf("group %s exists with gid %s, not %s: left as it is", g.Name, fields[2], g.GID)
		}
		return out, nil
	case !unknown(err):
		return out, err
	}
	var args []string
	out.Action = "create"
	if g.GID != "" {
		args = append(args, "--gid", g.GID)
		out.Action = "create with gid " + g.GID
	}
	return change(ctx, s, out, "groupadd", append(args, "--", g.Name))
}

// change runs a tool that changes an account, or in a dry run only says so.
func change(ctx context.Context, s *sys.System, out sys.Outcome, tool string, args []string) (sys.Outcome, error) {
	if !s.DryRun {
		err := run(ctx, s, tool, args)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if err != nil {
			out.Action = ""
			out.Degraded = join(out.Degraded, s.Mask.String(err.Error()))
			return out, nil
		}
	}
	out.Changed, out.Trigger = true, true
	return out, nil
}

func run(ctx context.Context, s *sys.System, tool string, args []string) error {
	argv := []string{tool}
	if !s.Real() {
		argv = append(argv, "--prefix", s.Root)
	}
	res, err := s.Run(ctx, sys.Cmd{Args: append(argv, args...), Env: s.With("LC_ALL=C")})
	if errors.Is(err, sys.ErrNotFound) {
		return err // it names the tool
	}
	return res.Check(tool, err)
}

// checkName refuses what would be an option to the tools, or more than one
// field or entry in their files. Whether the rest is a good name is for the
// distribution to say: its tools do.
func checkName(kind, name string) error {
	bad := func(r rune) bool { return strings.ContainsRune(":,/", r) || unicode.IsSpace(r) || unicode.IsControl(r) }
	if name == "" || name[0] == '-' || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%q cannot be the name of a %s", name, kind)
	}
	return nil
}

// sameNumber compares two decimal numbers, either of which may have leading
// zeros.
func sameNumber(a, b string) bool {
	trim := func(s string) string { return strings.TrimLeft(s, "0") }
	return trim(a) == trim(b)
}

func unknown(err error) bool {
	_, ok := errors.AsType[*sys.UnknownAccountError](err)
	return ok
}

func join(texts ...string) string {
	var said []string
	for _, t := range texts {
		if t != "" {
			said = append(said, t)
		}
	}
	return strings.Join(said, "; ")
}
