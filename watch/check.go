package watch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of CloudWatch's PutMetricAlarm, in characters where they are of texts.
const (
	mostName       = 255 // of alarms, metrics, namespaces, dimensions
	mostText       = 1_024
	mostActions    = 5
	mostDimensions = 30
	mostSpan       = 24 * time.Hour     // of Period × EvaluationPeriods
	mostLongSpan   = 7 * 24 * time.Hour // likewise, for periods of at least longPeriod
	longPeriod     = time.Hour
	mostValue      = 0x1p360 // and its negative: of samples and thresholds
	leastRepeat    = time.Minute
)

// tidy returns the alarm in the one form that is stored.
func (a Alarm) tidy() Alarm {
	a.Dimensions = slices.Clone(a.Dimensions)
	slices.SortFunc(a.Dimensions, compareDimensions)
	if len(a.Dimensions) == 0 {
		a.Dimensions = nil
	}
	for _, actions := range []*[]string{&a.OnAlarm, &a.OnOK, &a.OnNoData} {
		if len(*actions) == 0 {
			*actions = nil
		}
	}
	if len(a.Tags) == 0 {
		a.Tags = nil
	}
	return a
}

// A check gathers the mistakes of an alarm.
type check struct {
	a        *Alarm
	mistakes []Mistake
	code     string
}

func (c *check) wrong(code, field, format string, args ...any) {
	if c.code == "" {
		c.code = code
	}
	c.mistakes = append(c.mistakes, Mistake{field, fmt.Sprintf(format, args...)})
}

// Check says all that is wrong with a definition: nil, or an InvalidError. The
// fields and limits are those of CloudWatch's PutMetricAlarm; those of ours are
// called as the tags that carry them, "cfnwatch:Tolerance".
func (a *Alarm) Check() error {
	c := check{a: a}
	c.names()
	c.metric()
	c.judging()
	c.ours()
	if len(c.mistakes) == 0 {
		return nil
	}
	return &InvalidError{Code: c.code, Mistakes: c.mistakes}
}

// text checks the length and the characters of one.
func (c *check) text(field, s string, least, most int) {
	n := utf8.RuneCountInString(s)
	switch {
	case s == "" && least > 0:
		c.wrong(MissingParameter, field, "missing")
	case n < least || n > most:
		c.wrong(InvalidValue, field, "has %d characters: %d to %d are allowed", n, least, most)
	case !utf8.ValidString(s):
		c.wrong(InvalidValue, field, "is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		c.wrong(InvalidValue, field, "has a control character")
	}
}

func (c *check) names() {
	a := c.a
	c.text("AlarmName", a.Name, 1, mostName)
	if n := utf8.RuneCountInString(a.Description); n > mostText || !utf8.ValidString(a.Description) {
		c.wrong(InvalidValue, "AlarmDescription", "has %d characters, or is not UTF-8: %d are allowed", n, mostText)
	}
	for _, list := range []struct {
		field   string
		actions []string
	}{{"AlarmActions", a.OnAlarm}, {"OKActions", a.OnOK}, {"InsufficientDataActions", a.OnNoData}} {
		if n := len(list.actions); n > mostActions {
			c.wrong(InvalidValue, list.field, "has %d actions: %d are allowed", n, mostActions)
		}
		for i, action := range list.actions {
			c.text(list.field+"["+strconv.Itoa(i)+"]", action, 1, mostText)
		}
	}
}

func (c *check) metric() {
	a := c.a
	c.text("MetricName", a.Metric, 1, mostName)
	c.text("Namespace", a.Namespace, 1, mostName)
	if strings.HasPrefix(a.Namespace, ":") {
		c.wrong(InvalidValue, "Namespace", "begins with a colon")
	}
	if n := len(a.Dimensions); n > mostDimensions {
		c.wrong(InvalidValue, "Dimensions", "has %d dimensions: %d are allowed", n, mostDimensions)
	}
	for i, d := range a.Dimensions {
		c.text("Dimensions["+strconv.Itoa(i)+"].Name", d.Name, 1, mostName)
		c.text("Dimensions["+strconv.Itoa(i)+"].Value", d.Value, 1, mostText)
		if i > 0 && a.Dimensions[i-1].Name == d.Name {
			c.wrong(InvalidValue, "Dimensions", "has %s twice", d.Name)
		}
	}
	if a.Unit != "" {
		if _, known := Unit(a.Unit); !known {
			c.wrong(InvalidValue, "Unit", "%q is no unit of CloudWatch, as Count, Percent or Megabytes are", a.Unit)
		}
	}
}

func (c *check) judging() {
	a := c.a
	oneOf(c, "Statistic", a.Statistic, SampleCount, Average, Sum, Minimum, Maximum)
	oneOf(c, "ComparisonOperator", a.Comparison, GreaterOrEqual, Greater, Less, LessOrEqual)
	if a.Missing != "" {
		oneOf(c, "TreatMissingData", a.Missing, MissingMissing, MissingIgnore, MissingBreaching, MissingNotBreaching)
	}
	if math.IsNaN(a.Threshold) || math.Abs(a.Threshold) > mostValue {
		c.wrong(InvalidValue, "Threshold", "is not a number within ±2^360")
	}
	switch p := a.Period; {
	case p == 0:
		c.wrong(MissingParameter, "Period", "missing")
	case p != 10*time.Second && p != 20*time.Second && p != 30*time.Second && (p < time.Minute || p%time.Minute != 0):
		c.wrong(InvalidValue, "Period", "is %s: 10, 20, 30 or a multiple of 60 seconds are allowed", p)
	}
	switch n := a.Periods; {
	case n == 0:
		c.wrong(MissingParameter, "EvaluationPeriods", "missing")
	case n < 0:
		c.wrong(InvalidValue, "EvaluationPeriods", "is %d: at least 1 is needed", n)
	case !fits(n, a.Period):
		c.wrong(InvalidCombination, "EvaluationPeriods", "%d × %s is more than a day, or than seven where Period is an hour or more", n, a.Period)
	}
	if a.Datapoints < 0 || a.Datapoints > max(a.Periods, 0) {
		c.wrong(InvalidCombination, "DatapointsToAlarm", "is %d: 1 to EvaluationPeriods (%d) are allowed", a.Datapoints, a.Periods)
	}
}

// fits says whether n periods are within the time that is looked at.
func fits(n int, period time.Duration) bool {
	most := mostSpan
	if period >= longPeriod {
		most = mostLongSpan
	}
	return period <= 0 || n <= int(most/period)
}

func (c *check) ours() {
	a := c.a
	if a.Range != 0 && (a.Range < a.Periods || !fits(a.Range, a.Period)) {
		c.wrong(InvalidCombination, "cfnwatch:Range", "is %d: EvaluationPeriods (%d) or more are allowed, within a day, or seven where Period is an hour or more",
			a.Range, a.Periods)
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"cfnwatch:Tolerance", a.Tolerance}, {"cfnwatch:StartAfter", a.StartAfter}} {
		if d.value < 0 || d.value > mostLongSpan {
			c.wrong(InvalidValue, d.field, "is %s: 0 to %s are allowed", d.value, mostLongSpan)
		}
	}
	if a.Repeat != 0 && (a.Repeat < leastRepeat || a.Repeat > mostLongSpan) {
		c.wrong(InvalidValue, "cfnwatch:Repeat", "is %s: never, or %s to %s are allowed", a.Repeat, leastRepeat, mostLongSpan)
	}
	if a.Match != "" {
		oneOf(c, "cfnwatch:Match", a.Match, MatchExact, MatchSubset)
	}
	c.text("cfnwatch:Stack", a.Stack, 0, mostName)
	c.text("cfnwatch:Ladder", a.Ladder, 0, mostName)
	c.text("cfnwatch:Target", a.Target, 0, mostText)
}

// oneOf checks that a word is one of those allowed.
func oneOf[T ~string](c *check, field string, word T, allowed ...T) {
	if word == "" {
		c.wrong(MissingParameter, field, "missing")
		return
	}
	if !slices.Contains(allowed, word) {
		names := make([]string, len(allowed))
		for i, w := range allowed {
			names[i] = string(w)
		}
		c.wrong(InvalidValue, field, "is %q: one of %s is needed", clip(string(word), 40), strings.Join(names, ", "))
	}
}
