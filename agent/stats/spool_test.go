package stats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func beat(n int, at time.Time) metric.Datapoint {
	return metric.Datapoint{Namespace: Linux, Name: "Heartbeat", Unit: "Counter", Value: float64(n), Time: at, Dimensions: map[string]string{"AlarmName": "a"}}
}

func add(t *testing.T, s Spool, now time.Time, points ...metric.Datapoint) Kept {
	t.Helper()
	k, err := s.Add(t.Context(), points, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSpoolKeepsTimesAndOrder(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "var/lib/spool")}
	for i := range 3 {
		add(t, s, noon.Add(time.Duration(i)*time.Minute), beat(i, time.Time{}))
	}
	want := Kept{Points: []metric.Datapoint{beat(0, noon), beat(1, noon.Add(time.Minute)), beat(2, noon.Add(2*time.Minute))}}
	if got, err := s.Load(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %v, %v, want %v", got, err, want)
	}
	for path, mode := range map[string]os.FileMode{s.Path: 0o600, s.Path + ".lock": 0o600, filepath.Dir(s.Path): 0o700 | os.ModeDir,
		filepath.Dir(filepath.Dir(s.Path)): 0o755 | os.ModeDir} { // which is for others too
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, mode)
		}
	}
	sent, dropped, err := s.Drain(t.Context(), noon.Add(3*time.Minute), func(batch []metric.Datapoint) (bool, error) {
		if !reflect.DeepEqual(batch, want.Points) {
			t.Errorf("Drain sends %v, want %v", batch, want.Points)
		}
		return false, nil
	})
	if sent != 3 || dropped != 0 || err != nil {
		t.Errorf("Drain = %d, %d, %v, want 3 sent", sent, dropped, err)
	}
	if _, err := os.Stat(s.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("spool after Drain: %v, want none", err)
	}
}

func TestSpoolDropsWhatIsOlderThanAnHour(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "spool")}
	for i := range 90 {
		add(t, s, noon.Add(time.Duration(i)*time.Minute), beat(i, time.Time{}))
	}
	k := add(t, s, noon.Add(90*time.Minute), beat(90, time.Time{}))
	if len(k.Points) != 61 || k.Points[0].Value != 30 || k.Dropped != 30 {
		t.Errorf("kept %d datapoints from %v, dropped %d, want 61 from 30, dropped 30", len(k.Points), k.Points[0].Value, k.Dropped)
	}
	sent, dropped, err := s.Drain(t.Context(), noon.Add(24*time.Hour), func([]metric.Datapoint) (bool, error) {
		t.Error("Drain sends datapoints of yesterday")
		return false, nil
	})
	if sent != 0 || dropped != 91 || err != nil {
		t.Errorf("Drain a day later = %d, %d, %v, want 91 dropped", sent, dropped, err)
	}
}

func TestSpoolIsNoLargerThanFourMebibytes(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "spool")}
	var points []metric.Datapoint
	for i := range 10_000 {
		p := beat(i, noon.Add(time.Duration(i)*time.Millisecond))
		p.Dimensions["pad"] = strings.Repeat("x", 1000)
		points = append(points, p)
	}
	k := add(t, s, noon, points...)
	info, err := os.Stat(s.Path)
	if err != nil || info.Size() > SpoolSize || info.Size() < SpoolSize-2000 {
		t.Errorf("spool of %d datapoints: %d bytes, %v, want nearly %d", len(k.Points), info.Size(), err, SpoolSize)
	}
	if k.Dropped+len(k.Points) != len(points) || k.Points[0].Value != float64(k.Dropped) {
		t.Errorf("dropped %d, kept %d from %v, want the oldest of %d dropped", k.Dropped, len(k.Points), k.Points[0].Value, len(points))
	}
}

func TestDrainKeepsWhatCouldNotBeSent(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "spool")}
	var points []metric.Datapoint
	for i := range 2500 {
		points = append(points, beat(i, noon))
	}
	add(t, s, noon, points...)
	calls := 0
	away := errors.New("the server is away")
	sent, _, err := s.Drain(t.Context(), noon, func([]metric.Datapoint) (bool, error) {
		if calls++; calls == 2 {
			return true, away
		}
		return false, nil
	})
	if k, _ := s.Load(); sent != 1000 || !errors.Is(err, away) || len(k.Points) != 1500 || k.Points[0].Value != 1000 {
		t.Errorf("Drain = %d, %v, %d kept, want 1000 sent and 1500 kept", sent, err, len(k.Points))
	}
	// A batch that is refused does not block the spool for ever.
	calls = 0
	sent, dropped, err := s.Drain(t.Context(), noon, func([]metric.Datapoint) (bool, error) {
		if calls++; calls == 1 {
			return false, errors.New("refused")
		}
		return false, nil
	})
	if k, _ := s.Load(); sent != 500 || dropped != 1000 || err != nil || len(k.Points) != 0 {
		t.Errorf("Drain = %d, %d, %v, %d kept, want 500 sent and 1000 dropped", sent, dropped, err, len(k.Points))
	}
}

func TestSpoolIsSharedByProcesses(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "spool")}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if _, err := s.Add(t.Context(), []metric.Datapoint{beat(i, noon)}, noon); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if k, err := s.Load(); err != nil || len(k.Points) != 8 {
		t.Errorf("Load = %d datapoints, %v, want 8", len(k.Points), err)
	}
	// While one drains, another leaves it alone.
	_, _, err := s.Drain(t.Context(), noon, func([]metric.Datapoint) (bool, error) {
		if sent, dropped, err := s.Drain(t.Context(), noon, nil); sent != 0 || dropped != 0 || err != nil {
			t.Errorf("second Drain = %d, %d, %v, want nothing", sent, dropped, err)
		}
		return false, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSpoolThatIsDamaged(t *testing.T) {
	s := Spool{filepath.Join(t.TempDir(), "spool")}
	write(t, s.Path, string(Kept{[]metric.Datapoint{beat(1, noon)}, 5}.encode())+"\x00\x00\n{\"namespace\":\"n\"}\n{}")
	if k := add(t, s, noon, beat(2, noon)); len(k.Points) != 2 || k.Dropped != 8 {
		t.Errorf("kept %v, dropped %d, want 2 kept, 8 dropped", k.Points, k.Dropped)
	}
	if err := os.Remove(s.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Add(t.Context(), nil, noon); err == nil || !strings.Contains(err.Error(), s.Path) {
		t.Errorf("Add = %v, %v, want an error that names the spool", k, err)
	}
}

// What is read prints back to what is read as the same.
func FuzzParseKept(f *testing.F) {
	f.Add(Kept{[]metric.Datapoint{beat(1, noon), beat(2, noon.Add(time.Second))}, 3}.encode())
	f.Add([]byte("{\"dropped\":-1}\n"))
	f.Add([]byte("\n\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := parseKept(data)
		again := parseKept(k.encode())
		if fmt.Sprint(again) != fmt.Sprint(k) {
			t.Errorf("parseKept(encode(%v)) = %v", k, again)
		}
	})
}

// Another push may be sending what was kept to a slow server.
func TestAddWaitsForDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Spool{filepath.Join(t.TempDir(), "spool")}
		add(t, s, time.Now(), beat(1, time.Time{}))
		drained := make(chan error, 1)
		go func() {
			_, _, err := s.Drain(t.Context(), time.Now(), func([]metric.Datapoint) (bool, error) {
				time.Sleep(drainLimit)
				return true, errors.New("too slow")
			})
			drained <- err
		}()
		time.Sleep(time.Millisecond)
		if k := add(t, s, time.Now(), beat(2, time.Time{})); len(k.Points) != 2 {
			t.Errorf("kept %+v", k)
		}
		<-drained
	})
}
