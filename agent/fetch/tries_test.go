package fetch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
)

// Of a run that timed out it was only said that it had, and minutes of trying
// passed without a word.
func TestWhatFailedAndWhatEndedItAreSaid(t *testing.T) {
	const dead = "http://127.0.0.1:1/a"
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) })
	f := func(t *testing.T, url string, p retry.Policy, limit time.Duration, wantErr, wantLog string) {
		t.Helper()
		var log strings.Builder
		s := system(t)
		s.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("timed out after 8s"))
		defer cancel()
		_, err := (&Client{Retry: p}).Get(ctx, s, Request{URL: url + "?sig=xyzzy", Dir: t.TempDir()})
		if want := "get " + url + "?sig=[cut]: " + wantErr; err == nil || err.Error() != want {
			t.Errorf("Get = %v, want %s", err, want)
		}
		if log.String() != wantLog {
			t.Errorf("Get logs %q, want %q", log.String(), wantLog)
		}
	}
	slow := retry.Policy{First: time.Hour, Tries: 8, Total: 24 * time.Hour}
	const refused = "dial tcp 127.0.0.1:1: connect: connection refused"
	warn := func(what, url, err, limit string) string {
		return "level=WARN msg=\"127.0.0.1 " + what + ", trying again\" url=\"" + url + "?sig=[cut]\" err=\"" + err + "\"" + limit + "\n"
	}
	synctest.Test(t, func(t *testing.T) {
		f(t, dead, slow, 8*time.Second, refused+"; gave up: timed out after 8s", warn("does not answer", dead, refused, " for=8s"))
	})
	f(t, dead, quick(3), time.Hour, refused+"; gave up after 3 tries", warn("does not answer", dead, refused, " for=1m0s"))
	f(t, srv.URL, retry.Policy{First: time.Millisecond, Tries: 2, Total: time.Hour}, time.Hour, "404 Not Found; gave up after 2 tries",
		warn("answers with an error", srv.URL, "404 Not Found", " for=1m0s"))
	f(t, dead, quick(1), time.Hour, refused, "")
}
