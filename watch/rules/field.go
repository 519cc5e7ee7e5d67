package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A field takes a value into an alarm. False: it was wrong, and nothing is
// to be said of it again.
type field func(r *reader, key string, n *yaml.Node, a *watch.Alarm) bool

// fields are all that a rule may say.
var fields = map[string]field{
	"ActionsEnabled":          of(func(a *watch.Alarm) *bool { return &a.ActionsEnabled }, (*reader).yes),
	"AlarmActions":            actions(func(a *watch.Alarm) *[]string { return &a.OnAlarm }),
	"AlarmDescription":        word(func(a *watch.Alarm) *string { return &a.Description }),
	"AlarmName":               word(func(a *watch.Alarm) *string { return &a.Name }),
	"ComparisonOperator":      word(func(a *watch.Alarm) *watch.Comparison { return &a.Comparison }),
	"DatapointsToAlarm":       of(func(a *watch.Alarm) *int { return &a.Datapoints }, (*reader).whole),
	"Dimensions":              dimensions,
	"EvaluationPeriods":       of(func(a *watch.Alarm) *int { return &a.Periods }, (*reader).whole),
	"InsufficientDataActions": actions(func(a *watch.Alarm) *[]string { return &a.OnNoData }),
	"MetricName":              word(func(a *watch.Alarm) *string { return &a.Metric }),
	"Namespace":               word(func(a *watch.Alarm) *string { return &a.Namespace }),
	"OKActions":               actions(func(a *watch.Alarm) *[]string { return &a.OnOK }),
	"Period":                  span(func(a *watch.Alarm) *time.Duration { return &a.Period }, ""),
	"Statistic":               word(func(a *watch.Alarm) *watch.Statistic { return &a.Statistic }),
	"Tags":                    tags,
	"Threshold":               of(func(a *watch.Alarm) *float64 { return &a.Threshold }, (*reader).number),
	"TreatMissingData":        word(func(a *watch.Alarm) *watch.Missing { return &a.Missing }),
	"Unit":                    word(func(a *watch.Alarm) *string { return &a.Unit }),

	"Ladder":     word(func(a *watch.Alarm) *string { return &a.Ladder }),
	"Legacy":     of(func(a *watch.Alarm) *bool { return &a.Legacy }, (*reader).yes),
	"Match":      word(func(a *watch.Alarm) *watch.Match { return &a.Match }),
	"Project":    word(func(a *watch.Alarm) *string { return &a.Project }),
	"Range":      of(func(a *watch.Alarm) *int { return &a.Range }, (*reader).whole),
	"Repeat":     span(func(a *watch.Alarm) *time.Duration { return &a.Repeat }, "never"),
	"Stack":      word(func(a *watch.Alarm) *string { return &a.Stack }),
	"StartAfter": span(func(a *watch.Alarm) *time.Duration { return &a.StartAfter }, "first-sample"),
	"Target":     word(func(a *watch.Alarm) *string { return &a.Target }),
	"Tolerance":  span(func(a *watch.Alarm) *time.Duration { return &a.Tolerance }, ""),
}

// refused are properties of AWS::CloudWatch::Alarm that no alarm here has.
var refused = map[string]string{
	"EvaluateLowSampleCountPercentile": "percentiles are not known here",
	"ExtendedStatistic":                "percentiles are not known here: use Statistic, with Average, Maximum, Minimum, SampleCount or Sum",
	"Metrics":                          "expressions are not known here: use MetricName, Namespace and Statistic",
	"ThresholdMetricId":                "anomaly bands are not known here: use Threshold",
}

var fieldNames = slices.Sorted(maps.Keys(fields))

func of[T any](to func(*watch.Alarm) *T, read func(*reader, *yaml.Node, string) (T, bool)) field {
	return func(r *reader, key string, n *yaml.Node, a *watch.Alarm) bool {
		v, ok := read(r, n, key)
		if ok {
			*to(a) = v
		}
		return ok
	}
}

func word[T ~string](to func(*watch.Alarm) *T) field {
	return of(to, func(r *reader, n *yaml.Node, key string) (T, bool) {
		s, ok := r.text(n, key)
		return T(s), ok
	})
}

// span takes a time, or the word that stands for none.
func span(to func(*watch.Alarm) *time.Duration, none string) field {
	want := "a time such as 90s"
	if none != "" {
		want = none + ", or " + want
	}
	return of(to, func(r *reader, n *yaml.Node, key string) (time.Duration, bool) {
		if s, ok := scalar(n); ok && s == none && none != "" {
			return 0, true
		}
		return r.duration(n, key, want)
	})
}

// actions takes the names of actions. What they say is checked with the alarm.
func actions(to func(*watch.Alarm) *[]string) field {
	return func(r *reader, key string, n *yaml.Node, a *watch.Alarm) bool {
		var list []string
		for _, item := range r.items(n, key, "write it as [cfnwatch:notify]") {
			s, ok := r.text(item, key)
			if !ok {
				return false
			}
			list = append(list, s)
		}
		*to(a) = list
		return followed(n).Kind == yaml.SequenceNode
	}
}

// dimensions takes a list of {Name, Value}, as CloudFormation has it, or a map.
func dimensions(r *reader, key string, n *yaml.Node, a *watch.Alarm) bool {
	a.Dimensions = nil
	return r.named(key, n, "Name", func(name, value string) {
		a.Dimensions = append(a.Dimensions, watch.Dimension{Name: name, Value: value})
	})
}

// tags takes a list of {Key, Value}, as CloudFormation has it, or a map.
func tags(r *reader, key string, n *yaml.Node, a *watch.Alarm) bool {
	a.Tags = map[string]string{}
	good := true
	read := r.named(key, n, "Key", func(name, value string) {
		if of, ours := strings.CutPrefix(name, "cfnwatch:"); ours {
			r.mistake(n, key, "%s is a field here: write %s: %s beside %s", name, of, strconv.Quote(value), key)
			good = false
		}
		a.Tags[name] = value
	})
	return good && read
}

// named calls f with each name and value of a map, or of a list of maps that
// call the name by a key of theirs.
func (r *reader) named(key string, n *yaml.Node, name string, f func(name, value string)) bool {
	good := true
	take := func(nameOf, valueOf *yaml.Node) {
		k, isText := r.text(nameOf, key)
		v, isValue := r.text(valueOf, key)
		if !isText || !isValue {
			good = false
			return
		}
		f(k, v)
	}
	if followed(n).Kind == yaml.MappingNode {
		for _, p := range r.pairs(n, key, "") {
			take(p.name, p.value)
		}
		return good
	}
	want := "write a map, or a list of {" + name + ": …, Value: …}"
	for _, item := range r.items(n, key, want) {
		parts := map[string]*yaml.Node{}
		for _, p := range r.pairs(item, key, want) {
			parts[p.key] = p.value
		}
		if len(parts) != 2 || parts[name] == nil || parts["Value"] == nil {
			r.mistake(item, key, "an entry has %s and Value, and nothing else", name)
			good = false
			continue
		}
		take(parts[name], parts["Value"])
	}
	return good && followed(n).Kind == yaml.SequenceNode
}
