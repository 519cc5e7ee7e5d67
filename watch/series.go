package watch

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// minute is the width of the buckets of metrics for people, who ask for them by
// the wall clock and know of nothing else when it is set: unlike the windows of
// alarms, which decide, metrics stay where they came in.
const minute = time.Minute

func minuteOf(t time.Time) int64 { return floorDiv(t.Unix(), int64(minute/time.Second)) }

// series are the samples of one metric, for people.
type series struct {
	namespace, metric, unit string
	dimensions              []Dimension
	window                  window
	last                    int64 // newest bucket
}

// A Metric is a name that samples came under.
type Metric struct {
	Project, Namespace, Name, Unit string // the unit that the newest sample had
	Dimensions                     []Dimension
}

// keepMetric adds a sample to its metric, and says whether there was room.
func (e *Engine) keepMetric(p *project, s *Sample, now time.Time) bool {
	if len(p.series) == 0 && e.series >= e.Series {
		return false
	}
	e.scratch = appendMetric(e.scratch[:0], s.Namespace, s.Metric)
	e.scratch = append(e.scratch, 0)
	e.scratch = appendDimensions(e.scratch, s.Dimensions)
	t := s.Time
	if t.IsZero() {
		t = now
	}
	at, end := minuteOf(t), minuteOf(now)+1
	reach := int64(e.Retention / minute)
	if at < end-reach {
		return true // it would be gone already
	}
	m := p.series[string(e.scratch)]
	if m == nil {
		if len(p.series) >= e.SeriesPerProject || e.series >= e.Series {
			return false
		}
		m = &series{namespace: s.Namespace, metric: s.Metric, dimensions: slices.Clone(s.Dimensions)}
		p.series[string(e.scratch)] = m
		e.series++
	}
	m.unit = s.Unit
	m.window.forget(uint32(end - reach))
	m.window.add(uint32(at), Stat{s.Count, s.Sum, s.Min, s.Max})
	m.last = max(m.last, at)
	return true
}

// expireMetrics forgets the metrics whose last sample is older than Retention.
func (e *Engine) expireMetrics(now time.Time) {
	oldest := minuteOf(now) + 1 - int64(e.Retention/minute)
	for _, p := range e.projects {
		for name, m := range p.series {
			if m.last < oldest {
				delete(p.series, name)
				e.series--
			}
		}
		e.dropProject(p)
	}
}

// A MetricQuery asks for metrics of a caller's project; an operator's, of
// Project, or of all.
type MetricQuery struct {
	Project         string
	Namespace, Name string        // empty: of any
	Dimensions      []Dimension   // that it has, perhaps beside others; an empty Value: any
	Within          time.Duration // of now its newest sample is; 0: any
}

// ListMetrics lists metrics by project, namespace, name and dimensions.
func (e *Engine) ListMetrics(now time.Time, c Caller, q MetricQuery) []Metric {
	e.mu.Lock()
	defer e.mu.Unlock()
	oldest := int64(math.MinInt64)
	if q.Within > 0 {
		oldest = minuteOf(now.Add(-q.Within))
	}
	var list []Metric
	for _, p := range e.seen(c, q.Project) {
		for _, m := range p.series {
			if q.Namespace != "" && q.Namespace != m.namespace || q.Name != "" && q.Name != m.metric ||
				m.last < oldest || !has(m.dimensions, q.Dimensions) {
				continue
			}
			list = append(list, Metric{p.id, m.namespace, m.metric, m.unit, slices.Clone(m.dimensions)})
		}
	}
	slices.SortFunc(list, func(a, b Metric) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			slices.CompareFunc(a.Dimensions, b.Dimensions, compareDimensions))
	})
	return list
}

// has says whether dimensions are there, whose empty values match any.
func has(there, wanted []Dimension) bool {
	for _, w := range wanted {
		if !slices.ContainsFunc(there, func(d Dimension) bool { return d.Name == w.Name && (w.Value == "" || d.Value == w.Value) }) {
			return false
		}
	}
	return true
}

func compareDimensions(a, b Dimension) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

// seen are the projects that a caller sees, those named if it is an operator.
func (e *Engine) seen(c Caller, named string) []*project {
	switch {
	case c.Role != Operator:
		named = c.Project
	case named == "":
		all := make([]*project, 0, len(e.projects))
		for _, p := range e.projects {
			all = append(all, p)
		}
		return all
	}
	if p := e.projects[named]; p != nil {
		return []*project{p}
	}
	return nil
}

// A StatisticsQuery asks for the samples of one metric.
type StatisticsQuery struct {
	Project         string // for an operator
	Namespace, Name string
	Dimensions      []Dimension   // all of them
	Unit            string        // empty: any
	From, To        time.Time     // From <= datapoint < To
	Period          time.Duration // of a datapoint: whole minutes
}

// A Datapoint is what the samples of a period from Time come to.
type Datapoint struct {
	Time time.Time
	Unit string
	Stat
}

// Statistics returns the datapoints of a metric, oldest first; of one that is
// not there, none. Periods begin at whole multiples since 1970.
func (e *Engine) Statistics(c Caller, q StatisticsQuery) []Datapoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	dimensions := slices.Clone(q.Dimensions)
	slices.SortFunc(dimensions, compareDimensions)
	e.scratch = appendMetric(e.scratch[:0], q.Namespace, q.Name)
	e.scratch = append(e.scratch, 0)
	e.scratch = appendDimensions(e.scratch, dimensions)
	per := max(1, int64(q.Period/minute))
	first, last := minuteOf(q.From), minuteOf(q.To.Add(-1))
	var points []Datapoint
	for _, p := range e.seen(c, q.Project) {
		m := p.series[string(e.scratch)]
		if m == nil || q.Unit != "" && q.Unit != m.unit {
			continue
		}
		for _, b := range m.window.buckets {
			if at := int64(b.at); at < first || at > last {
				continue
			}
			t := time.Unix(int64(b.at)/per*per*int64(minute/time.Second), 0)
			if n := len(points); n == 0 || !points[n-1].Time.Equal(t) {
				points = append(points, Datapoint{Time: t, Unit: m.unit})
			}
			d := &points[len(points)-1]
			d.Stat = d.plus(m.window.stat(b))
		}
	}
	return points
}
