package signal

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// Status decides between Success and Failure by the options of cfn-signal.
// success is the text of -s, exitCode that of -e; the booleans say whether
// they were given. A number in -e decides alone, 0 being success; any other
// text there is a failure, but for a blank one, which counts as not given.
// Otherwise true, yes and 1 in -s, in any case, are success, other text is
// failure, and nothing given is success. warn, if not empty, tells what was
// odd about them.
func Status(success string, successSet bool, exitCode string, exitSet bool) (status, warn string) {
	code := strings.TrimSpace(exitCode)
	if exitSet && code != "" {
		n, err := strconv.Atoi(code)
		switch {
		case err != nil:
			return Failure, fmt.Sprintf("exit code %q is not a number: it counts as a failure", exitCode)
		case n == 0:
			return Success, ""
		}
		return Failure, ""
	}
	if exitSet {
		warn = "the exit code is empty: it counts as not given"
	}
	if !successSet {
		return Success, warn
	}
	switch strings.ToLower(strings.TrimSpace(success)) {
	case "true", "yes", "1":
		return Success, warn
	case "false", "no", "0":
		return Failure, warn
	}
	if warn != "" {
		warn += "; "
	}
	return Failure, warn + fmt.Sprintf("success %q is neither true nor false: it counts as a failure", success)
}

// lookupTime bounds the search for a full host name.
const lookupTime = 3 * time.Second

// DefaultID is the UniqueID of a guest that was given none: Nova's uuid, else
// the fully qualified form of hostname as far as the resolver knows it.
func DefaultID(ctx context.Context, n nova.Client, hostname string) string {
	if i, err := n.Instance(ctx); err == nil {
		return i.UUID
	}
	if strings.Contains(hostname, ".") {
		return hostname
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, hostname)
	if err != nil {
		return hostname
	}
	for _, addr := range addrs {
		names, _ := net.DefaultResolver.LookupAddr(ctx, addr)
		for _, name := range names {
			if name = strings.TrimSuffix(name, "."); strings.HasPrefix(name, hostname+".") {
				return name
			}
		}
	}
	return hostname
}
