package stats

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
)

// cpuInterval is the time over which the use of the processors is measured.
const cpuInterval = time.Second

// A reading is one value of a machine: what it is called here and by servers.
type reading struct {
	name, metric string
	unit         unit
	value        func(*machine) (float64, error)
}

// A unit is the one of a reading as it is sent, or the choice that it follows.
type unit string

const (
	counter     unit = "Counter"
	percent     unit = "Percent"
	memoryUnits unit = "memory units" // as Selection says
	diskUnits   unit = "disk units"
)

// readings are all of a machine, in the order in which they are sent.
var readings = []reading{
	{Heartbeat, "Heartbeat", counter, one},
	{ServiceFailure, "ServiceFailure", counter, one},
	{MemUtil, "MemoryUtilization", percent, func(m *machine) (float64, error) { v, err := m.memory(); return share(v.used, v.total), err }},
	{MemUsed, "MemoryUsed", memoryUnits, func(m *machine) (float64, error) { v, err := m.memory(); return v.used, err }},
	{MemAvail, "MemoryAvailable", memoryUnits, func(m *machine) (float64, error) { v, err := m.memory(); return v.total - v.used, err }},
	{SwapUtil, "SwapUtilization", percent, func(m *machine) (float64, error) { v, err := m.memory(); return share(v.swapUsed, v.swapTotal), err }},
	{SwapUsed, "SwapUsed", memoryUnits, func(m *machine) (float64, error) { v, err := m.memory(); return v.swapUsed, err }},
	{DiskUtil, "DiskSpaceUtilization", percent, func(m *machine) (float64, error) { v, err := m.disk(); return v.UsedPercent, err }},
	{DiskUsed, "DiskSpaceUsed", diskUnits, func(m *machine) (float64, error) { v, err := m.disk(); return float64(v.Used), err }},
	{DiskAvail, "DiskSpaceAvailable", diskUnits, func(m *machine) (float64, error) { v, err := m.disk(); return float64(v.Free), err }},
	{CPUUtil, "CPUUtilization", percent, (*machine).cpu},
}

func one(*machine) (float64, error) { return 1, nil }

// A machine is read at most once for each of its sources.
type machine struct {
	ctx         context.Context // of one Gather, with gopsutil's environment
	memoryUnits string
	diskUnits   string
	memory      func() (memory, error)
	disk        func() (disk.UsageStat, error)
}

func newMachine(ctx context.Context, root string, s Selection) *machine {
	ctx = context.WithValue(ctx, common.EnvKey, common.EnvMap{common.HostProcEnvKey: filepath.Join("/", root, "proc")})
	path := s.DiskPath
	if path == "" {
		path = "/"
	}
	return &machine{
		ctx: ctx, memoryUnits: s.MemoryUnits, diskUnits: s.DiskUnits,
		memory: sync.OnceValues(func() (memory, error) { return readMemory(ctx) }),
		disk: sync.OnceValues(func() (disk.UsageStat, error) {
			u, err := disk.UsageWithContext(ctx, filepath.Join("/", root, path))
			if err != nil {
				return disk.UsageStat{}, fmt.Errorf("read the disk space of %s: %w", path, err)
			}
			return *u, nil
		}),
	}
}

// memory is in bytes. Used excludes what the kernel gives back when it is
// asked to: buffers and cache.
type memory struct{ total, used, swapTotal, swapUsed float64 }

// readMemory takes swap from /proc/meminfo too, where gopsutil's own reading
// of it would ask the kernel for what is not in a recorded /proc.
func readMemory(ctx context.Context) (memory, error) {
	v, err := mem.VirtualMemoryWithContext(ctx)
	if err == nil && v.Total == 0 {
		err = errors.New("/proc/meminfo tells no total") // gopsutil hides why
	}
	if err != nil {
		return memory{}, fmt.Errorf("read the memory: %w", err)
	}
	total := float64(v.Total)
	// In a container these may come from different accounts.
	free := min(total, float64(v.Free)+float64(v.Buffers)+float64(v.Cached))
	swap := float64(v.SwapTotal)
	return memory{total: total, used: total - free, swapTotal: swap, swapUsed: swap - min(swap, float64(v.SwapFree))}, nil
}

func (m *machine) cpu() (float64, error) {
	list, err := cpu.PercentWithContext(m.ctx, cpuInterval, false)
	if err == nil && len(list) != 1 {
		err = errors.New("/proc/stat tells no times")
	}
	if err != nil {
		return 0, fmt.Errorf("read the use of the processors: %w", err)
	}
	return list[0], nil
}

// share is a part in percent; of nothing it is 0.
func share(part, total float64) float64 {
	if total == 0 {
		return 0
	}
	return part / total * 100
}

// Units returns the units of memory and disk space, smallest first. Each is
// 1024 times the one before, and sent as it is written here.
func Units() []string { return []string{"bytes", "kilobytes", "megabytes", "gigabytes"} }

// defaultUnits is that of heat-cfntools, though its help said gigabytes for
// disks.
const defaultUnits = "megabytes"

// unit returns the unit that is sent, and converts a value of bytes to it.
func (m *machine) unit(u unit, value *float64) (string, error) {
	var chosen string
	switch u {
	case memoryUnits:
		chosen = m.memoryUnits
	case diskUnits:
		chosen = m.diskUnits
	default:
		return string(u), nil
	}
	if chosen == "" {
		chosen = defaultUnits
	}
	for _, name := range Units() {
		if name == chosen {
			return chosen, nil
		}
		*value /= 1024
	}
	return "", fmt.Errorf("unknown unit %q: the units are %s", chosen, strings.Join(Units(), ", "))
}
