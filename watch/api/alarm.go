package api

import (
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A metricAlarm is MetricAlarm of the model, as answers show an alarm.
type metricAlarm struct {
	ActionsEnabled                     bool
	AlarmActions                       list[string]
	AlarmArn                           string
	AlarmConfigurationUpdatedTimestamp *stamp
	AlarmDescription                   string `json:",omitempty" xml:",omitempty"`
	AlarmName                          string
	ComparisonOperator                 string
	DatapointsToAlarm                  int `json:",omitempty" xml:",omitempty"`
	Dimensions                         list[dimension]
	EvaluationPeriods                  int
	InsufficientDataActions            list[string]
	MetricName                         string `json:",omitempty" xml:",omitempty"`
	Namespace                          string `json:",omitempty" xml:",omitempty"`
	OKActions                          list[string]
	Period                             int
	StateReason                        string `json:",omitempty" xml:",omitempty"`
	StateReasonData                    string `json:",omitempty" xml:",omitempty"`
	StateTransitionedTimestamp         *stamp
	StateUpdatedTimestamp              *stamp
	StateValue                         string
	Statistic                          string
	Threshold                          float64
	TreatMissingData                   string `json:",omitempty" xml:",omitempty"`
	Unit                               string `json:",omitempty" xml:",omitempty"`
}

// shown is an alarm as a caller of its project sees it.
func (h *Handler) shown(c *call, v watch.View) metricAlarm {
	a := v.Alarm
	actions := func(of []string) list[string] {
		l := slices.Clone(listOf(of))
		for i := range l {
			l[i] = h.shownAction(c, a.Origin, l[i])
		}
		return l
	}
	since := v.Since
	if since.IsZero() {
		since = a.Updated // it has been as it is from the begin
	}
	return metricAlarm{
		ActionsEnabled:                     a.ActionsEnabled,
		AlarmActions:                       actions(a.OnAlarm),
		AlarmArn:                           arn(a.Project, a.Name),
		AlarmConfigurationUpdatedTimestamp: stampOf(a.Updated),
		AlarmDescription:                   a.Description,
		AlarmName:                          a.Name,
		ComparisonOperator:                 string(a.Comparison),
		DatapointsToAlarm:                  a.Datapoints,
		Dimensions:                         shownDimensions(a.Dimensions),
		EvaluationPeriods:                  a.Periods,
		InsufficientDataActions:            actions(a.OnNoData),
		MetricName:                         a.Metric,
		Namespace:                          a.Namespace,
		OKActions:                          actions(a.OnOK),
		Period:                             int(a.Period / time.Second),
		StateReason:                        v.Reason,
		StateReasonData:                    string(v.Data),
		StateTransitionedTimestamp:         stampOf(since),
		StateUpdatedTimestamp:              stampOf(since),
		StateValue:                         string(v.State),
		Statistic:                          string(a.Statistic),
		Threshold:                          a.Threshold,
		TreatMissingData:                   string(a.Missing),
		Unit:                               a.Unit,
	}
}

// shownAction is an action of an alarm as a caller may see it: whole to who
// could have defined it.
func (h *Handler) shownAction(c *call, of watch.Origin, action string) string {
	if c.caller.Role == watch.Reader || of == watch.FromRules {
		return h.conceal(action)
	}
	return action
}

func shownDimensions(dims []watch.Dimension) list[dimension] {
	l := make(list[dimension], len(dims))
	for i, d := range dims {
		l[i] = dimension(d)
	}
	return l
}

// arn is the ARN of an alarm. There is one region, and it has no name.
func arn(project, name string) string { return "arn:aws:cloudwatch::" + project + ":alarm:" + name }

// cutARN is the project and the name of the alarm that an ARN means; the
// region in it may be any.
func cutARN(s string) (project, name string, ok bool) {
	parts := strings.SplitN(s, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "cloudwatch" || parts[5] != "alarm" || parts[6] == "" {
		return "", "", false
	}
	return parts[4], parts[6], true
}
