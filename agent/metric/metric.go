// Package metric is the datapoint that a guest sends and an alarm server
// takes, and its form in PutMetricData, an action of the CloudWatch API
// (version 2010-08-01, AWS Query protocol) that old Heat served too. It
// measures nothing, signs nothing and sends nothing.
package metric

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// AlarmName is the dimension that names the alarm a datapoint is for, as
// heat-cfntools sends it and Heat's own alarm server read it. InstanceID is
// the one that tells which instance it is about.
const (
	AlarmName  = "AlarmName"
	InstanceID = "InstanceId"
)

// A Datapoint is one value of a metric. Time is when it was measured; the
// zero Time means when it arrives.
type Datapoint struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Unit       string            `json:"unit,omitempty"` // empty: none
	Value      float64           `json:"value"`
	Time       time.Time         `json:"time,omitzero"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// Limits of the API reference, PutMetricData, MetricDatum and Dimension.
const (
	MaxName       = 255  // characters of a namespace, a metric's or dimension's name
	MaxDimension  = 1024 // characters of a dimension's value
	MaxDimensions = 30   // of one datapoint
	MaxPoints     = 1000 // of one request
	MaxBody       = 1 << 20
)

// maxValue is the largest magnitude of a value.
const maxValue = 0x1p360

// Check tells what makes a datapoint one that no server takes: a name that is
// missing or too long, a value that is not a number or too large, dimensions
// over their limits.
func (p Datapoint) Check() error {
	switch {
	case !within(p.Namespace, MaxName) || p.Namespace[0] == ':':
		return fmt.Errorf("metric %s: its namespace %q is not of 1 to %d characters, the first no colon", p.Name, p.Namespace, MaxName)
	case !within(p.Name, MaxName):
		return fmt.Errorf("metric %q: its name is not of 1 to %d characters", p.Name, MaxName)
	case math.IsNaN(p.Value) || math.Abs(p.Value) > maxValue:
		return fmt.Errorf("metric %s: %v is not a value between -2^360 and 2^360", p.Name, p.Value)
	case len(p.Dimensions) > MaxDimensions:
		return fmt.Errorf("metric %s: it has %d dimensions, and %d are the most", p.Name, len(p.Dimensions), MaxDimensions)
	}
	for name, value := range p.Dimensions {
		if !ValidDimension(name, value) {
			return fmt.Errorf("metric %s: dimension %q = %q: a name has 1 to %d characters and a value 1 to %d", p.Name, name, value, MaxName, MaxDimension)
		}
	}
	return nil
}

// ValidDimension says whether a dimension has a name and a value, both within
// their limits.
func ValidDimension(name, value string) bool {
	return within(name, MaxName) && within(value, MaxDimension)
}

func within(s string, limit int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit
}
