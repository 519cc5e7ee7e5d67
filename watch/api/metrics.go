package api

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A metricName is Metric of the model.
type metricName struct {
	Namespace  string
	MetricName string
	Dimensions list[dimension]
}

type listMetricsInput struct {
	Namespace      string
	MetricName     string
	Dimensions     []dimension
	RecentlyActive string
	NextToken      string
}

type listMetricsOutput struct {
	Metrics   list[metricName]
	NextToken string `json:",omitempty" xml:",omitempty"`
}

// Limits of ListMetrics.
const (
	metricsPage = 500
	maxFilters  = 10
)

// listMetrics lists the metrics that samples came under of late, which is as
// long as they are kept.
func (h *Handler) listMetrics(_ context.Context, c *call, in *listMetricsInput) (*listMetricsOutput, error) {
	q := watch.MetricQuery{Namespace: in.Namespace, Name: in.MetricName}
	if len(in.Dimensions) > maxFilters {
		return nil, invalid("Dimensions has %d members, and %d are the most", len(in.Dimensions), maxFilters)
	}
	for _, d := range in.Dimensions {
		q.Dimensions = append(q.Dimensions, watch.Dimension(d))
	}
	switch in.RecentlyActive {
	case "":
	case "PT3H":
		q.Within = 3 * time.Hour
	default:
		return nil, invalid("RecentlyActive is not PT3H")
	}
	begin, err := cutOffset(c.name, in.NextToken)
	if err != nil {
		return nil, err
	}
	found := h.engine.ListMetrics(c.arrived, c.caller, q)
	end := min(begin+metricsPage, len(found))
	out := &listMetricsOutput{Metrics: list[metricName]{}}
	for _, m := range found[min(begin, end):end] {
		out.Metrics = append(out.Metrics, metricName{m.Namespace, m.Name, shownDimensions(m.Dimensions)})
	}
	if end < len(found) {
		out.NextToken = token(c.name, strconv.Itoa(end))
	}
	return out, nil
}

type getMetricStatisticsInput struct {
	Namespace          string
	MetricName         string
	Dimensions         []dimension
	StartTime          *stamp
	EndTime            *stamp
	Period             *int
	Statistics         []string
	ExtendedStatistics []string
	Unit               string
}

type getMetricStatisticsOutput struct {
	Label      string
	Datapoints list[datapoint]
}

// A datapoint is Datapoint of the model, with the statistics asked for.
type datapoint struct {
	Timestamp   *stamp
	SampleCount *float64 `json:",omitempty" xml:",omitempty"`
	Average     *float64 `json:",omitempty" xml:",omitempty"`
	Sum         *float64 `json:",omitempty" xml:",omitempty"`
	Minimum     *float64 `json:",omitempty" xml:",omitempty"`
	Maximum     *float64 `json:",omitempty" xml:",omitempty"`
	Unit        string   `json:",omitempty" xml:",omitempty"`
}

// maxDatapoints is how many GetMetricStatistics gives.
const maxDatapoints = 1440

func (h *Handler) getMetricStatistics(_ context.Context, c *call, in *getMetricStatisticsInput) (*getMetricStatisticsOutput, error) {
	switch {
	case len(in.ExtendedStatistics) > 0:
		return nil, noPercentiles("ExtendedStatistics")
	case len(in.Statistics) == 0:
		return nil, missing("Statistics")
	}
	for _, s := range in.Statistics {
		if err := checkStatistic("Statistics", s); err != nil {
			return nil, err
		}
	}
	m := metricStat{Metric: metricName{in.Namespace, in.MetricName, in.Dimensions}, Period: in.Period, Unit: in.Unit}
	q, err := m.query(in.StartTime, in.EndTime)
	if err != nil {
		return nil, err
	}
	if n := q.To.Sub(q.From) / q.Period; n > maxDatapoints {
		return nil, combination("StartTime, EndTime and Period ask for %d datapoints, and %d are the most", n, maxDatapoints)
	}
	out := &getMetricStatisticsOutput{Label: in.MetricName, Datapoints: list[datapoint]{}}
	for _, p := range h.engine.Statistics(c.caller, q) {
		d := datapoint{Timestamp: stampOf(p.Time), Unit: p.Unit}
		for _, s := range in.Statistics {
			d.set(watch.Statistic(s), p)
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	return out, nil
}

func (d *datapoint) set(s watch.Statistic, p watch.Datapoint) {
	v := valueOf(s, p)
	switch s {
	case watch.SampleCount:
		d.SampleCount = &v
	case watch.Average:
		d.Average = &v
	case watch.Sum:
		d.Sum = &v
	case watch.Minimum:
		d.Minimum = &v
	case watch.Maximum:
		d.Maximum = &v
	}
}

func valueOf(s watch.Statistic, p watch.Datapoint) float64 {
	switch s {
	case watch.SampleCount:
		return p.Count
	case watch.Average:
		return p.Sum / p.Count
	case watch.Sum:
		return p.Sum
	case watch.Minimum:
		return p.Min
	}
	return p.Max
}

func checkStatistic(field, s string) error {
	known := []watch.Statistic{watch.SampleCount, watch.Average, watch.Sum, watch.Minimum, watch.Maximum}
	if slices.Contains(known, watch.Statistic(s)) {
		return nil
	}
	return noPercentiles(field)
}

// query checks what both actions ask of one metric.
func (m *metricStat) query(start, end *stamp) (q watch.StatisticsQuery, err error) {
	switch {
	case m.Metric.Namespace == "":
		return q, missing("Namespace")
	case m.Metric.MetricName == "":
		return q, missing("MetricName")
	case m.Period == nil:
		return q, missing("Period")
	case *m.Period < 60 || *m.Period%60 != 0:
		return q, invalid("Period is not a multiple of 60: metrics are kept by the minute")
	case start == nil:
		return q, missing("StartTime")
	case end == nil:
		return q, missing("EndTime")
	}
	q = watch.StatisticsQuery{
		Namespace: m.Metric.Namespace, Name: m.Metric.MetricName, Period: seconds(*m.Period),
		From: time.Time(*start), To: time.Time(*end),
	}
	if !q.From.Before(q.To) {
		return q, combination("StartTime is not before EndTime")
	}
	if m.Unit != "" {
		q.Unit = unitOf(m.Unit)
	}
	dims, _, e := dimensionsOf(m.Metric.Dimensions)
	if e != nil {
		return q, e
	}
	q.Dimensions = dims
	return q, nil
}
