package sys

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An Account is what a process needs to run as a user.
type Account struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32 // all of them, the primary one included
}

// Dir is the directory that a process of the account starts in: its home, if
// there is one that it may enter, else /.
func (a Account) Dir() string {
	info, err := os.Stat(a.Home)
	if err != nil || !info.IsDir() {
		return "/"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && (a.UID == 0 || st.Uid == a.UID && st.Mode&0o100 != 0 || st.Uid != a.UID && st.Mode&0o001 != 0) {
		return a.Home
	}
	return "/"
}

// Environ is an environment with the variables that tell a process whose it
// is, as cron(8) and su(1) set them.
func (a Account) Environ(base []string) []string {
	own := []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell}
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(o, name+"=") })
	})
	return append(env, own...)
}

// UnknownAccountError says that there is no user or group of the name.
type UnknownAccountError struct{ Kind, Name string }

// Error names the kind and the name.
func (e *UnknownAccountError) Error() string { return fmt.Sprintf("unknown %s %q", e.Kind, e.Name) }

// UID returns the number of a user, given by name or number. A static binary
// sees only /etc/passwd, so getent is asked for a name that is not there.
func (s *System) UID(ctx context.Context, name string) (int, error) {
	fields, err := s.entry(ctx, "passwd", "user", name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(fields[2])
}

// GID returns the number of a group, given by name or number.
func (s *System) GID(ctx context.Context, name string) (int, error) {
	fields, err := s.entry(ctx, "group", "group", name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(fields[2])
}

// Passwd returns the fields of a user's line in passwd(5), Group those of a
// group's line in group(5); the error is an *UnknownAccountError when there
// is none.
func (s *System) Passwd(ctx context.Context, name string) ([]string, error) {
	return s.named(ctx, "passwd", "user", name)
}

// Group is described at Passwd.
func (s *System) Group(ctx context.Context, name string) ([]string, error) {
	return s.named(ctx, "group", "group", name)
}

// entry is named, but takes a number for itself when no account has it as its
// name.
func (s *System) entry(ctx context.Context, database, kind, name string) ([]string, error) {
	fields, err := s.named(ctx, database, kind, name)
	if err == nil {
		return fields, nil
	}
	if n, numErr := strconv.ParseUint(name, 10, 32); numErr == nil && n < 1<<32-1 {
		return []string{name, "x", name}, nil
	}
	return nil, err
}

func (s *System) named(ctx context.Context, database, kind, name string) ([]string, error) {
	if data, err := s.accounts.read(s.Path("/etc/" + database)); err == nil {
		if fields := findEntry(data, name); fields != nil {
			return fields, nil
		}
	}
	if s.Real() {
		res, err := s.Run(ctx, Cmd{Args: []string{"getent", database, name}, Env: s.Environ, Timeout: lookupLimit})
		if err == nil && res.Status == 0 {
			if fields := findEntry(res.Stdout, name); fields != nil {
				return fields, nil
			}
		}
	}
	return nil, &UnknownAccountError{kind, name}
}

// accountFiles keeps what passwd and group held when they were last read: a
// config of a thousand files asks two thousand times.
type accountFiles map[string]accountFile

type accountFile struct {
	info os.FileInfo
	data []byte
}

// read returns a file's content, read again when the file is another one: the
// tools that make accounts replace it.
func (a *accountFiles) read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if old, ok := (*a)[path]; ok && os.SameFile(old.info, info) && old.info.Size() == info.Size() && old.info.ModTime().Equal(info.ModTime()) {
		return old.data, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if *a == nil {
		*a = accountFiles{}
	}
	(*a)[path] = accountFile{info, data}
	return data, nil
}

// findEntry returns the fields of the line that begins with a name.
func findEntry(data []byte, name string) []string {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if fields[0] != name || len(fields) < 3 {
			continue
		}
		if _, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return fields
		}
	}
	return nil
}

// Account is what a process needs to run as a user, by name, but for the
// groups. It starts no process for users of /etc/passwd.
func (s *System) Account(ctx context.Context, name string) (Account, error) {
	fields, err := s.Passwd(ctx, name)
	if err != nil {
		return Account{}, err
	}
	return account(fields)
}

// account reads the fields of a line of passwd(5).
func account(fields []string) (Account, error) {
	if len(fields) < 7 {
		return Account{}, &UnknownAccountError{"user", strings.Join(fields, ":")}
	}
	uid, err1 := strconv.ParseUint(fields[2], 10, 32)
	gid, err2 := strconv.ParseUint(fields[3], 10, 32)
	if err1 != nil || err2 != nil {
		return Account{}, &UnknownAccountError{"user", fields[0]}
	}
	return Account{Name: fields[0], Home: fields[5], Shell: fields[6], UID: uint32(uid), GID: uint32(gid)}, nil
}

// lookupLimit is how long a directory of users that does not answer is waited
// for.
const lookupLimit = 30 * time.Second

// LookupUser returns the account of a user of the running machine, by name or
// number, with all its groups, as initgroups(3) would set them.
func LookupUser(ctx context.Context, name string) (Account, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupLimit, fmt.Errorf("no answer within %v", lookupLimit))
	defer cancel()
	fields, err := getent(ctx, "passwd", name)
	if ctx.Err() != nil {
		return Account{}, fmt.Errorf("look up user %s: %w", name, context.Cause(ctx))
	}
	if err != nil {
		return Account{}, &UnknownAccountError{"user", name}
	}
	a, err := account(fields)
	if err != nil {
		return Account{}, &UnknownAccountError{"user", name}
	}
	a.Groups = []uint32{a.GID}
	out, err := exec.CommandContext(ctx, "id", "-G", a.Name).Output()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Account{}, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, g := range strings.Fields(string(out)) {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil && uint32(n) != a.GID {
			a.Groups = append(a.Groups, uint32(n))
		}
	}
	return a, nil
}

func getent(ctx context.Context, database, name string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "getent", database, name).Output()
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(out)), ":"), nil
}
