package metadata

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a time as options and files give it: 90, 90s, 5m, 1h.
// A number without a unit is seconds. A negative time is an error.
func ParseDuration(s string) (time.Duration, error) {
	return ParseDurationIn(s, time.Second)
}

// ParseDurationIn is ParseDuration with another unit for a bare number.
func ParseDurationIn(s string, unit time.Duration) (time.Duration, error) {
	s = strings.TrimSpace(s)
	d, err := time.ParseDuration(s)
	if n, numErr := strconv.ParseFloat(s, 64); numErr == nil {
		d, err = time.Duration(n*float64(unit)), nil
		if !(n >= 0 && n < float64(1<<62)/float64(unit)) { // not a number too
			err = strconv.ErrRange
		}
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time: write 90 (seconds), 90s, 5m or 1h", s)
	}
	return d, nil
}
