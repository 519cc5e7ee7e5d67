package watch

import "slices"

// A route leads the samples of one metric of a project to alarms that are not
// named in them. Whatever the number of alarms, a sample costs one step for
// each of its dimensions and one for each alarm that it may be for.
type route struct {
	exact  map[string][]*entry    // by all dimensions
	subset map[Dimension][]*entry // by one dimension of the alarm; the zero Dimension: it has none
}

// routed says whether samples reach an alarm by metric and dimensions. A
// presence alarm without dimensions would live by anybody's heartbeat: it is
// fed by name only.
func (en *entry) routed() bool { return !en.kind.rule.presence || len(en.dimensions()) > 0 }

func appendMetric(b []byte, namespace, metric string) []byte {
	b = append(b, namespace...)
	b = append(b, 0)
	return append(b, metric...)
}

func appendDimensions(b []byte, dimensions []Dimension) []byte {
	for _, d := range dimensions {
		b = append(b, d.Name...)
		b = append(b, 0)
		b = append(b, d.Value...)
		b = append(b, 0)
	}
	return b
}

func (e *Engine) addRoute(en *entry) {
	if !en.routed() {
		return
	}
	a := en.alarm()
	name := string(appendMetric(nil, a.Namespace, a.Metric))
	r := en.project.routes[name]
	if r == nil {
		r = &route{exact: map[string][]*entry{}, subset: map[Dimension][]*entry{}}
		en.project.routes[name] = r
	}
	if a.Match != MatchSubset {
		at := string(appendDimensions(nil, a.Dimensions))
		r.exact[at] = append(r.exact[at], en)
		return
	}
	var at Dimension
	for i, d := range a.Dimensions { // that which tells the most
		if i == 0 || len(r.subset[d]) < len(r.subset[at]) {
			at = d
		}
	}
	r.subset[at] = append(r.subset[at], en)
}

func (e *Engine) removeRoute(en *entry) {
	if !en.routed() {
		return
	}
	a := en.alarm()
	name := string(appendMetric(nil, a.Namespace, a.Metric))
	r := en.project.routes[name]
	if a.Match != MatchSubset {
		drop(r.exact, string(appendDimensions(nil, a.Dimensions)), en)
	} else if !drop(r.subset, Dimension{}, en) {
		for _, d := range a.Dimensions {
			if drop(r.subset, d, en) {
				break
			}
		}
	}
	if len(r.exact) == 0 && len(r.subset) == 0 {
		delete(en.project.routes, name)
	}
}

// drop takes an entry out of a list, and says whether it was there.
func drop[K comparable](lists map[K][]*entry, at K, en *entry) bool {
	list := lists[at]
	i := slices.Index(list, en)
	if i < 0 {
		return false
	}
	if lists[at] = slices.Delete(list, i, i+1); len(lists[at]) == 0 {
		delete(lists, at)
	}
	return true
}

// route calls f with each alarm of a project that a sample is for, and returns
// how many it looked at.
func (e *Engine) route(p *project, s *Sample, f func(*entry)) (looked int) {
	if s.Alarm != "" {
		if en := e.alarm(p, s.Alarm); en != nil && en.kind.alarm.Metric == s.Metric && en.takes(s) {
			f(en)
		}
		return 1
	}
	e.scratch = appendMetric(e.scratch[:0], s.Namespace, s.Metric)
	r := p.routes[string(e.scratch)]
	if r == nil {
		return 0
	}
	e.scratch = appendDimensions(e.scratch[:0], s.Dimensions)
	exact := r.exact[string(e.scratch)]
	looked = len(exact)
	for _, en := range exact {
		if en.takes(s) {
			f(en)
		}
	}
	if len(r.subset) == 0 {
		return looked
	}
	for i := -1; i < len(s.Dimensions); i++ {
		var at Dimension
		if i >= 0 {
			at = s.Dimensions[i]
		}
		looked += len(r.subset[at])
		for _, en := range r.subset[at] {
			if en.takes(s) && subset(en.dimensions(), s.Dimensions) {
				f(en)
			}
		}
	}
	return looked
}

// takes says whether the unit of a sample is the alarm's.
func (en *entry) takes(s *Sample) bool {
	unit := en.kind.alarm.Unit
	return unit == "" || unit == s.Unit
}

// subset says whether each of some dimensions is among others; both are by name.
func subset(some, others []Dimension) bool {
	for _, d := range some {
		for len(others) > 0 && others[0].Name < d.Name {
			others = others[1:]
		}
		if len(others) == 0 || others[0] != d {
			return false
		}
	}
	return true
}

// fedBy says whether a caller may feed an alarm: one whose key is bound to a
// stack feeds the alarms of that stack, and those that are for all.
func (en *entry) fedBy(c Caller) bool {
	return c.Stack == "" || en.stack == AnyStack || c.OfStack(en.stack, en.stackID())
}
