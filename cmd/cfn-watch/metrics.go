package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// metrics are what Prometheus scrapes. They are read from the parts when asked
// for: no part knows of them.
type metrics struct {
	server   *server
	registry *prometheus.Registry
}

func newMetrics(s *server) *metrics {
	m := &metrics{server: s, registry: prometheus.NewRegistry()}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// HTTP is the server for scrapers and for who asks after the health.
func (m *metrics) HTTP() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", m.server.serveHealth)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cfn_watch_"+name, help, labels, nil)
}

var (
	descRequests  = desc("requests_total", "Requests, by what became of their signature.", "result")
	descPushes    = desc("pushes_total", "Pushes of known keys, by what became of them.", "result")
	descSamples   = desc("samples_total", "Samples of those pushes, by where they went; one can count for several.", "result")
	descMisrouted = desc("misrouted_total", "Samples for alarms that their key may not feed.")
	descDropped   = desc("series_dropped_total", "Samples that are not kept as metrics, since there are too many.")
	descAlarms    = desc("alarms", "Alarms by state.", "state")
	descOutbox    = desc("outbox", "Actions that have not ended, by status.", "status")
	descHolds     = desc("gate_holds", "Actions that a gate holds, by gate.", "gate")
	descActions   = desc("actions_total", "Actions that have ended, by kind and result.", "kind", "result")
	descOverdue   = desc("overdue_guests", "Guests whose push is late.")
	descListening = desc("listening_seconds", "Since when the server hears without a break.")
	descTickLate  = desc("tick_late_seconds", "By how much the last tick was late.")
	descTickWorst = desc("tick_late_seconds_max", "By how much the latest tick was late, since the start.")

	descStoreTook = desc("store_write_seconds", "How long the store took for the last of the small writes that try it every five seconds, or takes for the next.")

	descKeystoneCalls   = desc("keystone_calls_total", "Calls of Keystone.")
	descKeystoneFailed  = desc("keystone_calls_failed_total", "Calls that Keystone did not answer, or with a fault of its own.")
	descKeystoneSeconds = desc("keystone_call_seconds_total", "Time that all calls of Keystone took together.")
	descKeystoneHits    = desc("keystone_key_hits_total", "Requests whose key was known, with lookup = yes.")
	descKeystoneBusy    = desc("keystone_busy_total", "Requests turned away because too many waited for Keystone.")
	descKeystoneKeys    = desc("keystone_keys", "Keys that are known, with lookup = yes.")

	descHealthy = desc("healthy", "1 while the server hears, judges and stores.")
)

// Describe is prometheus.Collector's.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descRequests, descPushes, descSamples, descMisrouted, descDropped, descAlarms, descOutbox, descHolds, descActions, descOverdue, descListening, descTickLate, descTickWorst, descHealthy, descStoreTook,
		descKeystoneCalls, descKeystoneFailed, descKeystoneSeconds, descKeystoneHits, descKeystoneBusy, descKeystoneKeys,
	} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	a := &m.server.verifier.Counters
	for result, v := range map[string]int64{
		"accepted": a.Accepted.Load(), "replayed": a.Replayed.Load(), "incomplete": a.Incomplete.Load(), "expired": a.Expired.Load(),
		"unknown_key": a.Unknown.Load(), "mismatch": a.Mismatched.Load(), "denied": a.Denied.Load(), "unverified": a.Unverified.Load(),
	} {
		counter(descRequests, float64(v), result)
	}
	if k := m.server.keystone; k != nil {
		collectKeystone(k, counter, gauge)
	}
	c := m.server.engine.Counts()
	p := &m.server.handler.Counters
	for result, v := range map[string]int64{
		"taken": p.Taken.Load(), "refused": p.Refused.Load(), "throttled": p.Throttled.Load(), "overloaded": p.Overloaded.Load(),
	} {
		counter(descPushes, float64(v), result)
	}
	for result, v := range map[string]uint64{"fed": c.Fed, "no_alarm": c.Unknown, "untimely": c.Untimely} {
		counter(descSamples, float64(v), result)
	}
	counter(descMisrouted, float64(c.Misrouted))
	counter(descDropped, float64(c.Dropped))
	t := m.server.engine.Totals()
	for state, n := range map[watch.State]int{watch.OK: t.OK, watch.Firing: t.Firing, watch.NoData: t.NoData} {
		gauge(descAlarms, float64(n), string(state))
	}
	gauge(descOverdue, float64(t.Overdue))
	m.collectOutbox(gauge)
	for o, n := range m.server.outbox.Outcomes() {
		counter(descActions, float64(n), string(o.Kind), string(o.Status))
	}
	gauge(descListening, now.Sub(m.server.engine.Listening()).Seconds())
	h := m.server.health
	h.mu.Lock()
	gauge(descTickLate, h.late.Seconds())
	gauge(descTickWorst, h.worst.Seconds())
	gauge(descStoreTook, max(h.took, now.Sub(h.probed)-probeEvery).Seconds())
	h.mu.Unlock()
	healthy := 0.0
	if h.problem(m.server.engine, now) == nil {
		healthy = 1
	}
	gauge(descHealthy, healthy)
}

// collectKeystone tells what Keystone is asked, and how it answers.
func collectKeystone(k *auth.Keystone, counter, gauge func(*prometheus.Desc, float64, ...string)) {
	counter(descKeystoneCalls, float64(k.Load.Calls.Load()))
	counter(descKeystoneFailed, float64(k.Load.Failed.Load()))
	counter(descKeystoneSeconds, time.Duration(k.Load.Waited.Load()).Seconds())
	counter(descKeystoneHits, float64(k.Load.Known.Load()))
	counter(descKeystoneBusy, float64(k.Load.Busy.Load()+k.Load.Strangers.Load()))
	gauge(descKeystoneKeys, float64(k.Status().Keys))
}

// collectOutbox counts what the outbox has before it.
func (m *metrics) collectOutbox(gauge func(*prometheus.Desc, float64, ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := m.server.store.OpenRows(ctx)
	if err != nil {
		return // what is missing says that the store does not answer
	}
	byStatus, byGate := map[string]int{}, map[string]int{}
	for _, c := range counts {
		byStatus[string(c.Status)] += c.Rows
		if c.Gate != "" {
			byGate[c.Gate] += c.Rows
		}
	}
	for status, n := range byStatus {
		gauge(descOutbox, float64(n), status)
	}
	for gate, n := range byGate {
		gauge(descHolds, float64(n), gate)
	}
}
