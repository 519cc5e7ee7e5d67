package daemon

import (
	"testing"
	"time"
)

// As cron(8) has it: what has an hour of its own runs once a day, also when
// that hour comes twice or not at all; what runs each hour runs each hour.
func TestSummerTime(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	defer func(local *time.Location) { time.Local = local }(time.Local)
	time.Local = zone
	f := func(schedule, from string, length time.Duration, want string) {
		t.Helper()
		m := newMachine(t, from, schedule)
		m.want(m.pass(length), want)
	}
	const ends, begins = "2026-11-01 00:00:00", "2026-03-08 00:00:00"
	f("30 1 * * *", ends, 36*time.Hour, "01:30:00 01:30:00")
	f("30 0,1,2 * * *", ends, 12*time.Hour, "00:30:00 01:30:00 02:30:00")
	f("30 * * * *", ends, 4*time.Hour, "00:30:00 01:30:00 01:30:00 02:30:00")
	f("30 ? * * *", ends, 4*time.Hour, "00:30:00 01:30:00 01:30:00 02:30:00")
	f("*/30 1 * * *", ends, 4*time.Hour, "01:00:00 01:30:00 01:00:00 01:30:00")
	f("30 2 * * *", begins, 36*time.Hour, "03:30:00 02:30:00")
	f("30 2,3 * * *", begins, 12*time.Hour, "03:30:00")
	f("30 * * * *", begins, 4*time.Hour, "00:30:00 01:30:00 03:30:00 04:30:00")
	f("@daily", ends, 48*time.Hour, "00:00:00")
	// The hour that comes again has been.
	again := time.Date(2026, 11, 1, 6, 10, 0, 0, time.UTC).Local() // 01:10 for the second time
	s, err := parseSchedule("30 1 * * *")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Next(again), time.Date(2026, 11, 2, 1, 30, 0, 0, zone); !got.Equal(want) {
		t.Errorf("after %v comes %v, want %v", again, got, want)
	}
}
