package hup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/hooks"
)

// valueOf is the value that a hook looks at, as JSON; nil when there is none.
// A null is none, as a missing key is; 0, false, "" and {} are values, though
// aws-cfn-bootstrap takes them for none.
func valueOf(t hooks.Target, r Resource) json.RawMessage {
	var value json.RawMessage
	switch {
	case t.Part == hooks.Metadata && t.Key == "":
		value = r.Metadata.Bytes()
	case t.Part == hooks.Metadata:
		value, _ = r.Metadata.Lookup(t.Key)
	case t.Part == hooks.PhysicalResourceID && r.PhysicalID != "":
		value = text(r.PhysicalID)
	case t.Part == hooks.LastUpdated && !r.LastUpdated.IsZero():
		value = text(r.LastUpdated.UTC().Format(time.RFC3339))
	}
	if absent(value) {
		return nil
	}
	return value
}

func text(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil { // no string gives one
		return nil
	}
	return b
}

func absent(value json.RawMessage) bool {
	return len(value) == 0 || string(value) == "null"
}

// change is the event that turns one value into another; empty when they mean
// the same.
func change(old, now json.RawMessage) string {
	switch {
	case absent(old) && absent(now):
		return ""
	case absent(old):
		return hooks.Added
	case absent(now):
		return hooks.Removed
	case canonical(old) != canonical(now):
		return hooks.Updated
	}
	return ""
}

// digest stands for a value where the value itself need not be kept.
func digest(value json.RawMessage) string {
	sum := sha256.Sum256([]byte(canonical(value)))
	return hex.EncodeToString(sum[:])
}

// canonical is the text of a value that all values with the same meaning
// have: keys sorted, numbers in one spelling.
func canonical(value json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return string(value)
	}
	b, err := json.Marshal(plain(v))
	if err != nil {
		return string(value)
	}
	return string(b)
}

// plain puts the numbers of a decoded value in one spelling.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(number(string(v)))
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = plain(e)
		}
	}
	return v
}

// maxExponent bounds the powers of ten that are reckoned with: numbers beyond
// are the same only when they are spelled so.
const maxExponent = 1 << 30

// number writes a JSON number as its digits and a power of ten: 1.50, 15e-1
// and 0.15E1 are 15e-1. That is a number too, and no precision is lost.
func number(s string) string {
	digits, sign := strings.CutPrefix(s, "-")
	exponent := 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		e, err := strconv.Atoi(digits[i+1:])
		if err != nil || max(e, -e) > maxExponent {
			return s
		}
		digits, exponent = digits[:i], e
	}
	if whole, fraction, ok := strings.Cut(digits, "."); ok {
		digits, exponent = whole+fraction, exponent-len(fraction)
	}
	digits = strings.TrimLeft(digits, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "0"
	}
	exponent += len(digits) - len(short)
	if sign {
		short = "-" + short
	}
	return short + "e" + strconv.Itoa(exponent)
}
