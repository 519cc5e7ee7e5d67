package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// A Client calls the server over its socket.
type Client struct{ Socket string }

// ErrNoServer says that nobody answers at the socket.
var ErrNoServer = errors.New("no server answers")

// Call sends in as a call of that name and decodes the answer into out. The
// error wraps ErrNoServer when nobody answers; else it is the server's own
// text.
func (c Client) Call(ctx context.Context, name string, in, out any) error {
	answer, err := c.open(ctx, name, in)
	if err != nil {
		return err
	}
	defer answer.Close()
	return unreadable(json.NewDecoder(answer).Decode(out))
}

// Each is Call of what answers a list. It is handed on one by one, as JSON, as
// it comes; an error of f ends it, and is returned.
func (c Client) Each(ctx context.Context, name string, in any, f func(json.RawMessage) error) error {
	answer, err := c.open(ctx, name, in)
	if err != nil {
		return err
	}
	defer answer.Close()
	dec := json.NewDecoder(answer)
	if _, err := dec.Token(); err != nil { // [
		return unreadable(err)
	}
	for dec.More() {
		var one json.RawMessage
		if err := dec.Decode(&one); err != nil {
			return unreadable(err)
		}
		if err := f(one); err != nil {
			return err
		}
	}
	_, err = dec.Token() // ]
	return unreadable(err)
}

func unreadable(err error) error {
	if err != nil {
		err = fmt.Errorf("read the server's answer: %w", err)
	}
	return err
}

// open makes a call, and returns the answer if it is no error.
func (c Client) open(ctx context.Context, name string, in any) (io.ReadCloser, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.Socket)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cfn-watch/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("the socket %s is for root and the group %s alone", c.Socket, Group)
		}
		return nil, fmt.Errorf("%w at %s: is cfn-watch running? ([server] admin says where the socket is)", ErrNoServer, c.Socket)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var p problem
	if json.NewDecoder(resp.Body).Decode(&p) != nil || p.Error == "" {
		p.Error = "the server answers " + resp.Status
	}
	return nil, errors.New(p.Error)
}
