package metadata

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "90s": 90 * time.Second, " 5m ": 5 * time.Minute, "1h": time.Hour, "0": 0, "1.5": 1500 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "-5m", "inf", "nan", "1e300", "5 m"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
	if got, err := ParseDurationIn("15", time.Minute); err != nil || got != 15*time.Minute {
		t.Errorf("ParseDurationIn(15, minute) = %v, %v", got, err)
	}
}
