package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A Command is what cfnwatch:exec:<name> runs.
type Command struct {
	Argv         []string
	User         string        // to run as; empty: the server's own
	Timeout      time.Duration // after which its process group is ended
	RetryUnknown bool          // run it again where nobody can tell whether it ran
}

// Commands run what the configuration names. Before a command runs a file
// named by the row's key says so, and its result comes to it after: so that a
// server that died in between knows whether it may run.
type Commands struct {
	ByName map[string]Command
	Dir    string     // of those files; its parent is there
	Run    sys.Runner // nil: sys.Exec

	making sync.Mutex
	safe   bool // Dir's own name is on the disk
}

// keptOutput is how much of what a command writes is kept, the last of it.
const keptOutput = 4 << 10

// A mark is what the file of a row holds, and then the row's baseline.
type mark struct {
	Key     string
	Started time.Time
	Ended   time.Time `json:",omitzero"`
	Status  int       // exit status; 128 + the signal
	Failure string    `json:",omitempty"` // why there is no status
	Cut     bool      `json:",omitempty"` // the server stopped before it had ended
	Output  string    `json:",omitempty"`
}

// Look reads the mark: without one the command has not run.
func (c *Commands) Look(_ context.Context, r Row) (Sight, error) {
	command, err := c.command(r)
	if err != nil {
		return Sight{Verdict: Drop, Text: err.Error()}, nil
	}
	data, err := os.ReadFile(c.path(r))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Sight{}, nil
	case err != nil:
		return Sight{}, err
	}
	var m mark
	if err := json.Unmarshal(data, &m); err != nil || m.Key != r.Key {
		return Sight{Verdict: Lost, Text: "its mark " + c.path(r) + " cannot be read"}, nil
	}
	switch {
	case !m.Ended.IsZero() && !m.Cut:
		return Sight{Verdict: Already, Baseline: data, Text: "it has run"}, nil
	case command.RetryUnknown:
		return Sight{Text: "it broke off, and is run again as retry_unknown has it"}, nil
	}
	return Sight{Verdict: Lost, Text: "it was begun, and nobody can tell whether it did its work"}, nil
}

// Act runs the command.
func (c *Commands) Act(ctx context.Context, r Row) (Answer, error) {
	command, err := c.command(r)
	if err != nil {
		return Answer{}, err
	}
	account, err := SwitchTo(command.User)
	if err != nil {
		return Answer{}, err
	}
	m := mark{Key: r.Key, Started: time.Now()}
	if err := c.write(r, m); err != nil {
		return Answer{}, &Failure{Err: err, Fate: Again} // it has not run
	}
	run := c.Run
	if run == nil {
		run = sys.Exec
	}
	res, err := run(ctx, sys.Cmd{
		Args: command.Argv, Dir: "/", User: account, Env: environment(r), Timeout: command.Timeout, Merge: true,
	})
	m.Ended, m.Status, m.Output = time.Now(), res.Status, lastOf(res.Stdout)
	if err != nil {
		m.Failure = err.Error()
		m.Cut = ctx.Err() != nil
	}
	return c.result(r, m)
}

// result is the answer of a command that has ended. The mark matters only if
// the answer is never written: that it cannot be is no failure of the command.
func (c *Commands) result(r Row, m mark) (Answer, error) {
	a := Answer{Text: "it has run"}
	if err := c.write(r, m); err != nil {
		a.Text += " (" + err.Error() + ")"
	}
	data, err := json.Marshal(m)
	if err != nil {
		return a, err
	}
	a.Baseline = data
	if m.Cut {
		return a, &Failure{Err: fmt.Errorf("ended before it was through: %s", m.Failure), Fate: Unsure}
	}
	return a, nil
}

// Verify judges the result, after which the mark says nothing new.
func (c *Commands) Verify(_ context.Context, r Row) (Sight, error) {
	var m mark
	if err := json.Unmarshal(r.Baseline, &m); err != nil {
		return Sight{Verdict: Lost, Text: "its result cannot be read"}, nil
	}
	if err := os.Remove(c.path(r)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Sight{}, err
	}
	took := m.Ended.Sub(m.Started).Round(time.Millisecond)
	switch {
	case m.Failure != "":
		return Sight{Verdict: Spoiled, Text: m.Failure}, nil
	case m.Status != 0:
		return Sight{Verdict: Spoiled, Text: fmt.Sprintf("exit status %d after %s", m.Status, took)}, nil
	}
	return Sight{Text: fmt.Sprintf("exit status 0 after %s", took)}, nil
}

func (c *Commands) command(r Row) (Command, error) {
	n, err := ParseName(r.Action)
	if err != nil {
		return Command{}, err
	}
	command, ok := c.ByName[n.Argument]
	if !ok {
		return Command{}, fmt.Errorf("there is no section [exec %s]", n.Argument)
	}
	return command, nil
}

// path is where a row's mark is. A key may be of any length and character.
func (c *Commands) path(r Row) string {
	sum := sha256.Sum256([]byte(r.Key))
	return filepath.Join(c.Dir, hex.EncodeToString(sum[:16]))
}

func (c *Commands) write(r Row, m mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := c.makeDir(); err != nil {
		return err
	}
	return atomicfile.Write(c.path(r), data, atomicfile.KeepOwner(0o600))
}

// makeDir makes the directory of marks. Its name must outlive a power cut as
// they do: without a mark a command that has run would run again.
func (c *Commands) makeDir() error {
	c.making.Lock()
	defer c.making.Unlock()
	err := os.Mkdir(c.Dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist) && c.safe:
		return nil
	case err != nil && !errors.Is(err, fs.ErrExist):
		return err
	}
	if err := atomicfile.SyncDir(filepath.Dir(c.Dir)); err != nil {
		return err
	}
	c.safe = true
	return nil
}

// Forget removes marks from before a time whose rows have ended: that of a
// command that broke off says nothing new then. ended says whether the row of a
// key has; a mark that cannot be read stays.
func (c *Commands) Forget(before time.Time, ended func(key string) (bool, error)) error {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.ModTime().Before(before) {
			err = forget(filepath.Join(c.Dir, e.Name()), ended)
		}
		if !errors.Is(err, fs.ErrNotExist) { // a command that ended now
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func forget(path string, ended func(key string) (bool, error)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var m mark
	if json.Unmarshal(data, &m) != nil || m.Key == "" {
		return nil
	}
	if over, err := ended(m.Key); err != nil || !over {
		return err
	}
	return os.Remove(path)
}

// environment is all that a command gets of the server.
func environment(r Row) []string {
	vars := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8",
		"CFNWATCH_KEY=" + r.Key,
		"CFNWATCH_PROJECT=" + r.Project,
		"CFNWATCH_ALARM=" + r.Alarm,
		"CFNWATCH_STATE=" + string(r.To),
		"CFNWATCH_PREVIOUS=" + string(r.From),
		"CFNWATCH_TARGET=" + strings.TrimPrefix(r.Object, "project/"+r.Project+"/"),
		"CFNWATCH_REASON=" + r.Transition.Reason,
		"CFNWATCH_AT=" + r.At.UTC().Format(time.RFC3339),
	}
	for i, v := range vars {
		vars[i] = strings.ReplaceAll(v, "\x00", "") // ends a variable
	}
	return vars
}

// SwitchTo is the account that a command of a user has to become: none where the
// process is it already, which it may stay without being root. It is an error
// where it may not.
func SwitchTo(name string) (string, error) {
	// The own user needs no switch, which root of a user namespace may not make.
	if own, err := user.Current(); err == nil && (own.Username == name || own.Uid == name) {
		return "", nil
	}
	if name == "" || os.Geteuid() == 0 {
		return name, nil
	}
	return "", fmt.Errorf("cannot run as %s: the server is not root", name)
}

// lastOf is the end of an output, as text that JSON can hold.
func lastOf(output []byte) string {
	if over := len(output) - keptOutput; over > 0 {
		output = output[over:]
	}
	return strings.ToValidUTF8(string(output), "\uFFFD")
}
