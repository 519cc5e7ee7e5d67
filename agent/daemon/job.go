package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A worker runs one job.
type worker struct {
	*Daemon
	config Job

	mu   sync.Mutex // guards what follows
	last run
}

// A run is how a run of a job went.
type run struct {
	began, ended time.Time
	err          error
}

func (w *worker) run(ctx context.Context) {
	w.mu.Lock()
	w.last = run{began: time.Now()}
	w.mu.Unlock()
	err := w.command(ctx)
	if err != nil {
		err = errors.New(w.Mask(err.Error()))
		if ctx.Err() == nil {
			w.System.Log.Error("job failed", "name", w.config.Name, "err", err)
		}
	}
	w.mu.Lock()
	w.last.ended, w.last.err = time.Now(), err
	w.mu.Unlock()
}

// atReboot is run for a job that is run once for each boot.
func (w *worker) atReboot(ctx context.Context) {
	fresh, err := w.firstOfBoot(w.config.Name)
	if err != nil {
		w.System.Log.Warn("it is not kept that the job was run for this boot", "name", w.config.Name, "err", err)
	}
	if fresh {
		w.run(ctx)
	}
}

// command runs the command as its user, in the user's home, with the
// variables that cron(8) sets.
func (w *worker) command(ctx context.Context) error {
	cmd := sys.Cmd{Shell: w.config.Command, Dir: "/", Timeout: w.config.Timeout, Merge: true, Env: w.System.Environ}
	if w.config.User != "" {
		// Commands run on the running machine, whatever the root.
		machine := &sys.System{Run: w.System.Run, Environ: w.System.Environ}
		account, err := machine.Account(ctx, w.config.User)
		if err != nil {
			return err
		}
		// To run as oneself needs no switching, for which one must be root.
		if os.Geteuid() != int(account.UID) {
			cmd.User = w.config.User
		}
		cmd.Env, cmd.Dir = account.Environ(cmd.Env), account.Dir()
	}
	output, flush := w.Output()
	defer flush()
	cmd.Output = output
	res, err := w.System.Run(ctx, cmd)
	return res.Check("its command", err)
}

// Files that tell boots apart, and what was run for this one.
const (
	bootFile   = "/proc/sys/kernel/random/boot_id"
	rebootFile = "/run/cfn-agent/reboot.json"
)

// booted is what was run for a boot.
type booted struct {
	BootID string   `json:"boot_id"`
	Jobs   []string `json:"jobs"`
}

// bootID is the id of this boot; empty: it is not known.
func (d *Daemon) bootID() string {
	data, err := os.ReadFile(d.System.Path(bootFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// firstOfBoot says whether a job was not run yet for this boot, and keeps that
// it was from now on.
func (d *Daemon) firstOfBoot(name string) (bool, error) {
	d.rebooting.Lock()
	defer d.rebooting.Unlock()
	path, id := d.System.Path(rebootFile), d.bootID()
	var b booted
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.System.Log.Warn("what was run for this boot cannot be read", "err", fmt.Errorf("read %s: %w", path, err))
	}
	if b.BootID != id {
		b = booted{BootID: id}
	}
	if slices.Contains(b.Jobs, name) {
		return false, nil
	}
	b.Jobs = append(b.Jobs, name)
	if data, err = json.Marshal(b); err != nil {
		return true, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return true, err
	}
	return true, atomicfile.Write(path, data, atomicfile.KeepOwner(0o600))
}
