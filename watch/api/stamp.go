package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// A stamp is a time in each of the three forms: ISO 8601 in the Query
// protocol, a number of seconds since 1970 in JSON, the same under tag 1 in
// CBOR. All are to the millisecond.
type stamp time.Time

// A stamp is read and written between these years: far enough for any client
// to say "the begin" or "the end" of time.
const (
	minYear = 1
	maxYear = 9999
)

func stampOf(t time.Time) *stamp {
	s := stamp(t)
	return &s
}

func (s stamp) seconds() float64 { return float64(time.Time(s).UnixMilli()) / 1000 }

func (s *stamp) setSeconds(sec float64) error {
	if math.IsNaN(sec) || math.Abs(sec) > 1e15 {
		return fmt.Errorf("%v is not a time in seconds since 1970", sec)
	}
	t := time.UnixMilli(int64(math.Round(sec * 1000))).UTC()
	if t.Year() < minYear || t.Year() > maxYear {
		return fmt.Errorf("%v is not a time in seconds since 1970", sec)
	}
	*s = stamp(t)
	return nil
}

// MarshalText writes ISO 8601 in UTC, with a fraction where there is one:
// python-boto takes none in a datapoint, which is of a whole minute.
func (s stamp) MarshalText() ([]byte, error) {
	return time.Time(s).UTC().AppendFormat(nil, "2006-01-02T15:04:05.999Z"), nil
}

// UnmarshalText reads ISO 8601, in UTC where no offset is given, as
// python-boto gives none; or seconds since 1970.
func (s *stamp) UnmarshalText(text []byte) error {
	value := strings.TrimSpace(string(text))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "20060102T150405Z", "2006-01-02"} {
		if t, err := time.Parse(layout, value); err == nil && t.UTC().Year() >= minYear && t.UTC().Year() <= maxYear {
			*s = stamp(t.UTC().Truncate(time.Millisecond))
			return nil
		}
	}
	if sec, err := strconv.ParseFloat(value, 64); err == nil {
		return s.setSeconds(sec)
	}
	return fmt.Errorf("%q is not a time such as 2006-01-02T15:04:05Z", value)
}

// MarshalJSON writes seconds.
func (s stamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, s.seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads seconds, or a text as UnmarshalText does.
func (s *stamp) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		return s.UnmarshalText([]byte(text))
	}
	sec, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("%s is not a time in seconds since 1970", data)
	}
	return s.setSeconds(sec)
}

// MarshalCBOR writes tag 1 with a 64-bit float, the one form that every
// client reads.
func (s stamp) MarshalCBOR() ([]byte, error) {
	return cborEncoder.Marshal(cbor.Tag{Number: 1, Content: s.seconds()})
}

// UnmarshalCBOR reads a number, alone or under tag 1, or a text.
func (s *stamp) UnmarshalCBOR(data []byte) error {
	var tag cbor.RawTag
	if len(data) > 0 && data[0]>>5 == 6 {
		if err := cborDecoder.Unmarshal(data, &tag); err != nil {
			return err
		}
		if tag.Number > 1 {
			return fmt.Errorf("tag %d is not that of a time", tag.Number)
		}
		data = tag.Content
	}
	if len(data) > 0 && data[0]>>5 == 3 {
		var text string
		if err := cborDecoder.Unmarshal(data, &text); err != nil {
			return err
		}
		return s.UnmarshalText([]byte(text))
	}
	var sec float64
	if err := cborDecoder.Unmarshal(data, &sec); err != nil {
		return err
	}
	return s.setSeconds(sec)
}
