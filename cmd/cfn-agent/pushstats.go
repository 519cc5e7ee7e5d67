package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/check"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

const pushStatsLog = "/var/log/cfn-push-stats.log"

type pushStatsOptions struct {
	connection
	selection           stats.Selection
	watch               string
	watchURL            string // of cfn-agent.conf, as a daemon read it
	metric, units       string
	value               float64
	hasMetric, hasValue bool
	withoutHeartbeat    bool // a daemon sends it
	verbose             bool
	probes              probes
}

func newPushStatsCommand(e *env) *cobra.Command {
	var o pushStatsOptions
	c := &cobra.Command{
		Use:   "push-stats",
		Short: "Push heartbeats, failures and readings to an alarm server",
		Long: `Send one or more datapoints to the alarm server, all in one request. While the
server cannot be reached they are kept, for an hour at most, and sent later with
their times.

The server is that of --url, else of the variable ` + stats.ServerVariable + `, else of watch-url
in cfn-agent.conf or cfn-hup.conf, else the one that Heat told the guest.

Exit status: 0 sent, or kept to be sent later; 1 refused, or something could not
be read; 2 bad option.`,
		Example: "  cfn-agent push-stats --heartbeat --check http://127.0.0.1:80/ --watch mystack-HeartbeatAlarm\n" +
			"  cfn-agent push-stats --mem-util --disk-space-util --disk-path /var",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signalContext(c.Context())
			defer stop()
			return runPushStats(ctx, e, c, o)
		},
	}
	o.addReadings(c)
	o.addServer(c)
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	markHeat(c.Flags(), append(stats.Names(), "watch", "metric", "units", "value", "memory-units", "disk-units", "disk-path", "credential-file", "verbose")...)
	return c
}

// addReadings gives the command the options that say what is sent.
func (o *pushStatsOptions) addReadings(c *cobra.Command) {
	f := c.Flags()
	for _, r := range []struct{ name, help string }{
		{stats.Heartbeat, "Heartbeat = 1"},
		{stats.ServiceFailure, "ServiceFailure = 1"},
		{stats.MemUtil, "MemoryUtilization, in percent"},
		{stats.MemUsed, "MemoryUsed, without buffers and cache"},
		{stats.MemAvail, "MemoryAvailable, with buffers and cache"},
		{stats.SwapUtil, "SwapUtilization, in percent"},
		{stats.SwapUsed, "SwapUsed"},
		{stats.DiskUtil, "DiskSpaceUtilization, in percent"},
		{stats.DiskUsed, "DiskSpaceUsed"},
		{stats.DiskAvail, "DiskSpaceAvailable"},
		{stats.CPUUtil, "CPUUtilization, in percent, over one second"},
		{stats.Proxy, "all that HAProxy tells, in namespace " + stats.LoadBalancer},
		{stats.ProxyLatency, "the latency of HAProxy's servers alone"},
	} {
		f.Bool(r.name, false, r.help)
	}
	units := strings.Join(stats.Units(), ", ")
	f.StringVar(&o.selection.MemoryUnits, "memory-units", "megabytes", "unit of memory and swap: "+units)
	f.StringVar(&o.selection.DiskUnits, "disk-units", "megabytes", "unit of disk space: "+units)
	f.StringVar(&o.selection.DiskPath, "disk-path", "/", "a path of the file system whose space is meant")
	f.StringVar(&o.selection.HAProxySocket, "haproxy-socket", "", "socket of HAProxy (default "+strings.Join(stats.HAProxySockets(), ", else ")+")")
	f.StringVar(&o.metric, "metric", "", "name of another metric; needs --units and --value")
	f.StringVar(&o.units, "units", "", "its unit")
	f.Float64Var(&o.value, "value", 0, "its value")
	f.StringVar(&o.watch, "watch", "", "name of the alarm that the datapoints are for")
	f.Var(&o.probes, "check", "a service that must answer, else no heartbeat is sent but ServiceFailure = 1:\n"+
		"http://URL, https://URL, tcp:HOST:PORT, exec:COMMAND, unit:NAME or process:NAME;\nmay be given several times")
}

// addServer gives the command the options that say where to.
func (o *pushStatsOptions) addServer(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.url, "url", "u", "", "URL of the alarm server")
	f.StringVarP(&o.credentialFile, "credential-file", "f", "", "file with AWSAccessKeyId=... and AWSSecretKey=...\n(default "+cfnapi.CredentialsFile+")")
	f.StringVar(&o.region, "region", "", "region to sign requests for (default "+awsquery.DefaultRegion+")")
	o.retryFor = duration(stats.DefaultRetry().Total)
	f.Var(&o.retryFor, "retry-for", "how long to try when the server does not answer")
	f.StringVar(&o.httpProxy, "http-proxy", "", "proxy for http, [scheme://][user:password@]host:port")
	f.StringVar(&o.httpsProxy, "https-proxy", "", "proxy for https")
	f.BoolVarP(&o.insecure, "insecure", "k", false, "do not check the server's certificate")
}

// validate checks what can be said of the options alone, and fills in what
// follows from them.
func (o *pushStatsOptions) validate(c *cobra.Command) error {
	changed := c.Flags().Changed
	for _, name := range stats.Names() {
		if on, err := c.Flags().GetBool(name); err == nil && on {
			o.selection.Names = append(o.selection.Names, name)
		}
	}
	for name, unit := range map[string]string{"memory-units": o.selection.MemoryUnits, "disk-units": o.selection.DiskUnits} {
		if !slices.Contains(stats.Units(), unit) {
			return usageError(c, "--%s: %q is none of %s", name, unit, strings.Join(stats.Units(), ", "))
		}
	}
	o.hasMetric, o.hasValue = o.metric != "", changed("value")
	if o.hasMetric || o.units != "" || o.hasValue {
		for name, given := range map[string]bool{"--metric": o.hasMetric, "--units": o.units != "", "--value": o.hasValue} {
			if !given {
				return missingError(c, "%s is missing: a metric of one's own needs --metric, --units and --value", name)
			}
		}
		if err := o.custom().Check(); err != nil {
			return usageError(c, "%v", err)
		}
	}
	if len(o.selection.Names) == 0 && !o.hasMetric && len(o.probes.list) == 0 {
		return missingError(c, "there is nothing to send: give --%s, --%s, --metric or another of the metrics", stats.Heartbeat, stats.MemUtil)
	}
	return nil
}

// probes are an option that may be given several times.
type probes struct {
	list  []check.Probe
	texts []string // of URLs, as they were given
}

// String is empty: there is no default to be shown.
func (p *probes) String() string { return "" }

// Set adds a probe.
func (p *probes) Set(text string) error {
	probe, err := check.Parse(text)
	p.list = append(p.list, probe)
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "http") {
		p.texts = append(p.texts, text)
	}
	return err
}

// Type is what help calls the value.
func (p *probes) Type() string { return "probe" }

// custom is the datapoint of --metric.
func (o *pushStatsOptions) custom() metric.Datapoint {
	return metric.Datapoint{Namespace: stats.Linux, Name: o.metric, Unit: o.units, Value: o.value}
}

func runPushStats(ctx context.Context, e *env, c *cobra.Command, o pushStatsOptions) (err error) {
	o.hideSecrets(e)
	for _, text := range o.probes.texts {
		_, query, _ := strings.Cut(text, "?")
		e.hide(password(text), query)
	}
	if err := o.validate(c); err != nil {
		return err
	}
	l := e.openLogs(c.Root().Name(), pushStatsLog, o.verbose)
	defer l.Close()
	defer func() {
		if err != nil {
			l.file.Error("failed", "err", err)
		}
	}()
	pusher, err := o.pusher(e, l)
	if errors.Is(err, cfnapi.ErrNoCredentials) {
		err = errors.New("no credentials: give --credential-file, or write " + cfnapi.CredentialsFile)
	}
	if err != nil {
		return err
	}
	if o.heldElsewhere(e) {
		l.Info("cfn-agent run sends the heartbeat: it is not sent twice", "watch", o.watch)
		if !o.leaveHeartbeat() {
			return nil
		}
	}
	points, readErr := o.gather(ctx, e, l, pusher.HTTP)
	if len(points) == 0 {
		return readErr
	}
	result, err := pusher.Push(ctx, points)
	l.Info("datapoints pushed", "sent", result.Sent, "spooled", result.Spooled, "replayed", result.Replayed)
	return errors.Join(hinted(err), readErr)
}

// gather returns all that is to be sent. While a check fails that is no
// heartbeat, but a failure. --watch names the alarm of the heartbeat then, if
// one was asked for, and the failure must not count for that: it goes to
// whatever alarm watches for it.
func (o *pushStatsOptions) gather(ctx context.Context, e *env, l *logs, client *http.Client) ([]metric.Datapoint, error) {
	failed := o.check(ctx, e, l, client)
	asked := slices.Clone(o.selection.Names)
	if failed || o.withoutHeartbeat {
		o.selection.Names = slices.DeleteFunc(o.selection.Names, func(name string) bool { return name == stats.Heartbeat })
	}
	points, err := stats.Gather(ctx, e.root, o.selection)
	if o.hasMetric {
		points = append(points, o.custom())
	}
	instance := e.instance(ctx, l)
	name := func(points []metric.Datapoint, alarm string) {
		for i := range points {
			points[i].Dimensions = stats.Dimensions(instance, alarm)
		}
	}
	name(points, o.watch)
	if !failed || slices.Contains(asked, stats.ServiceFailure) {
		return points, err
	}
	failure, _ := stats.Gather(ctx, e.root, stats.Selection{Names: []string{stats.ServiceFailure}}) // a constant
	if name(failure, o.watch); slices.Contains(asked, stats.Heartbeat) {
		name(failure, "")
	}
	return append(points, failure...), err
}

// instance is who this guest is. It is asked for once a boot, and done
// without where nobody tells.
func (e *env) instance(ctx context.Context, l *logs) nova.Instance {
	i, err := nova.Client{Root: e.root, Retry: retry.Policy{Tries: 1}, Log: l.Logger}.Instance(ctx)
	if err != nil {
		l.Info("datapoints do not tell the instance", "err", err)
	}
	return i
}

// pusher is the way to the server that the options name.
func (o *pushStatsOptions) pusher(e *env, l *logs) (*stats.Pusher, error) {
	endpoint, err := stats.Server(e.root, o.url, e.getenv(stats.ServerVariable), o.watchURL)
	if err != nil {
		return nil, err
	}
	credentials, err := o.credentials(e, l)
	if err != nil {
		return nil, err
	}
	client, err := o.httpClient(e)
	if err != nil {
		return nil, err
	}
	return &stats.Pusher{
		HTTP: client, Endpoint: endpoint, Region: o.region, Credentials: credentials,
		Retry: o.limit(stats.DefaultRetry()), Spool: stats.Spool{Path: filepath.Join(e.root, stats.SpoolPath)}, Log: l.Logger,
	}, nil
}

// clientRoots are the authorities that a client trusts; nil: those of the
// system.
func clientRoots(client *http.Client) *x509.CertPool {
	if t, ok := client.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		return t.TLSClientConfig.RootCAs
	}
	return nil
}

// heldElsewhere says that a daemon sends heartbeats for the same alarm.
func (o *pushStatsOptions) heldElsewhere(e *env) bool {
	if !slices.Contains(o.selection.Names, stats.Heartbeat) {
		return false
	}
	path := filepath.Join(e.root, stats.HeartbeatPath)
	watch, err := os.ReadFile(path)
	if err != nil || string(watch) != o.watch+"\n" { // that of a daemon has a line, also without an alarm
		return false
	}
	l, err := lock.Try(path)
	if err != nil {
		return errors.Is(err, lock.ErrHeld)
	}
	_ = l.Release() // of a daemon that was killed
	return false
}

// leaveHeartbeat has no heartbeat sent, and says whether there is something
// else to do.
func (o *pushStatsOptions) leaveHeartbeat() bool {
	o.withoutHeartbeat = true
	return len(o.selection.Names) > 1 || o.hasMetric || len(o.probes.list) > 0
}

// check says whether a check failed, and tells which.
func (o *pushStatsOptions) check(ctx context.Context, e *env, l *logs, client *http.Client) bool {
	if len(o.probes.list) == 0 {
		return false
	}
	checker := &check.Checker{System: &sys.System{Root: e.root, Run: sys.Exec, Environ: e.environ, Log: l.Logger}}
	checker.Roots = clientRoots(client)
	failed := false
	for _, err := range checker.All(ctx, o.probes.list) {
		if err != nil {
			failed = true
			l.Warn("check failed: " + err.Error())
		}
	}
	return failed
}
