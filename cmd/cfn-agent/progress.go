package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/agent"
)

// A progress tells of items as they are done: on a terminal of each that
// changed, and of the one at work; in a dry run of each that would change;
// elsewhere only what a person must know, since it ends up in the outputs of
// the stack. The log has all of it.
type progress struct {
	e        *env
	logs     *logs
	dryRun   bool
	strict   bool // what is degraded is what the program ends with
	terminal bool
}

const clearLine = "\r\x1b[K"

func (p *progress) item(item agent.Item, done bool, number, total int) {
	if !done {
		if p.terminal && !p.dryRun {
			fmt.Fprintf(p.e.stdout, "%s[%d/%d] %s", clearLine, number, total, p.logs.hide(item.Path))
		}
		return
	}
	if p.terminal && !p.dryRun {
		fmt.Fprint(p.e.stdout, clearLine)
	}
	switch {
	case item.Error != "":
		return // the program ends with it
	case item.Degraded != "" && !p.strict:
		p.logs.Warn("degraded: " + item.Path + ": " + item.Degraded)
	case item.Resumed:
		p.logs.Info("done before", "item", item.Path)
	case item.Skipped != "":
		p.logs.Info("skipped", "item", item.Path, "because", item.Skipped)
	case !item.Changed:
		p.logs.Debug("unchanged", "item", item.Path)
	}
	if p.dryRun && item.Skipped != "" {
		fmt.Fprintf(p.e.stdout, "%s: nothing: %s\n", item.Path, item.Skipped)
	}
	if !item.Changed || item.Resumed {
		return
	}
	if p.dryRun || p.terminal {
		fmt.Fprintln(p.e.stdout, p.logs.hide(item.Path+": "+item.Action))
	}
	if p.dryRun && item.Diff != "" {
		fmt.Fprintln(p.e.stdout, "    "+strings.ReplaceAll(strings.TrimRight(item.Diff, "\n"), "\n", "\n    "))
	}
	if !p.dryRun {
		p.logs.Info(item.Action, "item", item.Path)
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
