package api

import (
	"context"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Limits of DescribeAlarms and DeleteAlarms.
const (
	maxNames = 100
	maxPage  = 100
)

// describeAlarmsInput is DescribeAlarmsInput of the model. AlarmName is what
// old Heat's clients sent instead of AlarmNames.
type describeAlarmsInput struct {
	AlarmName           string
	AlarmNames          []string
	AlarmNamePrefix     string
	AlarmTypes          []string
	ActionPrefix        string
	ChildrenOfAlarmName string
	ParentsOfAlarmName  string
	StateValue          string
	MaxRecords          *int
	NextToken           string
}

type describeAlarmsOutput struct {
	MetricAlarms    list[metricAlarm]
	CompositeAlarms list[struct{}]
	NextToken       string `json:",omitempty" xml:",omitempty"`
}

func (h *Handler) describeAlarms(_ context.Context, c *call, in *describeAlarmsInput) (*describeAlarmsOutput, error) {
	if in.AlarmName != "" {
		in.AlarmNames = append(in.AlarmNames, in.AlarmName)
	}
	switch {
	case in.ChildrenOfAlarmName != "" || in.ParentsOfAlarmName != "":
		return nil, noComposites()
	case in.ActionPrefix != "" && c.caller.Role == watch.Reader:
		return nil, &Error{Status: 403, Code: "AccessDenied", Message: "ActionPrefix: a key of role reader is not shown whole actions, and may not look for them"}
	case len(in.AlarmNames) > maxNames:
		return nil, invalid("AlarmNames has %d members, and %d are the most", len(in.AlarmNames), maxNames)
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return nil, combination("AlarmNames and AlarmNamePrefix exclude each other")
	}
	if in.StateValue != "" && !isState(in.StateValue) {
		return nil, noState()
	}
	limit, err := pageSize(in.MaxRecords, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := cutToken(c.name, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &describeAlarmsOutput{MetricAlarms: list[metricAlarm]{}, CompositeAlarms: list[struct{}]{}}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, "MetricAlarm") {
		return out, nil
	}
	var begin watch.View
	begin.Project, begin.Name = c.caller.Project, after
	views := h.engine.Alarms(c.arrived, c.caller, watch.AlarmQuery{
		Names: in.AlarmNames, Prefix: in.AlarmNamePrefix, State: watch.State(in.StateValue),
		ActionPrefix: in.ActionPrefix, After: begin, Limit: limit + 1,
		Shown: func(of watch.Origin, action string) string { return h.shownAction(c, of, action) },
	})
	if len(views) > limit {
		views = views[:limit]
		out.NextToken = token(c.name, views[limit-1].Name)
	}
	for _, v := range views {
		out.MetricAlarms = append(out.MetricAlarms, h.shown(c, v))
	}
	return out, nil
}

func noComposites() *Error {
	return invalid("composite alarms are not served")
}

func isState(s string) bool {
	switch watch.State(s) {
	case watch.OK, watch.Firing, watch.NoData:
		return true
	}
	return false
}

func noState() *Error {
	return invalid("StateValue is none of OK, ALARM and INSUFFICIENT_DATA")
}

type describeAlarmsForMetricInput struct {
	Namespace         string
	MetricName        string
	Statistic         string
	ExtendedStatistic string
	Dimensions        []dimension
	Period            *int
	Unit              string
}

type describeAlarmsForMetricOutput struct {
	MetricAlarms list[metricAlarm]
}

func (h *Handler) describeAlarmsForMetric(_ context.Context, c *call, in *describeAlarmsForMetricInput) (*describeAlarmsForMetricOutput, error) {
	switch {
	case in.Namespace == "":
		return nil, missing("Namespace")
	case in.MetricName == "":
		return nil, missing("MetricName")
	case in.ExtendedStatistic != "":
		return nil, noPercentiles("ExtendedStatistic")
	}
	dims, _, err := dimensionsOf(in.Dimensions)
	if err != nil {
		return nil, err
	}
	out := &describeAlarmsForMetricOutput{list[metricAlarm]{}}
	for _, v := range h.engine.Alarms(c.arrived, c.caller, watch.AlarmQuery{Namespace: in.Namespace, Metric: in.MetricName}) {
		a := v.Alarm
		if !slices.Equal(a.Dimensions, dims) ||
			in.Statistic != "" && in.Statistic != string(a.Statistic) ||
			in.Period != nil && seconds(*in.Period) != a.Period ||
			in.Unit != "" && !strings.EqualFold(in.Unit, a.Unit) {
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, h.shown(c, v))
	}
	return out, nil
}

// noPercentiles refuses what is counted from single values, which are not kept.
func noPercentiles(field string) *Error {
	return invalid("%s: percentiles are not served; use SampleCount, Average, Sum, Minimum or Maximum", field)
}
