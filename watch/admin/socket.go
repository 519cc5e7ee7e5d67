package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Group is the group whose members may use the socket, where there is one.
const Group = "cfn-watch"

// bodyLimit is far above any request or answer but a list of all alarms.
const bodyLimit = 64 << 20

// Listen makes the socket, for its owner and the Group. One that a dead server
// left is replaced; one that answers is an error.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("the socket %s is in use: is cfn-watch running already?", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("make the operator's socket: %s is there and is no socket: [server] admin says where it is to be", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the operator's socket: %w", err)
	}
	old := syscall.Umask(0o177) // never open to others, not even for a moment
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("make the operator's socket: %w", err)
	}
	if g, err := user.LookupGroup(Group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			_ = os.Chown(path, -1, gid) // only root and members can
		}
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("make the operator's socket: %w", err), l.Close())
	}
	return l, nil
}

// An operator is who calls, as the kernel tells it.
type operator struct{ uid uint32 }

func (o operator) String() string {
	id := strconv.FormatUint(uint64(o.uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

type operatorKey struct{}

// withPeer notes who is at the other end of a connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ctx
	}
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			ctx = context.WithValue(ctx, operatorKey{}, operator{cred.Uid})
		}
	})
	return ctx
}

// HTTP is the server for the socket.
func (s *Server) HTTP() *http.Server {
	return &http.Server{Handler: s.mux(), ConnContext: withPeer, ReadHeaderTimeout: 10 * time.Second}
}

// A problem is the body of an answer that is an error.
type problem struct {
	Error string `json:"error"`
}

// on serves one call. What changes something is logged with who asked for it.
func on[In, Out any](mux *http.ServeMux, log *slog.Logger, name string, changes bool, f func(ctx context.Context, by string, in In) (Out, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		peer, ok := r.Context().Value(operatorKey{}).(operator)
		if !ok {
			answer(w, http.StatusForbidden, problem{"the kernel does not tell who calls"})
			return
		}
		var in In
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			answer(w, http.StatusBadRequest, problem{"the request cannot be read: " + err.Error()})
			return
		}
		out, err := f(r.Context(), peer.String(), in)
		if changes {
			log.Info("operator's command", "command", name, "by", peer.String(), "uid", peer.uid, "what", fmt.Sprintf("%+v", in), "err", err)
		}
		if err != nil {
			status := http.StatusConflict
			if errors.Is(err, watch.ErrNotFound) {
				status = http.StatusNotFound
			}
			answer(w, status, problem{err.Error()})
			return
		}
		answer(w, http.StatusOK, out)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// A Client calls the server over its socket.
type Client struct{ Socket string }

// ErrNoServer says that nobody answers at the socket.
var ErrNoServer = errors.New("no server answers")

// Call sends in as a call of that name and decodes the answer into out. The
// error wraps ErrNoServer when nobody answers; else it is the server's own
// text.
func (c Client) Call(ctx context.Context, name string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.Socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cfn-watch/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("the socket %s is for root and the group %s alone", c.Socket, Group)
		}
		return fmt.Errorf("%w at %s: is cfn-watch running? ([server] admin says where the socket is)", ErrNoServer, c.Socket)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var p problem
		if json.Unmarshal(data, &p) != nil || p.Error == "" {
			p.Error = "the server answers " + resp.Status
		}
		return errors.New(p.Error)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}
