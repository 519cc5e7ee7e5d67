package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// ReportVersion is the version of the form of a Report.
const ReportVersion = 1

// Outcomes of a whole run.
const (
	Success  = "success"
	Degraded = "degraded" // done, but for what the items say
	Failed   = "failed"
	Reboot   = "reboot" // goes on after a boot
)

// A Report is what a run did, for a program to read. It holds no content of
// files and no secret. Of a run that resumes another one the items are those
// of both, and Changed counts what this one changed: an item that has both
// "changed" and "resumed" was counted by the run that was cut short.
type Report struct {
	Version    int       `json:"version"`
	Outcome    string    `json:"outcome"`
	Error      string    `json:"error,omitempty"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Stack      string    `json:"stack,omitempty"`
	Resource   string    `json:"resource,omitempty"`
	Metadata   string    `json:"metadata"` // where it came from
	ConfigSets string    `json:"configsets,omitempty"`
	DryRun     bool      `json:"dry_run,omitempty"`
	Changed    int       `json:"changed"` // how many items, but for those with Resumed
	Degraded   int       `json:"degraded"`
	Items      []Item    `json:"items"`
}

// An Item is what became of one entry of a section.
type Item struct {
	Path     string   `json:"path"` // in the metadata
	Section  string   `json:"section"`
	Name     string   `json:"name"`
	Action   string   `json:"action,omitempty"`
	Changed  bool     `json:"changed"`
	Skipped  string   `json:"skipped,omitempty"`  // why nothing was done
	Degraded string   `json:"degraded,omitempty"` // what could not be done
	Error    string   `json:"error,omitempty"`    // what ended the run
	ExitCode *int     `json:"exit_code,omitempty"`
	Seconds  float64  `json:"seconds"`
	Restarts []string `json:"restarts,omitempty"` // services that its change restarted
	Resumed  bool     `json:"resumed,omitempty"`  // done by the run that this one resumes

	Diff    string `json:"-"` // what a dry run would change in a file
	trigger bool
	causes  []string
}

// Finish fills in what follows from the items and the error of the run.
func (r *Report) Finish(items []Item, err error, mask *sys.Mask) {
	r.Version, r.End, r.Items = ReportVersion, time.Now(), items
	if r.Items == nil {
		r.Items = []Item{}
	}
	for _, item := range items {
		if item.Changed && !item.Resumed {
			r.Changed++
		}
		if item.Degraded != "" {
			r.Degraded++
		}
	}
	switch {
	case errors.Is(err, commands.ErrReboot):
		r.Outcome = Reboot
	case err != nil:
		r.Outcome, r.Error = Failed, mask.String(err.Error())
	case r.Degraded > 0:
		r.Outcome = Degraded
	default:
		r.Outcome = Success
	}
}

// JSON is the report as it is written to a file.
func (r *Report) JSON() []byte {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil { // a Report has nothing that cannot be encoded
		return []byte("{}\n")
	}
	return append(b, '\n')
}

// Summary is the report in a few words: "12 items, 3 changed, 1 degraded".
func (r *Report) Summary() string {
	parts := []string{fmt.Sprintf("%d items", len(r.Items)), fmt.Sprintf("%d changed", r.Changed)}
	if r.DryRun {
		parts[1] = fmt.Sprintf("%d would change", r.Changed)
	}
	if len(r.Items) == 1 {
		parts[0] = "1 item"
	}
	if r.Degraded > 0 {
		parts = append(parts, fmt.Sprintf("%d degraded", r.Degraded))
	}
	return strings.Join(parts, ", ")
}

func (r *Run) items(s step, outcomes []sys.Outcome, start time.Time) []Item {
	var items []Item
	for _, o := range outcomes {
		item := Item{
			Path: s.path, Section: s.section, Name: o.Name,
			Action: o.Action, Changed: o.Changed, Skipped: o.Skipped,
			Degraded: r.System.Mask.String(o.Degraded), ExitCode: o.ExitCode,
			Seconds: time.Since(start).Seconds(), Diff: o.Diff,
			trigger: o.Trigger, causes: o.Causes,
		}
		if s.section == sectionPackages {
			item.Path = metadata.Path(s.config, s.section, s.manager, o.Name)
		}
		items = append(items, item)
	}
	return items
}

func (r *Run) failed(s step, err error, start time.Time) Item {
	item := Item{
		Path: s.path, Section: s.section, Name: s.name,
		Error: r.System.Mask.String(err.Error()), Seconds: time.Since(start).Seconds(),
	}
	if exit, ok := errors.AsType[*commands.FailedError](err); ok {
		item.ExitCode = &exit.Status
	}
	return item
}

// noteRestarts notes at the items of a config that made services restart
// which services they were.
func noteRestarts(items, done []Item) {
	for _, service := range done {
		if len(service.causes) == 0 {
			continue // or a run of many items would take the square of their number
		}
		for i := range items {
			item := &items[i]
			cause := fmt.Sprintf("%s %q", item.Section, item.Name)
			if item.trigger && slices.Contains(service.causes, cause) {
				item.Restarts = append(item.Restarts, service.Name)
			}
		}
	}
}
