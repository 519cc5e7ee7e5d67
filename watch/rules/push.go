package rules

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A push is of one sample, by a guest.
type push struct {
	caller watch.Caller
	sample watch.Sample
	every  time.Duration // 0: once
	until  time.Duration // of every; the push at that time is the last
}

// due says whether a push that begins at a time is made at another.
func (p *push) due(begin, now time.Duration) bool {
	switch {
	case p == nil || now < begin:
		return false
	case p.every == 0:
		return now == begin
	}
	return now <= p.until && (now-begin)%p.every == 0
}

func (r *caseReader) push(n *yaml.Node, key string, st *step) bool {
	var alarm, metric, namespace, unit, project, stack string
	var dimensions watch.Alarm
	value, p := 1.0, &push{}
	said, ok := r.keys(n, key, map[string]func(*yaml.Node, string) bool{
		"alarm": r.word(&alarm), "metric": r.word(&metric), "namespace": r.word(&namespace), "unit": r.word(&unit),
		"project": r.word(&project), "stack": r.word(&stack),
		"dimensions": func(n *yaml.Node, key string) bool { return fields["Dimensions"](&r.reader, key, n, &dimensions) },
		"value": func(n *yaml.Node, key string) (ok bool) {
			value, ok = r.number(n, key)
			return ok
		},
		"every": func(n *yaml.Node, key string) bool { return r.moment(n, key, &p.every) },
		"until": func(n *yaml.Node, key string) bool { return r.moment(n, key, &p.until) },
	})
	st.push = p
	switch {
	case !ok:
		return false
	case said["every"] != said["until"] || said["every"] && p.every == 0:
		r.mistake(n, key, "every and until go together: every 60s until 10m")
		return false
	case said["alarm"] == said["metric"]:
		r.mistake(n, key, "says to which alarm, or of which metric, but not both")
		return false
	}
	p.sample = watch.Sample{Namespace: namespace, Metric: metric, Unit: unit, Dimensions: sorted(dimensions.Dimensions),
		Alarm: alarm, Count: 1, Sum: value, Min: value, Max: value}
	p.caller = watch.Caller{Access: "guest of " + stack, Project: project, Stack: stack, Role: watch.Guest}
	if said["alarm"] {
		return r.toAlarm(n, key, p, said["stack"])
	}
	return r.toMetric(n, key, p)
}

// toAlarm completes a push to an alarm by what its rule says: its guest is of
// the stack whose guests may feed it, unless the case says another.
func (r *caseReader) toAlarm(n *yaml.Node, key string, p *push, stackSaid bool) bool {
	rule := r.rule(n, key, p.caller.Project, p.sample.Alarm)
	if rule == nil {
		return false
	}
	p.caller.Project = rule.Alarm.Project
	if !stackSaid {
		p.caller.Stack = rule.Alarm.Stack
		p.caller.Access = "guest of " + p.caller.Stack
	}
	p.sample.Metric = rule.Alarm.Metric
	p.sample.Namespace = cmp.Or(p.sample.Namespace, rule.Alarm.Namespace)
	p.sample.Unit = cmp.Or(p.sample.Unit, rule.Alarm.Unit)
	return true
}

// toMetric completes a push of a metric: its project is that of the rules, if
// they have one.
func (r *caseReader) toMetric(n *yaml.Node, key string, p *push) bool {
	if p.sample.Namespace == "" || p.sample.Metric == "" {
		r.mistake(n, key, "a push of a metric has a namespace too")
		return false
	}
	if p.caller.Project != "" {
		return true
	}
	for i := range r.set.Rules {
		of := r.set.Rules[i].Alarm.Project
		if p.caller.Project != "" && p.caller.Project != of {
			r.mistake(n, key, "the rules are of several projects: say project")
			return false
		}
		p.caller.Project = of
	}
	return true
}

func sorted(list []watch.Dimension) []watch.Dimension {
	slices.SortFunc(list, func(a, b watch.Dimension) int { return strings.Compare(a.Name, b.Name) })
	return list
}
