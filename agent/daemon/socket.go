package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SocketPath is where the daemon listens: a client writes one word and a line
// end, and reads one line, an answer in JSON. Only its owner may connect.
const SocketPath = "/run/cfn-agent.sock"

// What the daemon is asked for.
const (
	askStatus = "status"
	askPoll   = "poll"
)

// talkLimit is how long a client may take.
const talkLimit = 5 * time.Second

// ErrNoDaemon says that nobody listens.
var ErrNoDaemon = errors.New("no daemon is running")

// Listen makes the socket below root. One that is there is of a daemon that was
// killed: the caller holds the lock of those that run.
func Listen(root string) (*net.UnixListener, error) {
	path := filepath.Join("/", root, SocketPath)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177) // of the whole process, which does nothing else yet
	defer syscall.Umask(old)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// Serve answers until the listener is closed. The daemon must have begun.
func (d *Daemon) Serve(ctx context.Context, l *net.UnixListener) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // as when there are too many files
			d.System.Log.Warn("status cannot be told", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			continue
		}
		group.Go(func() {
			defer conn.Close()
			if err := d.answer(ctx, conn); err != nil {
				d.System.Log.Debug("status was not told", "err", err)
			}
		})
	}
}

func (d *Daemon) answer(ctx context.Context, conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(talkLimit)); err != nil {
		return err
	}
	word, err := bufio.NewReaderSize(conn, 64).ReadSlice('\n')
	if err != nil {
		return err
	}
	var answer any = struct{}{}
	switch strings.TrimSpace(string(word)) {
	case askStatus:
		answer = d.Status()
	case askPoll:
		d.Poll(ctx, false)
	default:
		return fmt.Errorf("it was asked for %q", word)
	}
	if d.scheduler.stopped() {
		return errors.New("it was asked while the daemon is being stopped")
	}
	return json.NewEncoder(conn).Encode(answer)
}

// AskStatus asks the daemon below root how it goes. The error is ErrNoDaemon
// when there is none.
func AskStatus(ctx context.Context, root string) (Status, error) {
	var s Status
	err := ask(ctx, root, askStatus, &s)
	return s, err
}

// AskPoll asks the daemon below root to poll the metadata now. The errors are
// those of AskStatus.
func AskPoll(ctx context.Context, root string) error { return ask(ctx, root, askPoll, &struct{}{}) }

func ask(ctx context.Context, root, word string, answer any) error {
	path := filepath.Join("/", root, SocketPath)
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: nobody listens at %s", ErrNoDaemon, SocketPath)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("must run as root: %w", err)
	}
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * talkLimit)); err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if _, err := conn.Write([]byte(word + "\n")); err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	err = json.NewDecoder(conn).Decode(answer)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the one at %s is being stopped", ErrNoDaemon, SocketPath)
	}
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}
