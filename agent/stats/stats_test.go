package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// gather reads one name below root.
func gather(t *testing.T, root string, s Selection, name string) (metric.Datapoint, error) {
	t.Helper()
	s.Names = []string{name}
	points, err := Gather(t.Context(), root, s)
	if err != nil {
		return metric.Datapoint{}, err
	}
	if len(points) != 1 {
		t.Fatalf("Gather(%s) = %v, want one datapoint", name, points)
	}
	return points[0], nil
}

// memoryRoot is a tree with the recorded meminfo, lines of it replaced.
func memoryRoot(t *testing.T, replace ...string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	text := strings.NewReplacer(replace...).Replace(string(data))
	write(t, filepath.Join(root, "proc/meminfo"), text)
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// heat-cfntools called functions that psutil 3 removed, so that every memory
// and swap option ended in a traceback, and divided integers.
func TestEachReadingHasItsNameUnitAndValue(t *testing.T) {
	const (
		total = 24684096                            // kB, of the recorded meminfo, with swap added
		free  = 21422384 + 71372 + 1686528 + 318692 // MemFree, Buffers, Cached, SReclaimable
		used  = total - free
	)
	root := memoryRoot(t, "SwapTotal:             0 kB", "SwapTotal:       2097152 kB", "SwapFree:              0 kB", "SwapFree:        1572864 kB")
	for _, tt := range []struct {
		name, metric, unit string
		value              float64
	}{
		{Heartbeat, "Heartbeat", "Counter", 1},
		{ServiceFailure, "ServiceFailure", "Counter", 1},
		{MemUtil, "MemoryUtilization", "Percent", float64(used) / total * 100},
		{MemUsed, "MemoryUsed", "megabytes", float64(used) / 1024},
		{MemAvail, "MemoryAvailable", "megabytes", float64(free) / 1024},
		{SwapUtil, "SwapUtilization", "Percent", 25},
		{SwapUsed, "SwapUsed", "megabytes", 512},
	} {
		got, err := gather(t, root, Selection{}, tt.name)
		want := metric.Datapoint{Namespace: "system/linux", Name: tt.metric, Unit: tt.unit, Value: tt.value}
		if err != nil || got.Name != want.Name || got.Unit != want.Unit || got.Namespace != want.Namespace || math.Abs(got.Value-want.Value) > 1e-9*want.Value {
			t.Errorf("Gather(%s) = %+v, %v, want %+v", tt.name, got, err, want)
		}
	}
	// The words are the units that are sent, each 1024 times the one before.
	for i, unit := range []string{"bytes", "kilobytes", "megabytes", "gigabytes"} {
		got, err := gather(t, root, Selection{MemoryUnits: unit}, SwapUsed)
		if want := float64(512<<20) / math.Pow(1024, float64(i)); err != nil || got.Unit != unit || got.Value != want {
			t.Errorf("SwapUsed in %s = %+v, %v, want %v", unit, got, err, want)
		}
	}
}

func TestMemoryThatCannotBeRead(t *testing.T) {
	if got, err := gather(t, t.TempDir(), Selection{}, MemUtil); err == nil || !strings.Contains(err.Error(), "read the memory: /proc/meminfo") {
		t.Errorf("Gather without /proc = %v, %v, want an error", got, err)
	}
	// gopsutil's own figure wraps round to 16 million terabytes here.
	root := memoryRoot(t, "MemFree:        2", "MemFree:        9")
	if got, err := gather(t, root, Selection{}, MemUsed); err != nil || got.Value != 0 {
		t.Errorf("MemoryUsed with more free than there is = %v, %v, want 0", got.Value, err)
	}
	if got, err := gather(t, memoryRoot(t), Selection{}, SwapUtil); err != nil || got.Value != 0 {
		t.Errorf("SwapUtilization without swap = %v, %v, want 0", got.Value, err)
	}
	// Three readings of one source fail with one line.
	_, err := Gather(t.Context(), t.TempDir(), Selection{Names: []string{MemUtil, MemUsed, SwapUsed}})
	if n := strings.Count(fmt.Sprint(err), "read the memory"); n != 1 {
		t.Errorf("Gather = %v: said %d times, want once", err, n)
	}
}

func TestDiskSpaceIsThatOfDF(t *testing.T) {
	root := t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Fatal(err)
	}
	size := uint64(st.Bsize)
	used, free := float64((st.Blocks-st.Bfree)*size), float64(st.Bavail*size)
	for name, want := range map[string]metric.Datapoint{
		DiskUtil:  {Name: "DiskSpaceUtilization", Unit: "Percent", Value: used / (used + free) * 100},
		DiskUsed:  {Name: "DiskSpaceUsed", Unit: "gigabytes", Value: used / (1 << 30)},
		DiskAvail: {Name: "DiskSpaceAvailable", Unit: "gigabytes", Value: free / (1 << 30)},
	} {
		got, err := gather(t, root, Selection{DiskUnits: "gigabytes"}, name)
		// Others write to the disk meanwhile.
		if err != nil || got.Name != want.Name || got.Unit != want.Unit || math.Abs(got.Value-want.Value) > max(1, want.Value/20) {
			t.Errorf("Gather(%s) = %+v, %v, want %+v", name, got, err, want)
		}
	}
	if got, err := gather(t, root, Selection{}, DiskUsed); err != nil || got.Unit != "megabytes" {
		t.Errorf("Gather(%s) = %+v, %v, want megabytes", DiskUsed, got, err)
	}
	if got, err := gather(t, root, Selection{DiskPath: "/none"}, DiskUsed); err == nil || !strings.Contains(err.Error(), "read the disk space of /none: no such file") {
		t.Errorf("Gather of a path that is not there = %v, %v, want an error", got, err)
	}
}

func TestCPUUtilizationIsThatOfOneSecond(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before, after := read("testdata/proc/stat"), read("testdata/stat-1s-later")
	root := t.TempDir()
	write(t, filepath.Join(root, "proc/stat"), before)
	synctest.Test(t, func(t *testing.T) {
		// Of 202 ticks between the two records 194 were neither idle nor waiting.
		begin := time.Now()
		go func() {
			time.Sleep(cpuInterval / 2)
			write(t, filepath.Join(root, "proc/stat"), after)
		}()
		got, err := gather(t, root, Selection{}, CPUUtil)
		want := metric.Datapoint{Namespace: "system/linux", Name: "CPUUtilization", Unit: "Percent", Value: 96.039604}
		if got.Value = math.Round(got.Value*1e6) / 1e6; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Gather(cpu-util) = %+v, %v, want %+v", got, err, want)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Gather(cpu-util) took %v, want 1s", took)
		}
	})
	if got, err := gather(t, "/nonexistent", Selection{}, MemUtil); err == nil {
		t.Errorf("Gather = %v, want an error", got)
	}
}

// One reading that fails does not take a heartbeat with it.
func TestGatherGoesOnWithoutWhatFails(t *testing.T) {
	points, err := Gather(t.Context(), t.TempDir(), Selection{Names: []string{MemUtil, Proxy, Heartbeat, "mem-used-up"}})
	if len(points) != 1 || points[0].Name != "Heartbeat" {
		t.Errorf("Gather = %v, want the heartbeat", points)
	}
	for _, want := range []string{`unknown metric "mem-used-up"`, "read the memory", "/tmp/.haproxy-stats", "/run/haproxy/admin.sock"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Gather: %v, want %q", err, want)
		}
	}
	_, err = Gather(t.Context(), memoryRoot(t), Selection{Names: []string{MemUsed}, MemoryUnits: "terabytes"})
	if want := `unknown unit "terabytes": the units are bytes, kilobytes, megabytes, gigabytes`; err == nil || err.Error() != want {
		t.Errorf("Gather: %v, want %q", err, want)
	}
}

func TestDimensions(t *testing.T) {
	i := nova.Instance{UUID: "u", Meta: map[string]string{
		"metering.stack": "s", "empty": "", "InstanceId": "forged", "AlarmName": "forged", "long": strings.Repeat("x", 1025),
	}}
	want := map[string]string{"metering.stack": "s", "InstanceId": "u", "AlarmName": "a"}
	if got := Dimensions(i, "a"); !reflect.DeepEqual(got, want) {
		t.Errorf("Dimensions = %v, want %v", got, want)
	}
	delete(want, "AlarmName")
	if got := Dimensions(i, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("Dimensions without an alarm = %v, want %v", got, want)
	}
	for n := range 40 {
		i.Meta[fmt.Sprint("m", n)] = "v"
	}
	p := metric.Datapoint{Namespace: "n", Name: "m", Dimensions: Dimensions(i, "a")}
	if err := p.Check(); err != nil || p.Dimensions["AlarmName"] != "a" || p.Dimensions["InstanceId"] != "u" {
		b, _ := json.Marshal(p)
		t.Errorf("Dimensions of many = %s, %v, want 30 with both ids", b, err)
	}
}
