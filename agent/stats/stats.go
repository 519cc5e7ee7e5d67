// Package stats reads what a guest tells of itself (memory, swap, disk,
// processor, a load balancer's statistics) and pushes it, with heartbeats and
// failures, to an alarm server as signed PutMetricData requests. What cannot
// be pushed now is kept for a later push. It finds the server where Heat or
// the operator put its address, and never takes a public cloud for it.
//
// Names and units of the metrics are those of cfn-push-stats of
// heat-cfntools, which alarms of templates count on. It judges nothing: that
// is the server's work.
package stats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// The namespaces of metrics: of a guest, and of a load balancer.
const (
	Linux        = "system/linux"
	LoadBalancer = "AWS/ELB"
)

// Names of readings, those of the options of cfn-push-stats.
const (
	Heartbeat      = "heartbeat"
	ServiceFailure = "service-failure"
	MemUtil        = "mem-util"
	MemUsed        = "mem-used"
	MemAvail       = "mem-avail"
	SwapUtil       = "swap-util"
	SwapUsed       = "swap-used"
	DiskUtil       = "disk-space-util"
	DiskUsed       = "disk-space-used"
	DiskAvail      = "disk-space-avail"
	CPUUtil        = "cpu-util"
	Proxy          = "haproxy"
	ProxyLatency   = "haproxy-latency"
)

// Names returns the names of all readings, in the order in which they are
// taken and sent.
func Names() []string {
	names := make([]string, 0, len(readings)+2)
	for _, r := range readings {
		names = append(names, r.name)
	}
	return append(names, Proxy, ProxyLatency)
}

// A Selection says what is read. The zero value reads nothing.
type Selection struct {
	Names         []string // of readings; the same one twice is read once
	MemoryUnits   string   // one of Units; empty: megabytes
	DiskUnits     string   // one of Units; empty: megabytes
	DiskPath      string   // any path of the file system meant; empty: /
	HAProxySocket string   // empty: the usual ones
}

// Gather takes readings of the machine whose file system is below root. What
// can be read is returned also where something else cannot; the error is all
// that went wrong. The datapoints have no time and no dimensions yet. The
// reading of CPUUtil takes a second.
func Gather(ctx context.Context, root string, s Selection) ([]metric.Datapoint, error) {
	var points []metric.Datapoint
	var errs error
	fail := func(err error) {
		if !errors.Is(errs, err) { // one source may fail several readings
			errs = errors.Join(errs, err)
		}
	}
	known := Names()
	for _, name := range s.Names {
		if !slices.Contains(known, name) {
			fail(fmt.Errorf("unknown metric %q: the metrics are %v", name, known))
		}
	}
	m := newMachine(ctx, root, s)
	for _, r := range readings {
		if !slices.Contains(s.Names, r.name) {
			continue
		}
		value, err := r.value(m)
		if err != nil {
			fail(err)
			continue
		}
		unit, err := m.unit(r.unit, &value)
		if err != nil {
			fail(err)
			continue
		}
		points = append(points, metric.Datapoint{Namespace: Linux, Name: r.metric, Unit: unit, Value: value})
	}
	all := slices.Contains(s.Names, Proxy)
	if all || slices.Contains(s.Names, ProxyLatency) {
		list, err := haproxy(ctx, root, s.HAProxySocket, !all)
		if err != nil {
			fail(err)
		}
		points = append(points, list...)
	}
	return points, errs
}

// Dimensions are those that all datapoints of an instance carry: its
// metadata, its id, and the alarm that they are for, if one is named. Metadata
// that no server takes, such as an empty value, are left out, and of too many
// the last by name.
func Dimensions(i nova.Instance, alarm string) map[string]string {
	d := map[string]string{}
	for name, value := range map[string]string{metric.InstanceID: i.UUID, metric.AlarmName: alarm} {
		if value != "" {
			d[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.Meta)) {
		_, taken := d[name]
		// Metadata of a server do not choose its alarm.
		if !taken && name != metric.AlarmName && len(d) < metric.MaxDimensions && metric.ValidDimension(name, i.Meta[name]) {
			d[name] = i.Meta[name]
		}
	}
	return d
}
