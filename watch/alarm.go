package watch

import (
	"time"
)

// A Statistic makes one number of the samples of a period.
type Statistic string

// The statistics of CloudWatch but percentiles.
const (
	SampleCount Statistic = "SampleCount"
	Average     Statistic = "Average"
	Sum         Statistic = "Sum"
	Minimum     Statistic = "Minimum"
	Maximum     Statistic = "Maximum"
)

// A Comparison is what a datapoint is to the threshold when it breaches.
type Comparison string

// The comparisons of CloudWatch but those of anomaly bands.
const (
	GreaterOrEqual Comparison = "GreaterThanOrEqualToThreshold"
	Greater        Comparison = "GreaterThanThreshold"
	Less           Comparison = "LessThanThreshold"
	LessOrEqual    Comparison = "LessThanOrEqualToThreshold"
)

// A Missing is how a period without samples is read: TreatMissingData.
type Missing string

// The treatments of CloudWatch.
const (
	MissingMissing      Missing = "missing" // the default
	MissingIgnore       Missing = "ignore"
	MissingBreaching    Missing = "breaching"
	MissingNotBreaching Missing = "notBreaching"
)

// A Match is which samples without an alarm's name an alarm takes.
type Match string

// Matches: the sample's dimensions are the alarm's, or the alarm's are among
// the sample's, as old Heat had it.
const (
	MatchExact  Match = "exact"
	MatchSubset Match = "subset"
)

// An Origin is where an alarm was defined, which decides what it may ask for.
type Origin string

// Origins of alarms.
const (
	FromRules Origin = "rules" // a rule file of the operator
	FromAPI   Origin = "api"   // PutMetricAlarm
	FromStack Origin = "stack" // a stack, followed or imported
)

// AnyStack as an alarm's Stack lets the guests of every stack of its project
// feed it.
const AnyStack = "*"

// An Alarm is the definition of an alarm: the fields of MetricAlarm, and ours,
// which PutMetricAlarm carries as tags "cfnwatch:<Field>".
type Alarm struct {
	ID             int64 // in the store, never used again; 0: not stored yet
	Revision       int   // counts the changes of the definition, from 1
	Project        string
	Name           string // 1 to 255 characters, unique in its project
	Description    string
	Namespace      string
	Metric         string      // MetricName
	Unit           string      // takes samples of this unit alone; empty: of any
	Dimensions     []Dimension // by name
	Statistic      Statistic
	Period         time.Duration
	Periods        int // EvaluationPeriods
	Datapoints     int // DatapointsToAlarm; 0: as Periods
	Threshold      float64
	Comparison     Comparison
	Missing        Missing // TreatMissingData; empty: missing
	ActionsEnabled bool
	OnAlarm        []string // AlarmActions, at most five, as the other two
	OnOK           []string // OKActions
	OnNoData       []string // InsufficientDataActions

	Stack      string        // root stack whose guests may feed it, by name or id; AnyStack; empty: only keys bound to no stack
	StackID    string        // of the stack that it was imported from
	Legacy     bool          // reads "no samples" as old Heat did: see Reading
	Tolerance  time.Duration // of silence, beyond the periods; 0: see Silence
	Range      int           // periods that are looked at; 0: see EvaluationRange
	StartAfter time.Duration // when absence starts to count for a new alarm; 0: with the first sample
	Ladder     string        // that restarts climb; empty: default
	Target     string        // of its actions; empty: as each says
	Match      Match         // empty: exact
	Repeat     time.Duration // of messages while the state lasts, at least 60 s; 0: never

	Origin  Origin
	File    string            // of rules, with the line
	Tags    map[string]string // as TagResource sets them
	Created time.Time         // when it was first defined
	Updated time.Time         // of the definition
}
