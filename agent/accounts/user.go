package accounts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// ApplyUser makes a user that is not there, with a shell that lets nobody log
// in. A user that is there is added to those of its groups it is not in and is
// taken from none; a number or home other than the one asked for stays, and
// the outcome is degraded, as it is when a tool fails. In a dry run it is
// degraded when a group is neither there nor coming. The error is that of ctx.
func ApplyUser(ctx context.Context, s *sys.System, u metadata.User, coming Coming) (sys.Outcome, error) {
	out := sys.Outcome{Name: u.Name}
	err := checkName("user", u.Name)
	for _, g := range u.Groups {
		if err == nil {
			err = checkName("group", g)
		}
	}
	if err != nil {
		out.Degraded = err.Error()
		return out, nil
	}
	fields, err := s.Passwd(ctx, u.Name)
	switch {
	case err == nil:
		out, err := update(ctx, s, u, fields)
		return coming.check(ctx, s, u, out), err
	case !unknown(err):
		return out, err
	}
	out.Action = "create" + details(u)
	out = coming.check(ctx, s, u, out)
	return change(ctx, s, out, "useradd", createArgs(ctx, s, u))
}

// A Coming is what earlier items of a run make: of interest to a dry run,
// which makes nothing. The zero value is nothing.
type Coming struct {
	Groups   []string
	Packages bool // they may bring groups, nobody knows which
}

// check tells, in a dry run, of groups of a user that are not there.
func (c Coming) check(ctx context.Context, s *sys.System, u metadata.User, out sys.Outcome) sys.Outcome {
	if !s.DryRun {
		return out
	}
	var absent []string
	for _, g := range u.Groups {
		if _, err := s.GID(ctx, g); unknown(err) && !slices.Contains(c.Groups, g) {
			absent = append(absent, g)
		}
	}
	switch text := "there is no group " + strings.Join(absent, ", ") + " yet"; {
	case len(absent) == 0:
	case c.Packages:
		out.Action += " (" + text + ")"
	default:
		out.Degraded = join(out.Degraded, text+", and nothing here makes it: add it to the groups section")
	}
	return out
}

func createArgs(ctx context.Context, s *sys.System, u metadata.User) []string {
	var args []string
	if u.UID != "" {
		args = append(args, "--uid", u.UID)
	}
	// useradd makes a group of the user's name, and fails when there is one:
	// metadata commonly has both, the group with a number of its own.
	if _, err := s.Group(ctx, u.Name); err == nil {
		args = append(args, "--gid", u.Name)
	}
	if u.Home != "" {
		args = append(args, "--home-dir", u.Home)
	}
	if len(u.Groups) > 0 {
		args = append(args, "--groups", strings.Join(u.Groups, ","))
	}
	return append(args, "--shell", nologin(s), "--", u.Name)
}

// nologin is where the distribution has the shell that refuses a login.
func nologin(s *sys.System) string {
	const first = "/sbin/nologin"
	for _, path := range []string{first, "/usr/sbin/nologin"} {
		if _, err := os.Stat(s.Path(path)); err == nil {
			return path
		}
	}
	return first
}

func update(ctx context.Context, s *sys.System, u metadata.User, fields []string) (sys.Outcome, error) {
	out := sys.Outcome{Name: u.Name}
	var differs []string
	if u.UID != "" && !sameNumber(u.UID, fields[2]) {
		differs = append(differs, fmt.Sprintf("uid %s, not %s", fields[2], u.UID))
	}
	if u.Home != "" && len(fields) > 5 && filepath.Clean(u.Home) != filepath.Clean(fields[5]) {
		differs = append(differs, fmt.Sprintf("home %s, not %s", fields[5], u.Home))
	}
	if len(differs) > 0 {
		out.Degraded = fmt.Sprintf("user %s exists with %s: left as it is", u.Name, strings.Join(differs, " and "))
	}
	missing, err := missingGroups(ctx, s, u, fields)
	if err != nil || len(missing) == 0 {
		return out, err
	}
	out.Action = "add to groups " + strings.Join(missing, ", ")
	return change(ctx, s, out, "usermod", []string{"--append", "--groups", strings.Join(missing, ","), "--", u.Name})
}

// missingGroups returns the groups that the user is to be in and is not. One
// that does not exist is among them.
func missingGroups(ctx context.Context, s *sys.System, u metadata.User, fields []string) ([]string, error) {
	if len(u.Groups) == 0 {
		return nil, nil
	}
	in, err := currentGroups(ctx, s, u.Name)
	if err != nil {
		return nil, err
	}
	if len(fields) > 3 {
		in = append(in, fields[3])
	}
	var missing []string
	for _, g := range u.Groups {
		gid, err := s.GID(ctx, g)
		if err != nil && !unknown(err) {
			return nil, err
		}
		if err != nil || !slices.Contains(in, strconv.Itoa(gid)) {
			missing = append(missing, g)
		}
	}
	return missing, nil
}

// currentGroups returns the numbers of the supplementary groups of a user:
// from id(1), which sees those of a directory service too, else from the file.
func currentGroups(ctx context.Context, s *sys.System, user string) ([]string, error) {
	if s.Real() {
		res, err := s.Run(ctx, sys.Cmd{Args: []string{"id", "-G", "--", user}, Env: s.With("LC_ALL=C")})
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil && res.Status == 0 {
			return strings.Fields(string(res.Stdout)), nil
		}
	}
	data, err := os.ReadFile(s.Path("/etc/group"))
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", user, err)
	}
	var gids []string
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 && slices.Contains(strings.Split(f[3], ","), user) {
			gids = append(gids, f[2])
		}
	}
	return gids, nil
}

// details says what a new user is given.
func details(u metadata.User) string {
	var parts []string
	for _, p := range []struct{ what, value string }{
		{"uid", u.UID}, {"home", u.Home}, {"groups", strings.Join(u.Groups, ", ")},
	} {
		if p.value != "" {
			parts = append(parts, p.what+" "+p.value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}
