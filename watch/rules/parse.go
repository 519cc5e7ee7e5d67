package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// defaultsKey is where a file says what counts for all its alarms.
const defaultsKey = "Defaults"

// parse reads the rules of a file, and gathers what is wrong with them.
func parse(file string, data []byte, o Options, wrong *mistakes) (rules []Rule) {
	r := &reader{file: file, wrong: wrong}
	root := r.document(data)
	if root == nil {
		return nil
	}
	all := r.pairs(root, "", "a rule file is a map of alarms by their names")
	base := draft{
		alarm: watch.Alarm{ActionsEnabled: true, Match: watch.MatchSubset, Origin: watch.FromRules},
		said:  map[string]place{}, unread: map[string]bool{},
	}
	for _, p := range all {
		if p.key == defaultsKey {
			r.in = defaultsKey
			base.take(r, p.value)
			if at, named := base.said["AlarmName"]; named {
				wrong.add(at, defaultsKey, "AlarmName", "alarms have their own names")
			}
		}
	}
	for _, p := range all {
		if p.key == defaultsKey {
			continue
		}
		r.in = p.key
		d := draft{alarm: base.alarm, said: maps.Clone(base.said), defaults: base.said, unread: maps.Clone(base.unread), at: r.at(p.name)}
		d.alarm.Name, d.alarm.File = p.key, d.at.String()
		if d.take(r, p.value) {
			d.check(r, o)
		}
		rules = append(rules, Rule{d.alarm, d.said, d.at})
	}
	return rules
}

// A draft is an alarm while it is read.
type draft struct {
	alarm          watch.Alarm
	said, defaults map[string]place // where fields stand, and which of them in Defaults
	unread         map[string]bool  // fields whose values were wrong, of which enough is said
	at             place            // of its name
}

// take reads the fields of a map, if it is one.
func (d *draft) take(r *reader, n *yaml.Node) bool {
	for _, p := range r.pairs(n, "", "an alarm is a map of its fields") {
		read, known := fields[p.key]
		switch {
		case known:
			d.said[p.key] = r.at(p.name)
			d.unread[p.key] = !read(r, p.key, p.value, &d.alarm)
		case refused[p.key] != "":
			r.mistake(p.name, p.key, "%s", refused[p.key])
		default:
			near := nearest.Word(p.key, fieldNames, 3)
			r.mistake(p.name, p.key, "unknown field%s", asked(near))
			d.unread[near] = true // that it is missing need not be said
		}
	}
	return followed(n).Kind == yaml.MappingNode
}

// check says what is wrong with the alarm as a whole, each at its field.
func (d *draft) check(r *reader, o Options) {
	a := &d.alarm
	a.Unit, _ = watch.Unit(a.Unit)
	if a.Project == "" {
		d.wrong(r, "Project", "missing: the id of the project that the alarm belongs to, here or in "+defaultsKey)
	}
	if _, said := d.said["Threshold"]; !said {
		d.wrong(r, "Threshold", "missing")
	}
	var invalid *watch.InvalidError
	if errors.As(a.Check(), &invalid) {
		for _, m := range invalid.Mistakes {
			d.wrong(r, m.Field, m.What)
		}
	}
	for _, list := range []struct {
		key     string
		actions []string
	}{{"AlarmActions", a.OnAlarm}, {"OKActions", a.OnOK}, {"InsufficientDataActions", a.OnNoData}} {
		for _, action := range list.actions {
			if err := checkAction(action, o); err != nil {
				d.wrong(r, list.key, err.Error())
			}
		}
	}
}

// wrong tells of a mistake where its field stands, or else where the alarm
// does.
func (d *draft) wrong(r *reader, field, what string) {
	key, _, _ := strings.Cut(strings.TrimPrefix(field, "cfnwatch:"), "[")
	at, said := d.said[key]
	switch {
	case d.unread[key]:
	case !said:
		r.wrong.add(d.at, r.in, key, "%s", what)
	case d.defaults[key] == at:
		r.wrong.add(at, defaultsKey, key, "%s", what)
	default:
		r.wrong.add(at, r.in, key, "%s", what)
	}
}

// checkAction says what is wrong with the name of an action.
func checkAction(action string, o Options) error {
	name, err := outbox.ParseName(action)
	if err != nil || name.Kind != outbox.Exec || o.Execs == nil || slices.Contains(o.Execs, name.Argument) {
		return err
	}
	return fmt.Errorf("action %s: the configuration has no [exec %s]%s", action, name.Argument, asked(nearest.Word(name.Argument, o.Execs, 3)))
}
