package watch

import (
	"errors"
	"strings"
)

// ErrNotFound is the error for an alarm that is not there, or is of a project
// that the caller may not see: nothing tells the two apart.
var ErrNotFound = errors.New("no such alarm")

// Codes of InvalidError, as CloudWatch's API has them.
const (
	InvalidValue       = "InvalidParameterValue"
	InvalidCombination = "InvalidParameterCombination"
	MissingParameter   = "MissingParameter"
	LimitExceeded      = "LimitExceeded"
	InvalidNextToken   = "InvalidNextToken"
)

// An InvalidError is a request that cannot be done as it is.
type InvalidError struct {
	Code     string // of the first mistake
	Mistakes []Mistake
}

// A Mistake is one thing wrong with a field.
type Mistake struct {
	Field string // as CloudWatch names it: Period, Dimensions, cfnwatch:Range
	What  string // what is wrong, and what may be there
}

func (m Mistake) String() string { return m.Field + ": " + m.What }

// Error tells all mistakes in one line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "; ")
}

// Invalid returns an InvalidError with one mistake.
func Invalid(code, field, what string) *InvalidError {
	return &InvalidError{Code: code, Mistakes: []Mistake{{field, what}}}
}
