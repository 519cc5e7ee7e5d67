package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Group is the group whose members may use the socket, where there is one.
const Group = "cfn-watch"

// bodyLimit is far above any request.
const bodyLimit = 1 << 20

// Listen makes the socket, for its owner and the Group, and its folder. One that a dead server
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the operator's socket: %w", err)
	}
	l, err := bind(path)
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

// bind makes the socket, for its owner alone: it is never open to others, not
// even for a moment.
func bind(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
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
	handle(mux, name, func(w http.ResponseWriter, r *http.Request, peer operator, in In) {
		out, err := f(r.Context(), peer.String(), in)
		if changes {
			log.Info("operator's command", "command", name, "by", peer.String(), "uid", peer.uid, "what", fmt.Sprintf("%+v", in), "err", err)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusOK, out)
	})
}

// onEach serves a call whose answer is a list, however long: of it no more is
// held than is being sent. An error after the first of it cuts the answer off.
func onEach[In, Out any](mux *http.ServeMux, name string, f func(ctx context.Context, by string, in In) iter.Seq2[Out, error]) {
	handle(mux, name, func(w http.ResponseWriter, r *http.Request, peer operator, in In) {
		out := bufio.NewWriterSize(w, 64<<10)
		enc := json.NewEncoder(out)
		before := byte('[')
		for one, err := range f(r.Context(), peer.String(), in) {
			switch {
			case err != nil && before == '[':
				refuse(w, err)
				return
			case err != nil:
				panic(http.ErrAbortHandler)
			}
			out.WriteByte(before)
			before = ','
			if enc.Encode(one) != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if before == '[' {
			out.WriteByte('[')
		}
		out.WriteString("]\n")
		_ = out.Flush()
	})
}

// handle serves a call of who is known, with what was asked.
func handle[In any](mux *http.ServeMux, name string, f func(w http.ResponseWriter, r *http.Request, peer operator, in In)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
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
		f(w, r, peer, in)
	})
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusConflict
	if errors.Is(err, watch.ErrNotFound) {
		status = http.StatusNotFound
	}
	answer(w, status, problem{err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
