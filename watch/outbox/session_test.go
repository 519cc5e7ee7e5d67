package outbox_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A session is a store as one process sees it: when the process is killed, or
// the disk is full, nothing is written any more.
type session struct {
	*memory
	*disk
	dead *atomic.Bool
}

// A disk is what every process has.
type disk struct {
	full  atomic.Bool
	slow  atomic.Int64 // what it takes to write a tick or windows
	doom  atomic.Int64 // the process dies at the write when this comes to zero
	after atomic.Bool  // that one happens all the same

	mu    sync.Mutex
	waits []span // of slow ticks, and of those to be tried again
}

type span struct{ begin, end time.Time }

func (d *disk) wait(takes time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waits = append(d.waits, span{time.Now(), time.Now().Add(takes)})
}

// waited is how long ticks waited to be written that did not end before a time.
func (d *disk) waited(since time.Time) (all time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.waits {
		if w.end.After(since) {
			all += w.end.Sub(w.begin)
		}
	}
	return all
}

var errNotWritten = errors.New("not written")

// wait is for what is written without a lock: in a bubble time stands still for
// who waits for a lock.
func (s session) wait() {
	takes := time.Duration(s.slow.Load())
	if takes == 0 {
		return
	}
	s.disk.wait(takes)
	time.Sleep(takes)
}

// err is why a write cannot be.
func (s session) err() error {
	if s.dead.Load() || s.full.Load() {
		return errNotWritten
	}
	if s.doom.Load() > 0 && s.doom.Add(-1) == 0 {
		s.dead.Store(true)
		if !s.after.Load() {
			return errNotWritten
		}
	}
	return nil
}

func (s session) Record(ctx context.Context, b watch.Batch) error {
	s.wait()
	if err := s.err(); err != nil {
		s.disk.wait(time.Second) // until the next tick
		return err
	}
	return s.memory.Record(ctx, b)
}

func (s session) Flush(ctx context.Context, kept []watch.Kept) error {
	s.wait()
	if err := s.err(); err != nil {
		return err
	}
	return s.memory.Flush(ctx, kept)
}

func (s session) Claim(ctx context.Context, id int64, owner string, now, until time.Time) (Row, bool, error) {
	if err := s.err(); err != nil {
		return Row{}, false, err
	}
	return s.memory.Claim(ctx, id, owner, now, until)
}

func (s session) Update(ctx context.Context, changes ...Change) ([]string, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.memory.Update(ctx, changes...)
}

func (s session) Renew(ctx context.Context, id int64, owner string, until time.Time) (bool, error) {
	if err := s.err(); err != nil {
		return false, err
	}
	return s.memory.Renew(ctx, id, owner, until)
}

func (s session) Release(ctx context.Context) error {
	if s.dead.Load() { // a process that was killed gives nothing back
		return nil
	}
	return s.memory.Release(ctx)
}

func (s session) Rouse(ctx context.Context, gate string, now time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.memory.Rouse(ctx, gate, now)
}

// pipes are a network in a bubble: what is dialled is served.
type pipes struct {
	accept chan net.Conn
	down   atomic.Bool
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.down.Load() {
		return nil, errors.New("no route to host")
	}
	ours, theirs := net.Pipe()
	select {
	case p.accept <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr implement net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A mailbox is a receiver of messages behind pipes, which fails at random.
type mailbox struct {
	pipes
	server *http.Server

	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	got    []string // keys, each time that one came
}

func newMailbox(random *rand.Rand) *mailbox {
	m := &mailbox{pipes: pipes{accept: make(chan net.Conn)}, random: random}
	m.server = &http.Server{Handler: m}
	go func() { _ = m.server.Serve(m) }()
	return m
}

func (m *mailbox) close() {
	close(m.accept)
	_ = m.server.Close()
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	m.mu.Lock()
	fate := m.random.IntN(10)
	calm := m.calm
	if calm || fate != 0 {
		m.got = append(m.got, req.Header.Get("Idempotency-Key"))
	}
	m.mu.Unlock()
	switch {
	case calm || fate > 2:
	case fate == 1: // it came, but the answer did not
		w.WriteHeader(http.StatusGatewayTimeout)
	case fate == 2:
		time.Sleep(40 * time.Second)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}
