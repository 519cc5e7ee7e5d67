package metric

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The action and the version of its API.
const (
	Action  = "PutMetricData"
	Version = "2010-08-01"
)

// timeFormat is ISO 8601 to the millisecond, in UTC.
const timeFormat = "2006-01-02T15:04:05.999Z"

// Form returns the parameters of one PutMetricData with datapoints of one
// namespace, that of the first. Cut gives as many as one request can carry.
func Form(points []Datapoint) url.Values {
	form := url.Values{"Action": {Action}, "Version": {Version}}
	for i, p := range points {
		form.Set("Namespace", p.Namespace)
		for _, param := range p.params(i + 1) {
			form.Set(param[0], param[1])
		}
	}
	return form
}

// params are the names and values of the n-th datapoint of a request, its
// dimensions in the order of their names.
func (p Datapoint) params(n int) [][2]string {
	prefix := "MetricData.member." + strconv.Itoa(n) + "."
	list := [][2]string{
		{prefix + "MetricName", p.Name},
		{prefix + "Value", strconv.FormatFloat(p.Value, 'f', -1, 64)},
	}
	if p.Unit != "" {
		list = append(list, [2]string{prefix + "Unit", p.Unit})
	}
	if !p.Time.IsZero() {
		list = append(list, [2]string{prefix + "Timestamp", p.Time.UTC().Format(timeFormat)})
	}
	for i, name := range slices.Sorted(maps.Keys(p.Dimensions)) {
		member := prefix + "Dimensions.member." + strconv.Itoa(i+1) + "."
		list = append(list, [2]string{member + "Name", name}, [2]string{member + "Value", p.Dimensions[name]})
	}
	return list
}

// Cut parts datapoints into what the first request can carry and the rest,
// both in their order: the batch is of the first one's namespace, has at most
// MaxPoints and, encoded, at most MaxBody bytes. It has one datapoint at
// least, unless there are none.
func Cut(points []Datapoint) (batch, rest []Datapoint) {
	size := len("Action=&Version=") + len(Action) + len(Version)
	full := false
	for _, p := range points {
		if len(batch) == 0 {
			size += len("&Namespace=") + escapedLen(p.Namespace)
		}
		if full || len(batch) > 0 && p.Namespace != batch[0].Namespace {
			rest = append(rest, p)
			continue
		}
		add := 0
		for _, param := range p.params(len(batch) + 1) {
			add += len("&=") + escapedLen(param[0]) + escapedLen(param[1])
		}
		if len(batch) == MaxPoints || len(batch) > 0 && size+add > MaxBody {
			full = true // later ones stay behind this one
			rest = append(rest, p)
			continue
		}
		size += add
		batch = append(batch, p)
	}
	return batch, rest
}

// escapedLen is the length of a text with all but the unreserved characters
// of RFC 3986 percent-encoded, as signatures demand it.
func escapedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0) {
			n += 2
		}
	}
	return n
}

// Parse reads the datapoints of a PutMetricData with one value each; a
// statistic set or a list of values is an error, and so is whatever is over
// the limits of Check. It is the inverse of Form.
func Parse(form url.Values) ([]Datapoint, error) {
	if action := form.Get("Action"); action != Action {
		return nil, fmt.Errorf("the action %q is not %s", action, Action)
	}
	var points []Datapoint
	for n := 1; n <= MaxPoints; n++ {
		m := member{form, "MetricData.member." + strconv.Itoa(n) + "."}
		if !m.exists() {
			break
		}
		p, err := m.datapoint()
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSuffix(m.prefix, "."), err)
		}
		points = append(points, p)
	}
	if len(points) == 0 {
		return nil, errors.New("there is no MetricData.member.1")
	}
	return points, nil
}

// A member is one element of the list MetricData in a form.
type member struct {
	form   url.Values
	prefix string
}

func (m member) exists() bool {
	return m.form.Has(m.prefix+"MetricName") || m.form.Has(m.prefix+"Value")
}

func (m member) get(name string) string { return m.form.Get(m.prefix + name) }

func (m member) datapoint() (Datapoint, error) {
	p := Datapoint{Namespace: m.form.Get("Namespace"), Name: m.get("MetricName"), Unit: m.get("Unit")}
	var err error
	if p.Value, err = strconv.ParseFloat(m.get("Value"), 64); err != nil {
		return p, fmt.Errorf("its Value %q is not a number", m.get("Value"))
	}
	if text := m.get("Timestamp"); text != "" {
		if p.Time, err = time.Parse(time.RFC3339, text); err != nil {
			return p, fmt.Errorf("its Timestamp %q is not a time such as 2026-01-02T15:04:05Z", text)
		}
		p.Time = p.Time.UTC()
	}
	for n := 1; n <= MaxDimensions+1; n++ {
		prefix := "Dimensions.member." + strconv.Itoa(n) + "."
		name, value := m.get(prefix+"Name"), m.get(prefix+"Value")
		if name == "" && value == "" {
			break
		}
		if p.Dimensions == nil {
			p.Dimensions = map[string]string{}
		}
		p.Dimensions[name] = value
	}
	return p, nil
}
