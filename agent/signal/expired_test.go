package signal

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// keystone refuses signatures that are not by keys, or older than 15 minutes
// by a clock that is ahead of ours.
func keystone(t *testing.T, ahead time.Duration) func(http.ResponseWriter, *http.Request, post) {
	return func(w http.ResponseWriter, r *http.Request, p post) {
		now := time.Now().Add(ahead)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		made, err := time.Parse(time.RFC3339, r.URL.Query().Get("Timestamp"))
		again := &http.Request{Method: r.Method, URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}}
		awsquery.SignV2(again, keys, made)
		good := again.URL.Query().Get("Signature") == r.URL.Query().Get("Signature")
		if err != nil || !good || now.Sub(made) > 15*time.Minute {
			replay(t, w, "wait-put-bad-signature")
			return
		}
		replay(t, w, "cfn-signal-1.4.2")
	}
}

// A handle's URL is signed when the handle is made; a boot that takes longer
// than 15 minutes could not signal with heat-cfntools. The guest's own
// credentials sign the same path.
func TestFakeHeatExpiredURLIsSignedAgain(t *testing.T) {
	for _, path := range []string{waitPath, signPath} {
		h := newHeat(t, keystone(t, 0))
		s := h.sender()
		s.Credentials = keys
		if err := s.Send(t.Context(), Request{URL: h.presigned(path, time.Now().Add(-time.Hour)), Signal: done}); err != nil {
			t.Fatal(err)
		}
		if len(h.posts) != 2 || !strings.HasPrefix(h.posts[1].uri, path+"?") || h.posts[1].method != h.posts[0].method {
			t.Errorf("sent %+v, want the same path and method again", h.posts)
		}
	}
}

// Without credentials nothing helps, so the error tells the cause at once.
func TestFakeHeatExpiredURLWithoutCredentials(t *testing.T) {
	h := newHeat(t, keystone(t, 0))
	err := h.sender().Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now().Add(-time.Hour)), Signal: done})
	for _, part := range []string{"HTTP 403 AccessDenied", "the URL was signed 1h0m", "older than 15 minutes", "auth_ttl", "credentials"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Send = %v, want it to tell %q", err, part)
		}
	}
	if len(h.posts) != 1 {
		t.Errorf("%d requests, want 1", len(h.posts))
	}
}

// A guest whose clock is behind sees a young URL: the server's clock counts.
func TestFakeHeatExpiredURLAndClockBehind(t *testing.T) {
	h := newHeat(t, keystone(t, time.Hour))
	s := h.sender()
	s.Credentials = keys
	if err := s.Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done}); err != nil || len(h.posts) != 2 {
		t.Errorf("Send = %v after %d requests, want nil after 2", err, len(h.posts))
	}
}

// A young URL that is refused is not blamed on its age, and not signed with
// other keys.
func TestFakeHeatRefusedYoungURL(t *testing.T) {
	h := newHeat(t, keystone(t, 0))
	s := h.sender()
	s.Credentials = keys
	err := s.Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done})
	if err == nil || strings.Contains(err.Error(), "ago") || len(h.posts) != 8 {
		t.Errorf("Send = %v after %d requests, want a plain refusal after 8", err, len(h.posts))
	}
	for _, p := range h.posts {
		if u, _ := url.Parse(p.uri); u.Query().Get("AWSAccessKeyId") != "d4d2386c" {
			t.Errorf("sent %s, want the URL as it was given", p.uri)
		}
	}
}

// A URL that a shell got without quotes ends at its first &, and one that was
// copied by hand may lack a letter.
func TestFakeHeatHintsAtTheShell(t *testing.T) {
	incomplete := func(w http.ResponseWriter, _ *http.Request, _ post) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "<ErrorResponse><Error><Type>Sender</Type><Code>IncompleteSignature</Code>"+
			"<Message>The request signature does not conform to AWS standards</Message></Error></ErrorResponse>")
	}
	f := func(answer func(http.ResponseWriter, *http.Request, post), cut bool, want string) {
		t.Helper()
		h := newHeat(t, answer)
		u := h.presigned(waitPath, time.Now())
		if cut {
			u, _, _ = strings.Cut(u, "&")
		}
		err := h.sender().Send(t.Context(), Request{URL: u, Signal: done})
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("Send = %v, want it to end in %q", err, want)
		}
	}
	f(incomplete, true, " (the URL is cut: quote it, & ends a command in a shell)")
	f(always(t, "wait-put-bad-signature"), false, " (is the URL whole and unchanged? quote it in the shell)")

	h := newHeat(t, incomplete)
	d := &delivery{Sender: h.sender(), signed: true}
	if hint := d.hint(&awsquery.Error{Status: http.StatusForbidden}); hint != "" {
		t.Errorf("hint = %q for a URL that was signed here, want none", hint)
	}
}

// The pre-signed URL of a resource whose name has special characters gets 403
// from the Heat that made it; the guest's keys make one that works.
func TestFakeHeatURLOfANameWithASpace(t *testing.T) {
	path := strings.Replace(waitPath, "WaitHandle", "Wait%2520Handle", 1)
	h := newHeat(t, keystone(t, 0))
	s := h.sender()
	err := s.Send(t.Context(), Request{URL: h.presigned(path, time.Now()), Signal: done})
	if err == nil || !strings.Contains(err.Error(), "special characters") {
		t.Errorf("Send = %v, want the cause named", err)
	}
	s.Credentials = keys
	if err := s.Send(t.Context(), Request{URL: h.presigned(path, time.Now()), Signal: done}); err != nil {
		t.Errorf("Send with credentials = %v, want nil", err)
	}
}
