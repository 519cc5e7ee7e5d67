package rules

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/watch"
)

// A Case is a test of rules: what happens to a server that has these rules
// alone, and what it must have made of it. Each begins with a new server.
type Case struct {
	Name  string
	steps []step // by time
	at    place
}

// A step is one thing that happens, or that is wanted, at a time.
type step struct {
	after  time.Duration // since the server started, by a clock that nobody sets
	at     place
	push   *push
	want   *want
	server string        // restart, stop or continue
	clock  time.Duration // by which the wall clock is set
}

// A want is what an alarm must be.
type want struct {
	project, alarm string
	state          watch.State // empty: any
	actions        []string    // all that it wanted so far, in order
	checked        bool        // that actions were given
}

// Bounds of what a case may ask for: a server that runs a month in it takes
// some seconds.
const (
	longest    = 31 * 24 * time.Hour
	resolution = time.Second // of the server's ticks
)

// LoadCases reads files of tests of a set's rules, in YAML or JSON: a map of
// the names of cases to lists of steps. A step has at, the time since the
// server started, and one of
//
//	push:   {alarm or metric, namespace, dimensions, unit, project, stack, value, every, until}
//	want:   {alarm, project, state, actions}
//	server: restart, stop or continue
//	clock:  by how much the wall clock is set, such as +1h or -30s
//
// The error is a *Error with all mistakes, or that of a file that cannot be
// read.
func LoadCases(s *Set, files ...string) ([]Case, error) {
	var wrong mistakes
	var all []Case
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, parseCases(s, file, data, &wrong)...)
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return all, nil
}

func parseCases(s *Set, file string, data []byte, wrong *mistakes) (all []Case) {
	r := &caseReader{reader{file: file, wrong: wrong}, s}
	root := r.document(data)
	if root == nil {
		return nil
	}
	for _, p := range r.pairs(root, "", "a file of tests is a map of cases by their names") {
		r.in = p.key
		c := Case{Name: p.key, at: r.at(p.name)}
		for _, item := range r.items(p.value, "", "a case is a list of steps") {
			if st, ok := r.step(item); ok {
				c.steps = append(c.steps, st)
			}
		}
		slices.SortStableFunc(c.steps, func(a, b step) int { return cmp.Compare(a.after, b.after) })
		all = append(all, c)
	}
	return all
}

// A caseReader reads cases, which speak of a set's alarms.
type caseReader struct {
	reader
	set *Set
}

// keys reads a map by the readers of its keys. False: something was wrong.
func (r *caseReader) keys(n *yaml.Node, key string, known map[string]func(n *yaml.Node, key string) bool) (said map[string]bool, ok bool) {
	before := len(r.wrong.list)
	names := slices.Sorted(maps.Keys(known))
	said = map[string]bool{}
	for _, p := range r.pairs(n, key, "it has "+strings.Join(names, ", ")) {
		read := known[p.key]
		if read == nil {
			r.mistake(p.name, p.key, "unknown key%s", asked(nearest.Word(p.key, names, 3)))
			continue
		}
		said[p.key] = true
		read(p.value, p.key)
	}
	return said, len(r.wrong.list) == before
}

func (r *caseReader) step(n *yaml.Node) (st step, ok bool) {
	st.at = r.at(n)
	said, ok := r.keys(n, "", map[string]func(*yaml.Node, string) bool{
		"at":     func(n *yaml.Node, key string) bool { return r.moment(n, key, &st.after) },
		"push":   func(n *yaml.Node, key string) bool { return r.push(n, key, &st) },
		"want":   func(n *yaml.Node, key string) bool { return r.want(n, key, &st) },
		"server": func(n *yaml.Node, key string) bool { return r.server(n, key, &st) },
		"clock":  func(n *yaml.Node, key string) bool { return r.clock(n, key, &st) },
	})
	if !ok {
		return st, false
	}
	if !said["at"] || len(said) != 2 {
		r.mistake(n, "", "a step has at, and one of push, want, server and clock")
		return st, false
	}
	if st.push != nil && st.push.every > 0 && st.push.until < st.after {
		r.mistake(n, "push", "ends before it begins: until is a time since the start, as at is")
		return st, false
	}
	return st, true
}

// moment takes a time in whole seconds, which is how often the server looks.
func (r *caseReader) moment(n *yaml.Node, key string, to *time.Duration) bool {
	d, ok := r.duration(n, key, "a time such as 90s")
	if ok && (d%resolution != 0 || d > longest) {
		r.mistake(n, key, "%s is not in whole seconds up to %s", d, longest)
		return false
	}
	*to = d
	return ok
}

func (r *caseReader) word(to *string) func(*yaml.Node, string) bool {
	return func(n *yaml.Node, key string) bool {
		s, ok := r.text(n, key)
		*to = s
		return ok
	}
}

func (r *caseReader) server(n *yaml.Node, key string, st *step) bool {
	if !r.word(&st.server)(n, key) {
		return false
	}
	known := []string{"restart", "stop", "continue"}
	if !slices.Contains(known, st.server) {
		r.mistake(n, key, "%q is none of %s%s", st.server, strings.Join(known, ", "), asked(nearest.Word(st.server, known, 3)))
		return false
	}
	return true
}

func (r *caseReader) clock(n *yaml.Node, key string, st *step) bool {
	s, ok := r.text(n, key)
	if !ok {
		return false
	}
	d, err := time.ParseDuration(s)
	if err != nil || d == 0 || d.Abs() > longest {
		r.mistake(n, key, "%q is not by how much the clock is set, such as +1h or -30s, up to %s", s, longest)
		return false
	}
	st.clock = d
	return true
}

func (r *caseReader) want(n *yaml.Node, key string, st *step) bool {
	w := &want{}
	var state string
	said, ok := r.keys(n, key, map[string]func(*yaml.Node, string) bool{
		"alarm":   r.word(&w.alarm),
		"project": r.word(&w.project),
		"state":   r.word(&state),
		"actions": func(n *yaml.Node, key string) bool {
			w.checked = true
			for _, item := range r.items(n, key, "write it as [cfnwatch:notify], or [] for none") {
				s, ok := r.text(item, key)
				if !ok {
					return false
				}
				w.actions = append(w.actions, s)
			}
			return true
		},
	})
	st.want, w.state = w, watch.State(state)
	if !ok {
		return false
	}
	if !said["state"] && !said["actions"] {
		r.mistake(n, key, "says neither state nor actions")
		return false
	}
	if states := []string{string(watch.OK), string(watch.Firing), string(watch.NoData)}; said["state"] && !slices.Contains(states, state) {
		r.mistake(n, "state", "%q is none of %s%s", state, strings.Join(states, ", "), asked(nearest.Word(state, states, 5)))
		return false
	}
	rule := r.rule(n, key, w.project, w.alarm)
	if rule != nil {
		w.project = rule.Alarm.Project
	}
	return rule != nil
}

// rule finds the rule of an alarm, in any project if none is said.
func (r *caseReader) rule(n *yaml.Node, key, project, alarm string) *Rule {
	var found []*Rule
	var names []string
	for i := range r.set.Rules {
		a := &r.set.Rules[i]
		names = append(names, a.Alarm.Name)
		if a.Alarm.Name == alarm && (project == "" || a.Alarm.Project == project) {
			found = append(found, a)
		}
	}
	switch {
	case alarm == "":
		r.mistake(n, key, "names no alarm")
	case len(found) == 0:
		r.mistake(n, key, "no rule is called %q%s", alarm, asked(nearest.Word(alarm, names, 3)))
	case len(found) > 1:
		r.mistake(n, key, "%d projects have a rule %q: say project", len(found), alarm)
	default:
		return found[0]
	}
	return nil
}
