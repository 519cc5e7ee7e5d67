package api

import (
	"context"
	"regexp"
	"slices"
	"strconv"

	"github.com/cfn-agent/cfn-agent/watch"
)

type getMetricDataInput struct {
	MetricDataQueries []metricDataQuery
	StartTime         *stamp
	EndTime           *stamp
	ScanBy            string
	MaxDatapoints     *int
	NextToken         string
}

type metricDataQuery struct {
	Id         string
	Expression string
	Label      string
	MetricStat *metricStat
	ReturnData *bool
}

type metricStat struct {
	Metric metricName
	Period *int
	Stat   string
	Unit   string
}

type getMetricDataOutput struct {
	MetricDataResults list[metricDataResult]
	NextToken         string `json:",omitempty" xml:",omitempty"`
}

type metricDataResult struct {
	Id         string
	Label      string
	Timestamps list[stamp]
	Values     list[float64]
	StatusCode string
}

// Limits of GetMetricData.
const (
	maxQueries    = 500
	maxDataPoints = 100_800
)

// queryID is what an Id looks like.
var queryID = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]{0,254}$`)

// getMetricData gives the datapoints of plain metrics. A page ends where
// MaxDatapoints does, and the next one goes on from there.
func (h *Handler) getMetricData(_ context.Context, c *call, in *getMetricDataInput) (*getMetricDataOutput, error) {
	queries, err := in.check()
	if err != nil {
		return nil, err
	}
	skip, err := cutOffset(c.name, in.NextToken)
	if err != nil {
		return nil, err
	}
	begin, room := skip, maxDataPoints
	if in.MaxDatapoints != nil {
		room = *in.MaxDatapoints
	}
	taken := 0
	out := &getMetricDataOutput{MetricDataResults: list[metricDataResult]{}}
	for i, q := range queries {
		asked := in.MetricDataQueries[i]
		if asked.ReturnData != nil && !*asked.ReturnData {
			continue
		}
		points := h.engine.Statistics(c.caller, q)
		if in.ScanBy != "TimestampAscending" {
			slices.Reverse(points)
		}
		first := min(skip, len(points))
		last := min(first+room-taken, len(points))
		skip -= first
		taken += last - first
		out.MetricDataResults = append(out.MetricDataResults, asked.result(points[first:last], last < len(points)))
		if last < len(points) {
			out.NextToken = token(c.name, strconv.Itoa(begin+taken))
			break
		}
	}
	return out, nil
}

// check makes the engine's queries.
func (in *getMetricDataInput) check() ([]watch.StatisticsQuery, error) {
	switch {
	case len(in.MetricDataQueries) == 0:
		return nil, missing("MetricDataQueries")
	case len(in.MetricDataQueries) > maxQueries:
		return nil, invalid("MetricDataQueries has %d members, and %d are the most", len(in.MetricDataQueries), maxQueries)
	case in.ScanBy != "" && in.ScanBy != "TimestampDescending" && in.ScanBy != "TimestampAscending":
		return nil, noScan()
	case in.MaxDatapoints != nil && (*in.MaxDatapoints < 1 || *in.MaxDatapoints > maxDataPoints):
		return nil, invalid("MaxDatapoints is not between 1 and %d", maxDataPoints)
	}
	queries := make([]watch.StatisticsQuery, len(in.MetricDataQueries))
	ids := map[string]bool{}
	for i, asked := range in.MetricDataQueries {
		switch {
		case !queryID.MatchString(asked.Id) || ids[asked.Id]:
			return nil, invalid("MetricDataQueries.member.%d.Id is not a name of its own: a small letter, then letters, digits and _", i+1)
		case asked.Expression != "":
			return nil, invalid("MetricDataQueries.member.%d.Expression: expressions are not served; ask for plain metrics with MetricStat", i+1)
		case asked.MetricStat == nil:
			return nil, missing("MetricDataQueries.member." + strconv.Itoa(i+1) + ".MetricStat")
		}
		ids[asked.Id] = true
		if err := checkStatistic("Stat", asked.MetricStat.Stat); err != nil {
			return nil, err
		}
		var err error
		if queries[i], err = asked.MetricStat.query(in.StartTime, in.EndTime); err != nil {
			return nil, err
		}
	}
	return queries, nil
}

func noScan() *Error {
	return invalid("ScanBy is neither TimestampDescending nor TimestampAscending")
}

func (q *metricDataQuery) result(points []watch.Datapoint, more bool) metricDataResult {
	r := metricDataResult{Id: q.Id, Label: q.Label, Timestamps: list[stamp]{}, Values: list[float64]{}, StatusCode: "Complete"}
	if r.Label == "" {
		r.Label = q.MetricStat.Metric.MetricName
	}
	if more {
		r.StatusCode = "PartialData"
	}
	for _, p := range points {
		r.Timestamps = append(r.Timestamps, stamp(p.Time))
		r.Values = append(r.Values, valueOf(watch.Statistic(q.MetricStat.Stat), p))
	}
	return r
}
