package hup

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/hooks"
)

// A HookStatus is how it goes with a hook.
type HookStatus struct {
	Hook    string
	Text    string // in one line, secrets masked
	Failing bool
	Event   string    // that an action was last run for; empty: none yet
	At      time.Time // when that action ended
	Error   string    // how it failed, secrets masked; empty: it did not
	Next    time.Time // when a failed action is tried again; zero: it is not
}

// Status tells of hooks what the passes so far have left in the state file, or
// in memory.
func (m *Memory) Status(path string, list []hooks.Hook) ([]HookStatus, error) {
	st, err := m.load(path)
	if err != nil {
		return nil, err
	}
	var all []HookStatus
	for _, h := range list {
		s := st.Hooks[key(h)]
		status := HookStatus{Hook: h.Name, Failing: s.Error != "", Event: s.Trigger, At: s.Ran, Error: s.Error}
		if s.Failures > 0 && s.Failures < maxFailures {
			status.Next = s.Next
		}
		_, seen := st.Values[key(h)]
		switch {
		case s.Error != "" && s.Failures >= maxFailures:
			status.Text = fmt.Sprintf("failed %d times and is left until the value changes: %s", s.Failures, s.Error)
		case s.Failures > 0:
			status.Text = fmt.Sprintf("failed %d times, next try %s: %s", s.Failures, s.Next.Format(time.RFC3339), s.Error)
		case s.Error != "":
			status.Text = "failed at " + s.Ran.Format(time.RFC3339) + ": " + s.Error
		case !s.Ran.IsZero():
			status.Text = s.Trigger + " done at " + s.Ran.Format(time.RFC3339)
		case seen:
			status.Text = "no action yet"
		default:
			status.Text = "not looked at yet"
		}
		all = append(all, status)
	}
	return all, nil
}

// LeftAlone returns the services of resources, each as RESOURCE|SERVICE, that
// were started too often, and are left alone for now.
func (m *Memory) LeftAlone(path string, resources []string) ([]string, error) {
	st, err := m.load(path)
	var names []string
	for name, s := range st.Services {
		if of, _, _ := strings.Cut(name, serviceMark); s.Limited && slices.Contains(resources, of) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}
