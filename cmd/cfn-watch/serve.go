package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/api"
	"github.com/cfn-agent/cfn-agent/watch/auth"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// drain is how long requests under way may take when the server stops.
const drain = 10 * time.Second

func newServeCommand(g *global) *cobra.Command {
	var newStore bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Take what guests push, judge alarms, and act",
		Long: `Take what guests push, judge alarms over it, and do what they ask for.

Without a configuration it listens on loopback, keeps its store and its socket in
$STATE_DIRECTORY or the working directory, and knows the keys that
"cfn-watch issue-key" makes.

SIGHUP reads the configuration, the rules and the keys again: if anything is wrong in
them all stays as it was, and the log says which keys of the configuration take a
restart. A certificate is read again when its files change. SIGTERM stops: what is
under way ends, and what was heard is stored.`,
		Example: "  cfn-watch serve --config /etc/cfn-watch/cfn-watch.conf",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := g.load()
			if err != nil {
				return err
			}
			return serve(c.Context(), g, conf, newStore)
		},
	}
	c.Flags().BoolVar(&newStore, "new-store", false, "begin with an empty store: the one that is there is kept beside it")
	return c
}

// A server is all that runs.
type server struct {
	current                          // the configuration
	reread   func() (*config, error) // the same, as its file is now
	getenv   func(string) string
	log      *slog.Logger
	store    *store.Store
	engine   *watch.Engine
	outbox   *outbox.Outbox
	verifier *auth.Verifier
	handler  *api.Handler
	keystone *auth.Keystone // nil: none is configured
	issued   *issuedKeys
	health   *health
	metrics  *metrics
	selftest *selftest

	hangups                     chan os.Signal
	guests, operators, scrapers net.Listener
}

// serve runs the server until ctx is done.
func serve(ctx context.Context, g *global, c *config, newStore bool) (err error) {
	log := newLog(g.env, c)
	s := &server{reread: g.load, getenv: g.env.getenv, log: log, hangups: make(chan os.Signal, 1)}
	s.replace(c)
	signal.Notify(s.hangups, syscall.SIGHUP) // one while it starts or stops ends nothing
	defer signal.Stop(s.hangups)
	if s.store, err = store.Open(ctx, c.store.path, store.Options{New: newStore, Log: log}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	if err := s.build(ctx); err != nil {
		return err
	}
	defer s.close()
	if err := s.listen(); err != nil {
		return err
	}
	return s.run(ctx)
}

func newLog(e *env, c *config) *slog.Logger {
	if c.server.jsonLog {
		return slog.New(slog.NewJSONHandler(e.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(e.stderr, nil))
}

// build puts the parts together, from the store up.
func (s *server) build(ctx context.Context) error {
	now := time.Now()
	c := s.config()
	s.health = &health{started: now, last: now, probed: now}
	o := c.engineLimits()
	o.Store, o.Log, o.OnTick = s.store, s.log, s.health.tick
	o.OnBatch = func(b watch.Batch) { s.outbox.OnBatch(b) }
	s.engine = watch.New(o)
	settings, err := c.outboxSettings()
	if err != nil {
		return err
	}
	s.outbox = outbox.New(outbox.Options{
		Store: s.store, Engine: s.engine, Log: s.log, Owner: fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()[:8]), Settings: settings,
	})
	if err := s.engine.Start(ctx, now); err != nil {
		return fmt.Errorf("load the store %s: %w", c.store.path, err)
	}
	s.issued = &issuedKeys{store: s.store}
	if err := s.issued.load(ctx); err != nil {
		return err
	}
	if s.verifier, s.keystone, err = newVerifier(c, s.issued, s.engine, s.log); err != nil {
		return err
	}
	set, err := c.loadRules()
	if err != nil {
		return err
	}
	if err := applyRules(ctx, c, set, s.engine, s.log); err != nil {
		return err
	}
	limits := c.apiLimits()
	limits.Log, limits.Conceal = s.log, outbox.Shown
	limits.May = func(a watch.Alarm) error { return permit(s.config()).Check(a) }
	s.handler = api.New(s.engine, s.verifier.Verify, limits)
	s.metrics = newMetrics(s)
	return nil
}

func (s *server) close() {
	for _, l := range []net.Listener{s.guests, s.operators, s.scrapers} {
		if l != nil {
			l.Close()
		}
	}
}

// listen opens the three doors.
func (s *server) listen() (err error) {
	c := s.config()
	if s.guests, err = listen(c, s.log, s.engine.Deaf); err != nil {
		return err
	}
	if s.operators, err = admin.Listen(c.server.admin); err != nil {
		return err
	}
	if s.scrapers, err = net.Listen("tcp", c.server.metrics); err != nil {
		return fmt.Errorf("%w: [server] metrics says where", err)
	}
	s.selftest = newSelftest(s.guests.Addr(), c.server.cert != "", s.engine.Deaf)
	s.issued.own(s.selftest.key)
	return nil
}

// run serves until ctx is done, or a part fails.
func (s *server) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	desk := &admin.Server{
		Engine: s.engine, Outbox: s.outbox, Store: s.store, KeysChanged: s.issued.changed, Log: s.log,
		Problem: func() error { return s.health.problem(s.engine, time.Now()) },
		Started: s.health.started, Listen: s.guests.Addr().String(), Keystone: s.keystone,
	}
	var wg sync.WaitGroup
	guests := api.Server(s.handler)
	guests.ConnState = noteState
	servers := map[*http.Server]net.Listener{
		guests: s.guests, desk.HTTP(): s.operators, s.metrics.HTTP(): s.scrapers,
	}
	for h, l := range servers {
		wg.Go(func() {
			if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve at %s: %w", l.Addr(), err))
			}
		})
	}
	engineDone, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { s.engine.Run(engineDone) })
	for _, part := range []func(context.Context){s.verifier.Run, s.work, s.followSignals, s.prune, s.boundMemory, s.kickWatchdog, s.probeStore, s.runSelftest, s.sayAlive} {
		wg.Go(func() { part(ctx) })
	}
	s.log.Info("serving", "listen", s.guests.Addr().String(), "metrics", s.scrapers.Addr().String(), "admin", s.config().server.admin)
	notify(s.log, daemon.SdNotifyReady)

	<-ctx.Done()
	notify(s.log, daemon.SdNotifyStopping)
	s.log.Info("stopping")
	shutDown(context.WithoutCancel(ctx), slices.Collect(maps.Keys(servers)))
	stopEngine() // the last to stop: what was heard is stored
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// shutDown has all servers take nothing more at once, and gives what is under
// way at any of them until drain is over.
func shutDown(ctx context.Context, servers []*http.Server) {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	var wg sync.WaitGroup
	for _, h := range servers {
		wg.Go(func() {
			if err := h.Shutdown(ctx); err != nil {
				h.Close()
			}
		})
	}
	wg.Wait()
}

// work is the outbox at work.
func (s *server) work(ctx context.Context) {
	if err := s.outbox.Run(ctx); err != nil {
		s.log.Error("actions stand still", "err", err)
	}
}

func (s *server) probeStore(ctx context.Context) { s.health.probe(ctx, s.store.Probe) }

func (s *server) runSelftest(ctx context.Context) {
	s.selftest.run(ctx, func() bool { return s.config().server.selftest })
}

// prune forgets history that is too old, at the start and each hour.
func (s *server) prune(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		c := s.config()
		before := time.Now().Add(-c.remembers())
		err := errors.Join(s.store.Prune(ctx, before), c.commands().Forget(before, func(key string) (bool, error) {
			rows, err := s.store.Rows(ctx, outbox.RowQuery{Key: key, Open: true})
			return len(rows) == 0, err
		}))
		if err != nil && ctx.Err() == nil {
			s.log.Warn("old history is still there", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// remembers is how long the history is kept: no less than budgets count back, or
// they would be those of that time alone.
func (c *config) remembers() time.Duration {
	longest := c.store.history
	for _, b := range slices.Concat(c.gates.perTarget, c.gates.perStack) {
		longest = max(longest, b.in)
	}
	return longest
}

// engineLimits are what bounds the engine.
func (c *config) engineLimits() watch.Options {
	return watch.Options{
		AlarmsPerProject: c.limits.alarmsPerProject, SeriesPerProject: c.limits.seriesPerProject, Series: c.limits.series,
		Retention: c.store.retention, FlushEvery: c.store.flush,
	}
}

// apiLimits are what bounds who calls.
func (c *config) apiLimits() api.Options {
	return api.Options{
		RatePerKey: float64(c.limits.ratePerKey), BurstPerKey: c.limits.burstPerKey, RatePerProject: float64(c.limits.ratePerProject),
	}
}

// outboxSettings are those that the configuration has, with its actions.
func (c *config) outboxSettings() (outbox.Settings, error) {
	post := &outbox.Post{DryRun: c.actions.dryRun, Access: outbox.Access{Private: c.actions.allowPrivate}}
	if path := c.actions.webhookSecretFile; path != "" {
		secret, err := readSecret(path)
		if err != nil {
			return outbox.Settings{}, fmt.Errorf("[actions] webhook_secret_file: %w", err)
		}
		post.Secret = secret
	}
	g := c.gates
	return outbox.Settings{
		Actions: c.actionKinds(post), DryRun: c.actions.dryRun, RetryFor: c.actions.retryFor, MessageFor: c.actions.webhookRetryFor,
		Gates: outbox.Gates{
			StormCount: g.stormCount, StormShare: g.stormShare, StormShareDomain: g.stormShareDomain, BootGrace: g.bootGrace, FirstBoot: g.firstBoot,
			PerTarget: outboxBudgets(g.perTarget), PerStack: outboxBudgets(g.perStack), PerProject: g.perProject, All: g.all,
			Rate: outbox.Budget{Count: 1, In: time.Duration(float64(time.Second) / g.rate)}, HoldFor: g.holdFor,
		},
	}, nil
}

// commands are those of the configuration, with their marks beside the store.
func (c *config) commands() *outbox.Commands {
	commands := &outbox.Commands{ByName: map[string]outbox.Command{}, Dir: c.store.path + store.MarksSuffix}
	for _, x := range c.execs {
		commands.ByName[x.name] = outbox.Command{Argv: x.argv, User: x.user, Timeout: x.timeout, RetryUnknown: x.retryUnknown}
	}
	return commands
}

// actionKinds are the actions that the configuration has.
func (c *config) actionKinds(post *outbox.Post) map[outbox.Kind]outbox.Action {
	kinds := map[outbox.Kind]outbox.Action{outbox.Webhook: post, outbox.Signal: post, outbox.Exec: c.commands()}
	if len(c.notify.urls) > 0 {
		kinds[outbox.Notify] = &outbox.Operator{Post: post, URLs: c.notify.urls}
	}
	return kinds
}

func outboxBudgets(list []budget) (to []outbox.Budget) {
	for _, b := range list {
		to = append(to, outbox.Budget{Count: b.count, In: b.in})
	}
	return to
}

func permit(c *config) outbox.Permit {
	var p outbox.Permit
	for _, w := range c.actions.apiMay {
		p.API = append(p.API, outbox.Kind(w))
	}
	return p
}

// socketPath is the operator's socket as the commands reach it.
func (c *config) socketPath() string {
	path, err := filepath.Abs(c.server.admin)
	if err != nil {
		return c.server.admin
	}
	return path
}
