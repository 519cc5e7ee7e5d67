package outbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A received is a request that a receiver got.
type received struct {
	Method, URI, Key, Signature, Type, Body string
}

// A receiver is a server that webhooks are sent to.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	got  []received
	said func(r received) int // status; nil: 200
}

func newReceiver(t *testing.T) *receiver {
	rc := &receiver{}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r := received{req.Method, req.RequestURI, req.Header.Get("Idempotency-Key"), req.Header.Get("X-CfnWatch-Signature"), req.Header.Get("Content-Type"), string(data)}
		rc.mu.Lock()
		rc.got = append(rc.got, r)
		said := rc.said
		rc.mu.Unlock()
		if said != nil {
			w.WriteHeader(said(r))
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]received(nil), rc.got...)
}

// fired is a transition to ALARM that wants actions.
func fired(id int64, number int, actions ...string) []watch.Wanted {
	var wanted []watch.Wanted
	for i, a := range actions {
		wanted = append(wanted, watch.Wanted{
			Transition: watch.Transition{
				AlarmID: id, Project: "p1", Alarm: "web-Heartbeat", Revision: 1, Number: number,
				From: watch.OK, To: watch.Firing, At: time.Now(), Reason: "nothing arrived for 135 s",
				Data: json.RawMessage(`{"lastArrival":"x"}`),
			},
			Index: i, Action: a, Origin: watch.FromRules, Span: time.Minute,
		})
	}
	return wanted
}

// testOptions are those of an outbox whose messages and commands are real.
func testOptions(t *testing.T, s Store) Options {
	post := &Post{Secret: "hush"}
	return Options{
		Store: s, Owner: "test", Log: slog.New(slog.DiscardHandler), Gates: DefaultGates(),
		RetryFor: 15 * time.Minute, MessageFor: 24 * time.Hour,
		Actions: map[Kind]Action{
			Webhook: post, Signal: post,
			Exec: &Commands{Dir: filepath.Join(t.TempDir(), "exec"), ByName: map[string]Command{}},
		},
	}
}

// start runs an outbox until the test ends.
func start(t *testing.T, o *Outbox) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for what other processes do.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func ends(t *testing.T, m *memory, key string) Row {
	t.Helper()
	eventually(t, key+" ends", func() bool { return m.row(t, key).Status.Ended() })
	return m.row(t, key)
}

func TestTransitionsWebhookAndCommandAreDeliveredOnce(t *testing.T) {
	m, rc := newMemory(), newReceiver(t)
	opts := testOptions(t, m)
	out := filepath.Join(t.TempDir(), "ran")
	opts.Actions[Exec].(*Commands).ByName["restart"] = Command{
		Argv:    []string{"sh", "-c", `echo "$CFNWATCH_KEY $CFNWATCH_ALARM $CFNWATCH_STATE $HOME" >> "$0"; echo said`, out},
		Timeout: time.Minute,
	}
	keys := m.want(time.Now(), fired(7, 3, rc.URL+"/hook?token=T0", "cfnwatch:exec:restart")...)
	start(t, New(opts))

	message, command := ends(t, m, keys[0]), ends(t, m, keys[1])
	if message.Status != Done || command.Status != Done {
		t.Fatalf("statuses %s, %s (%s), want done", message.Status, command.Status, command.Why)
	}
	got := rc.all()
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	mac := hmac.New(sha256.New, []byte("hush"))
	mac.Write([]byte(got[0].Body))
	want := received{"POST", "/hook?token=T0", "7.1.3.0.0", "sha256=" + hex.EncodeToString(mac.Sum(nil)), "application/json", got[0].Body}
	if got[0] != want {
		t.Errorf("request %+v, want %+v", got[0], want)
	}
	wantBody := `{"alarm_name":"web-Heartbeat","alarm_id":"7","severity":"low","previous":"ok","current":"alarm",` +
		`"reason":"nothing arrived for 135 s","reason_data":{"lastArrival":"x"},` +
		`"cfnwatch":{"key":"7.1.3.0.0","project":"p1","alarm":"web-Heartbeat","revision":1,"transition":3,"at":"AT","target":"","rung":""}}`
	at := message.At.UTC().Format(time.RFC3339Nano)
	if body := strings.Replace(got[0].Body, at, "AT", 1); body != wantBody {
		t.Errorf("body\n%s\nwant\n%s", body, wantBody)
	}
	ran, err := os.ReadFile(out)
	if want := keys[1] + " web-Heartbeat ALARM \n"; err != nil || string(ran) != want {
		t.Errorf("the command wrote %q, %v, want %q", ran, err, want)
	}
	var kept mark
	if err := json.Unmarshal(command.Baseline, &kept); err != nil || kept.Output != "said\n" {
		t.Errorf("kept output %q, %v", kept.Output, err)
	}
	if left, err := os.ReadDir(opts.Actions[Exec].(*Commands).Dir); err != nil || len(left) > 0 {
		t.Errorf("marks left behind: %v, %v", left, err)
	}
}
