package check

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Probe is a question to a service. The zero value is none; Parse makes one.
type Probe struct {
	Expect  string        // http and tcp: text that must come back; empty: any or none
	Timeout time.Duration // 0: DefaultTimeout

	kind   kind
	target string // URL, HOST:PORT, command line, name of a unit or process
}

type kind string

const (
	kindHTTP    kind = "http"
	kindTCP     kind = "tcp"
	kindExec    kind = "exec"
	kindUnit    kind = "unit"
	kindProcess kind = "process"
)

const forms = "http://URL, https://URL, tcp:HOST:PORT, exec:COMMAND, unit:NAME or process:NAME"

// Parse reads a probe: http://URL and https://URL are to be answered with a
// status of 2xx or 3xx; tcp:HOST:PORT is to accept a connection; exec:COMMAND,
// a line for /bin/sh -c, is to end with 0; unit:NAME is to be active in
// systemd; process:NAME is to exist.
func Parse(text string) (Probe, error) {
	text = strings.TrimSpace(text)
	scheme, rest, found := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	p := Probe{kind: kind(strings.ToLower(scheme)), target: rest}
	var err error
	switch {
	case found && (p.kind == kindHTTP || p.kind == "https"):
		p.kind, p.target = kindHTTP, text
		err = checkURL(text)
	case found && p.kind == kindTCP:
		err = checkAddress(rest)
	case found && p.kind == kindExec:
		if rest == "" || strings.ContainsRune(rest, 0) {
			err = errors.New("it has no command")
		}
	case found && (p.kind == kindUnit || p.kind == kindProcess):
		err = checkName(rest)
	default:
		// Quoted in part only: there may be a secret in it.
		err = errors.New("it is none of " + forms)
	}
	if err != nil {
		return Probe{}, fmt.Errorf("probe %q: %w", cutText(text, 40), err)
	}
	return p, nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return errors.New("it is not a URL such as http://127.0.0.1:80/")
	}
	return nil
}

func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || checkName(host) != nil {
		return errors.New("it is not of the form tcp:HOST:PORT, an IPv6 address in brackets")
	}
	return nil
}

func checkName(name string) error {
	if name == "" || name[0] == '-' || strings.ContainsAny(name, "/ \t\n\x00") {
		return fmt.Errorf("%q is not a name", name)
	}
	return nil
}

// String is the probe as it may be shown: a URL without user, password and
// query, of a command the program alone.
func (p Probe) String() string {
	switch p.kind {
	case kindHTTP:
		u, err := url.Parse(p.target)
		if err != nil {
			return "http"
		}
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
	case kindExec:
		return "exec:" + cutText(strings.Fields(p.target)[0], 60)
	}
	return string(p.kind) + ":" + p.target
}

// cutText is at most limit bytes of a text.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
