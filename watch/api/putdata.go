package api

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/watch"
)

// putMetricDataInput is PutMetricDataInput of the model.
type putMetricDataInput struct {
	Namespace  string
	MetricData []datum
}

// A datum is MetricDatum: Value, StatisticValues or Values say what was
// measured. StorageResolution is taken and means nothing: what is kept is as
// fine as the alarms need.
type datum struct {
	MetricName        string
	Dimensions        []dimension
	Timestamp         *stamp
	Value             *float64
	StatisticValues   *statisticSet
	Values            []float64
	Counts            []float64
	Unit              string
	StorageResolution *int
}

type statisticSet struct {
	SampleCount, Sum, Minimum, Maximum *float64
}

// A dimension is Dimension and DimensionFilter.
type dimension struct {
	Name  string
	Value string `json:",omitempty" xml:",omitempty"`
}

// nothing is the output of an action that has none.
type nothing struct{}

// Limits of PutMetricData beyond those of package metric.
const (
	maxValues = 150     // in one Values
	maxNumber = 0x1p360 // magnitude of a value
)

func (h *Handler) putMetricData(_ context.Context, c *call, in *putMetricDataInput) (*nothing, error) {
	samples, err := in.samples()
	if err != nil {
		return nil, err
	}
	c.heard = true
	if c.throttled != nil {
		for i := range samples {
			samples[i].Time = time.Unix(0, 0) // too old to be folded, and an arrival all the same
		}
	}
	r := h.engine.Put(c.arrived, c.caller, samples)
	switch {
	case c.throttled != nil:
		return nil, c.throttled
	case r.Untimely > 0:
		return nil, invalid("MetricData: the Timestamp of %d of %d members is not between 14 days ago and 2 hours ahead; the others were taken", r.Untimely, len(samples))
	}
	return &nothing{}, nil
}

// samples checks the whole request and makes a sample of each datum.
func (in *putMetricDataInput) samples() ([]watch.Sample, error) {
	switch {
	case in.Namespace == "":
		return nil, missing("Namespace")
	case !within(in.Namespace, metric.MaxName) || in.Namespace[0] == ':':
		return nil, invalid("Namespace has 1 to %d characters, the first no colon", metric.MaxName)
	case len(in.MetricData) == 0:
		return nil, missing("MetricData")
	case len(in.MetricData) > metric.MaxPoints:
		return nil, invalid("MetricData has %d members, and %d are the most", len(in.MetricData), metric.MaxPoints)
	}
	samples := make([]watch.Sample, len(in.MetricData))
	for i := range in.MetricData {
		s := &samples[i]
		s.Namespace = in.Namespace
		if err := in.MetricData[i].sample(s); err != nil {
			return nil, err.in(fmt.Sprintf("MetricData.member.%d", i+1))
		}
	}
	return samples, nil
}

// sample checks a datum and makes it one.
func (d *datum) sample(s *watch.Sample) *Error {
	if d.MetricName == "" {
		return missing("MetricName")
	}
	if !within(d.MetricName, metric.MaxName) {
		return invalid("MetricName has 1 to %d characters", metric.MaxName)
	}
	s.Metric = d.MetricName
	s.Unit = unitOf(d.Unit)
	if t := d.Timestamp; t != nil {
		s.Time = time.Time(*t)
	}
	var err *Error
	if s.Dimensions, s.Alarm, err = dimensionsOf(d.Dimensions); err != nil {
		return err
	}
	return d.numbers(s)
}

// numbers reads what was measured.
func (d *datum) numbers(s *watch.Sample) *Error {
	given := 0
	for _, is := range []bool{d.Value != nil, d.StatisticValues != nil, len(d.Values) > 0} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return missing("Value")
	case given > 1:
		return combination("Value, StatisticValues and Values exclude each other")
	case d.Value != nil:
		if !isNumber(*d.Value) {
			return invalid("Value is not a number between -2^360 and 2^360")
		}
		s.Count, s.Sum, s.Min, s.Max = 1, *d.Value, *d.Value, *d.Value
		return nil
	case d.StatisticValues != nil:
		return d.StatisticValues.numbers(s)
	}
	return d.values(s)
}

func (set *statisticSet) numbers(s *watch.Sample) *Error {
	for _, f := range []struct {
		name string
		from *float64
		to   *float64
	}{{"SampleCount", set.SampleCount, &s.Count}, {"Sum", set.Sum, &s.Sum}, {"Minimum", set.Minimum, &s.Min}, {"Maximum", set.Maximum, &s.Max}} {
		if f.from == nil {
			return missing("StatisticValues." + f.name)
		}
		if !isNumber(*f.from) {
			return invalid("StatisticValues.%s is not a number between -2^360 and 2^360", f.name)
		}
		*f.to = *f.from
	}
	switch {
	case s.Count <= 0:
		return invalid("StatisticValues.SampleCount is not above 0")
	case s.Min > s.Max:
		return invalid("StatisticValues.Minimum is above Maximum")
	case !isNumber(s.Sum / s.Count):
		return invalid("StatisticValues: the average, Sum by SampleCount, is not a number between -2^360 and 2^360")
	}
	return nil
}

// values folds Values with Counts, one each where there are none.
func (d *datum) values(s *watch.Sample) *Error {
	switch {
	case len(d.Values) > maxValues:
		return invalid("Values has %d members, and %d are the most", len(d.Values), maxValues)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return combination("Counts has %d members, and Values %d", len(d.Counts), len(d.Values))
	}
	s.Min, s.Max = math.Inf(1), math.Inf(-1)
	for i, v := range d.Values {
		count := 1.0
		if len(d.Counts) > 0 {
			count = d.Counts[i]
		}
		if !isNumber(v) {
			return invalid("Values.member.%d is not a number between -2^360 and 2^360", i+1)
		}
		if !isNumber(count) || count <= 0 {
			return invalid("Counts.member.%d is not a number above 0", i+1)
		}
		s.Count += count
		s.Sum += v * count
		s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	}
	if !isNumber(s.Sum) || !isNumber(s.Count) {
		return invalid("the sum of Values is not between -2^360 and 2^360")
	}
	return nil
}

// dimensionsOf sorts dimensions by name and takes AlarmName out of them. One
// without a value says nothing and is left out: cfn-push-stats sends every tag
// of its server, and some are empty.
func dimensionsOf(list []dimension) (dims []watch.Dimension, alarm string, err *Error) {
	if len(list) > metric.MaxDimensions {
		return nil, "", invalid("Dimensions has %d members, and %d are the most", len(list), metric.MaxDimensions)
	}
	for i, d := range list {
		switch {
		case d.Name == "":
			return nil, "", missing(fmt.Sprintf("Dimensions.member.%d.Name", i+1))
		case d.Value == "":
			continue
		case !metric.ValidDimension(d.Name, d.Value):
			return nil, "", invalid("Dimensions.member.%d: a name has 1 to %d characters and a value 1 to %d", i+1, metric.MaxName, metric.MaxDimension)
		case d.Name == metric.AlarmName && alarm != "":
			return nil, "", invalid("Dimensions has %s twice", metric.AlarmName)
		case d.Name == metric.AlarmName:
			alarm = d.Value
		default:
			dims = append(dims, watch.Dimension{Name: d.Name, Value: d.Value})
		}
	}
	slices.SortFunc(dims, func(a, b watch.Dimension) int { return strings.Compare(a.Name, b.Name) })
	for i := range dims {
		if i > 0 && dims[i].Name == dims[i-1].Name {
			return nil, "", invalid("Dimensions has %q twice", dims[i].Name)
		}
	}
	return dims, alarm, nil
}

// unitOf is the unit that a client means: None where it names none, or one that
// is unknown. No datum is refused for its unit.
func unitOf(s string) string {
	if u, known := watch.Unit(s); known && u != "" {
		return u
	}
	return "None"
}

// seconds is a period as clients give it.
func seconds(n int) time.Duration {
	return time.Duration(min(max(n, -1), math.MaxInt32)) * time.Second
}

func isNumber(x float64) bool { return !math.IsNaN(x) && math.Abs(x) <= maxNumber }

// within says whether a text has 1 to limit characters.
func within(s string, limit int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit
}
