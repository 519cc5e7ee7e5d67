package api

import (
	"context"
	"fmt"
	"maps"

	"github.com/cfn-agent/cfn-agent/watch"
)

// putMetricAlarmInput is PutMetricAlarmInput of the model. What only alarms on
// percentiles, expressions or bands of anomaly have is here to be refused.
type putMetricAlarmInput struct {
	AlarmName               string
	AlarmDescription        string
	ActionsEnabled          *bool
	OKActions               []string
	AlarmActions            []string
	InsufficientDataActions []string
	MetricName              string
	Namespace               string
	Statistic               string
	ExtendedStatistic       string
	Dimensions              []dimension
	Period                  *int
	Unit                    string
	EvaluationPeriods       *int
	DatapointsToAlarm       *int
	Threshold               *float64
	ComparisonOperator      string
	TreatMissingData        string
	Metrics                 []metricDataQuery
	ThresholdMetricId       string
	Tags                    []tag

	EvaluateLowSampleCountPercentile string
}

// putMetricAlarm makes an alarm, or changes all of one but its state and those
// tags that are not given.
func (h *Handler) putMetricAlarm(ctx context.Context, c *call, in *putMetricAlarmInput) (*nothing, error) {
	a, err := in.alarm()
	if err != nil {
		return nil, err
	}
	a.Project, a.Origin = c.caller.Project, watch.FromAPI
	a.Tags = map[string]string{}
	if old, ok := h.engine.View(c.arrived, a.Project, a.Name); ok {
		if err := mayChange(old.Alarm); err != nil {
			return nil, err
		}
		maps.Copy(a.Tags, old.Tags)
	}
	if err := addTags(a.Tags, in.Tags); err != nil {
		return nil, err
	}
	return h.define(ctx, c, a)
}

// define gives the engine an alarm whose tags are complete.
func (h *Handler) define(ctx context.Context, c *call, a watch.Alarm) (*nothing, error) {
	if err := setFields(&a); err != nil {
		return nil, err
	}
	if err := h.may(a); err != nil {
		return nil, invalid("%v", err)
	}
	if _, err := h.engine.Define(ctx, c.arrived, c.caller, a); err != nil {
		return nil, err
	}
	return &nothing{}, nil
}

// mayChange refuses what would be undone, or would undo an operator's rule.
func mayChange(a watch.Alarm) *Error {
	switch a.Origin {
	case watch.FromRules:
		return invalid("the alarm %q is one of the operator's rule files, and is changed there", a.Name)
	case watch.FromStack:
		return invalid("the alarm %q is one of a stack, and is changed in its template", a.Name)
	}
	return nil
}

// alarm makes the definition; what is wrong with its values is for the engine
// to say.
func (in *putMetricAlarmInput) alarm() (watch.Alarm, error) {
	switch {
	case in.ExtendedStatistic != "" || in.EvaluateLowSampleCountPercentile != "":
		return watch.Alarm{}, invalid("ExtendedStatistic: percentiles are not served; use SampleCount, Average, Sum, Minimum or Maximum as Statistic")
	case len(in.Metrics) > 0 || in.ThresholdMetricId != "":
		return watch.Alarm{}, invalid("Metrics: expressions and anomaly bands are not served; name one metric with Namespace and MetricName")
	case in.Threshold == nil:
		return watch.Alarm{}, missing("Threshold")
	}
	for i, d := range in.Dimensions {
		if d.Value == "" { // without it the alarm would be one on another metric
			return watch.Alarm{}, missing(fmt.Sprintf("Dimensions.member.%d.Value", i+1))
		}
	}
	dims, alarm, err := dimensionsOf(in.Dimensions)
	if err != nil {
		return watch.Alarm{}, err
	}
	if alarm != "" {
		return watch.Alarm{}, invalid("Dimensions: AlarmName names the alarm that a datum is for, and is no dimension of an alarm")
	}
	unit, _ := watch.Unit(in.Unit)
	a := watch.Alarm{
		Name:           in.AlarmName,
		Description:    in.AlarmDescription,
		Namespace:      in.Namespace,
		Metric:         in.MetricName,
		Unit:           unit,
		Dimensions:     dims,
		Statistic:      watch.Statistic(in.Statistic),
		Period:         seconds(given(in.Period)),
		Periods:        given(in.EvaluationPeriods),
		Datapoints:     given(in.DatapointsToAlarm),
		Threshold:      *in.Threshold,
		Comparison:     watch.Comparison(in.ComparisonOperator),
		Missing:        watch.Missing(in.TreatMissingData),
		ActionsEnabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OnAlarm:        in.AlarmActions,
		OnOK:           in.OKActions,
		OnNoData:       in.InsufficientDataActions,
	}
	if in.DatapointsToAlarm != nil && a.Datapoints < 1 {
		return watch.Alarm{}, invalid("DatapointsToAlarm is not 1 or more")
	}
	return a, nil
}

// given is a number, or 0 where it was not given.
func given(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
