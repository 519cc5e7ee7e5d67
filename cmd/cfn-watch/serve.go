package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
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

SIGHUP reads the rules, the keys and the certificate again; SIGTERM stops: what is
under way ends, and what was heard is stored.`,
		Example: "  cfn-watch serve --config /etc/cfn-watch/cfn-watch.conf",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := g.load()
			if err != nil {
				return err
			}
			return serve(c.Context(), g.env, conf, newStore)
		},
	}
	c.Flags().BoolVar(&newStore, "new-store", false, "begin with an empty store: the one that is there is kept beside it")
	return c
}

// A server is all that runs.
type server struct {
	config   *config
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
	selftest *selftest // nil: none is wanted

	hangups                     chan os.Signal
	guests, operators, scrapers net.Listener
}

// serve runs the server until ctx is done.
func serve(ctx context.Context, e *env, c *config, newStore bool) (err error) {
	log := newLog(e, c)
	s := &server{config: c, log: log, hangups: make(chan os.Signal, 1)}
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
	var err error
	s.health = &health{started: now, last: now}
	s.engine = watch.New(watch.Options{
		Store: s.store, Log: s.log,
		AlarmsPerProject: s.config.limits.alarmsPerProject, SeriesPerProject: s.config.limits.seriesPerProject,
		Series: s.config.limits.series, Retention: s.config.store.retention, FlushEvery: s.config.store.flush,
		OnBatch: func(b watch.Batch) { s.outbox.OnBatch(b) },
		OnTick:  s.health.tick,
	})
	if s.outbox, err = newOutbox(s.config, s.store, s.engine, s.log); err != nil {
		return err
	}
	if err := s.engine.Start(ctx, now); err != nil {
		return fmt.Errorf("load the store %s: %w", s.config.store.path, err)
	}
	s.issued = &issuedKeys{store: s.store}
	if err := s.issued.load(ctx); err != nil {
		return err
	}
	if s.verifier, s.keystone, err = newVerifier(s.config, s.issued, s.log); err != nil {
		return err
	}
	if err := applyRules(ctx, s.config, s.engine, s.log); err != nil {
		return err
	}
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
	if s.guests, err = listen(s.config, s.log); err != nil {
		return err
	}
	if s.operators, err = admin.Listen(s.config.server.admin); err != nil {
		return err
	}
	if s.scrapers, err = net.Listen("tcp", s.config.server.metrics); err != nil {
		return fmt.Errorf("%w: [server] metrics says where", err)
	}
	if s.config.server.selftest {
		s.selftest = newSelftest(s.guests.Addr(), s.config.server.cert != "", s.engine.Deaf)
		s.issued.own(s.selftest.key)
	}
	return nil
}

// run serves until ctx is done, or a part fails.
func (s *server) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s.handler = api.New(s.engine, s.verifier.Verify, api.Options{
		Log: s.log, May: permit(s.config).Check, Conceal: outbox.Shown,
		RatePerKey: float64(s.config.limits.ratePerKey), BurstPerKey: s.config.limits.burstPerKey, RatePerProject: float64(s.config.limits.ratePerProject),
	})
	desk := &admin.Server{
		Engine: s.engine, Outbox: s.outbox, Store: s.store, KeysChanged: s.issued.changed, Log: s.log,
		Problem: func() error { return s.health.problem(s.engine, time.Now()) },
		Started: s.health.started, Listen: s.guests.Addr().String(), Keystone: s.keystone,
	}
	var wg sync.WaitGroup
	servers := map[*http.Server]net.Listener{
		api.Server(s.handler): s.guests, desk.HTTP(): s.operators, s.metrics.HTTP(): s.scrapers,
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
	for _, part := range []func(context.Context){s.verifier.Run, s.work, s.followSignals, s.prune, s.kickWatchdog, s.runSelftest, s.sayAlive} {
		wg.Go(func() { part(ctx) })
	}
	s.log.Info("serving", "listen", s.guests.Addr().String(), "metrics", s.scrapers.Addr().String(), "admin", s.config.server.admin)
	notify(s.log, daemon.SdNotifyReady)

	<-ctx.Done()
	notify(s.log, daemon.SdNotifyStopping)
	s.log.Info("stopping")
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	for h := range servers {
		if err := h.Shutdown(limit); err != nil {
			h.Close()
		}
	}
	stopEngine() // the last to stop: what was heard is stored
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// work is the outbox at work.
func (s *server) work(ctx context.Context) {
	if err := s.outbox.Run(ctx); err != nil {
		s.log.Error("actions stand still", "err", err)
	}
}

func (s *server) runSelftest(ctx context.Context) {
	if s.selftest != nil {
		s.selftest.run(ctx)
	}
}

// followSignals reads again what can be, on SIGHUP.
func (s *server) followSignals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangups:
			notify(s.log, reloading())
			if err := applyRules(ctx, s.config, s.engine, s.log); err != nil {
				s.log.Error("rules are wrong: those from before hold", "err", err)
			}
			s.log.Info("read again: rules; keys and the certificate are followed by themselves, anything else takes a restart")
			notify(s.log, daemon.SdNotifyReady)
		}
	}
}

// prune forgets history that is too old, at the start and each hour.
func (s *server) prune(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		before := time.Now().Add(-s.config.store.history)
		err := errors.Join(s.store.Prune(ctx, before), s.config.commands().Forget(before, func(key string) (bool, error) {
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

// newOutbox makes an outbox with the actions that the configuration has.
func newOutbox(c *config, st *store.Store, engine *watch.Engine, log *slog.Logger) (*outbox.Outbox, error) {
	post := &outbox.Post{DryRun: c.actions.dryRun, Access: outbox.Access{Private: c.actions.allowPrivate}}
	if path := c.actions.webhookSecretFile; path != "" {
		secret, err := readSecret(path)
		if err != nil {
			return nil, fmt.Errorf("[actions] webhook_secret_file: %w", err)
		}
		post.Secret = secret
	}
	g := c.gates
	return outbox.New(outbox.Options{
		Store: st, Engine: engine, Actions: c.actionKinds(post), Log: log, DryRun: c.actions.dryRun, RetryFor: c.actions.retryFor, MessageFor: c.actions.webhookRetryFor,
		Owner: fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()[:8]),
		Gates: outbox.Gates{
			StormCount: g.stormCount, StormShare: g.stormShare, StormShareDomain: g.stormShareDomain, BootGrace: g.bootGrace, FirstBoot: g.firstBoot,
			PerTarget: outboxBudgets(g.perTarget), PerStack: outboxBudgets(g.perStack), PerProject: g.perProject, All: g.all,
			Rate: outbox.Budget{Count: 1, In: time.Duration(float64(time.Second) / g.rate)}, HoldFor: g.holdFor,
		},
	}), nil
}

// commands are those of the configuration, with their marks beside the store.
func (c *config) commands() *outbox.Commands {
	commands := &outbox.Commands{ByName: map[string]outbox.Command{}, Dir: c.store.path + "-exec"}
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
