package hup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
)

// An action is a run of the action of a hook.
type action struct {
	hook     hooks.Hook
	trigger  string
	old, now json.RawMessage // nil: no value
	extra    []string        // further variables
}

// maxVariable is how long a value in the environment may be. Linux takes at
// most 128 KiB in one string (MAX_ARG_STRLEN, execve(2)).
const maxVariable = 100 << 10

// act runs an action and waits for it. Its error is masked and names the hook.
func (r *run) act(ctx context.Context, a action) error {
	log := r.System.Log
	log.Info("hook fires", "hook", a.hook.Name, "trigger", a.trigger, "resource", a.hook.Target.Resource)
	err := r.perform(ctx, a)
	if err != nil {
		text := r.System.Mask.String(err.Error())
		if r.Hide != nil {
			text = r.Hide(text)
		}
		return errors.New("hook " + a.hook.Name + ": " + text)
	}
	log.Info("hook done", "hook", a.hook.Name, "trigger", a.trigger)
	return nil
}

func (r *run) perform(ctx context.Context, a action) error {
	cmd := sys.Cmd{Shell: a.hook.Action, Timeout: a.hook.Timeout, Merge: true}
	var account *sys.Account
	if a.hook.RunAs != "" {
		u, err := sys.LookupUser(ctx, a.hook.RunAs)
		if err != nil {
			return fmt.Errorf("runas: %w", err)
		}
		account, cmd.Dir = &u, u.Dir()
		// Only root may switch; to run as oneself needs no switching.
		if os.Geteuid() == 0 || int(u.UID) != os.Geteuid() {
			cmd.User = a.hook.RunAs
		}
	}
	files, err := r.writeValues(a, account)
	defer files.remove()
	if err != nil {
		return fmt.Errorf("write the values for the action: %w", err)
	}
	cmd.Env = a.environ(r.System.Environ, account, r.Config.Stack, files)
	if r.Output != nil {
		out := r.System.Mask.Writer(r.Output)
		defer out.Close()
		cmd.Output = quiet{out}
	}
	res, err := r.System.Run(ctx, cmd)
	return res.Check("its action", err)
}

// A quiet writer keeps a full disk under the log from ending the action.
type quiet struct{ w io.Writer }

func (q quiet) Write(p []byte) (int, error) {
	_, _ = q.w.Write(p)
	return len(p), nil
}

// values are the files with the values of an action.
type values struct{ dir, old, now string }

func (v values) remove() {
	if v.dir != "" {
		os.RemoveAll(v.dir)
	}
}

// writeValues gives the action its values as files, which the user it runs as
// can read and nobody else: of any length, where variables have a limit.
func (r *run) writeValues(a action, account *sys.Account) (v values, err error) {
	parent := r.System.Path(actionsDir)
	if err := r.System.MkdirAll(actionsDir); err != nil {
		return v, err
	}
	if err := os.Chmod(parent, 0o711); err != nil { // whatever the umask
		return v, err
	}
	if v.dir, err = os.MkdirTemp(parent, "action-"); err != nil {
		return v, err
	}
	for _, f := range []struct {
		path  *string
		name  string
		value json.RawMessage
	}{{&v.old, "old", a.old}, {&v.now, "new", a.now}} {
		if absent(f.value) {
			continue
		}
		*f.path = filepath.Join(v.dir, f.name)
		if err := os.WriteFile(*f.path, []byte(variable(f.value)), 0o600); err != nil {
			return v, err
		}
		if err := own(*f.path, account); err != nil {
			return v, err
		}
	}
	return v, own(v.dir, account)
}

func own(path string, account *sys.Account) error {
	if account == nil || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(account.UID), int(account.GID))
}

// ownVariables are those that only an action has: what an outer one left is
// not for this one.
var ownVariables = []string{
	"CFN_OLD_", "CFN_NEW_", "CFN_HOOK=", "CFN_TRIGGER=", "CFN_STACK=", "CFN_RESOURCE=", "CFN_SERVICE=", "CFN_SERVICE_RESULT=",
}

// environ is the environment of an action: that of this program, the values
// before and after as CFN_OLD_X and CFN_NEW_X, absent where there is none or
// it is too long, and in files whose paths are in CFN_OLD_X_FILE and
// CFN_NEW_X_FILE.
func (a action) environ(base []string, account *sys.Account, stack string, files values) []string {
	var replaced []string
	set := func(name, value string) { replaced = append(replaced, name+"="+value) }
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		return slices.ContainsFunc(ownVariables, func(prefix string) bool { return strings.HasPrefix(v, prefix) })
	})
	if account != nil {
		env = account.Environ(env)
	}
	set("CFN_HOOK", a.hook.Name)
	set("CFN_TRIGGER", a.trigger)
	set("CFN_STACK", stack)
	set("CFN_RESOURCE", a.hook.Target.Resource)
	for _, v := range []struct {
		name, file string
		value      json.RawMessage
	}{{"CFN_OLD_", files.old, a.old}, {"CFN_NEW_", files.now, a.now}} {
		if v.file == "" {
			continue
		}
		name := v.name + a.hook.Target.Part.String()
		set(name+"_FILE", v.file)
		if s := variable(v.value); len(s) <= maxVariable && !strings.ContainsRune(s, 0) {
			set(name, s)
		}
	}
	return append(append(env, replaced...), a.extra...)
}

// variable is a value as an action gets it: a string raw, anything else JSON.
func variable(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}
