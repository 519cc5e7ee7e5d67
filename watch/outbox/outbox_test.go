package outbox_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

func TestTransitionsWebhookAndCommandAreDeliveredOnce(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	out := filepath.Join(t.TempDir(), "ran")
	s.command("restart", `echo "$CFNWATCH_KEY $CFNWATCH_ALARM $CFNWATCH_STATE $HOME" >> "$1"; echo said`, out)
	a := s.alarm("web", rc.URL+"/hook?token=T0", "cfnwatch:exec:restart")
	keys := s.set(a, watch.Firing)
	id := strconv.FormatInt(a.ID, 10)
	if want := []string{id + ".1.1.0.0", "alarm/p1/web|" + id + ".1.1|1:exec:restart|1"}; !slices.Equal(keys, want) {
		t.Fatalf("keys %q, want %q", keys, want)
	}
	o, _ := s.start()
	message, command := s.ends(keys[0]), s.ends(keys[1])
	if message.Status != Done || command.Status != Done {
		t.Fatalf("statuses %s, %s (%s), want done", message.Status, command.Status, command.Why)
	}
	wantMessage(t, rc, message, id)
	eventually(t, "both are counted", func() bool {
		return maps.Equal(o.Outcomes(), map[Outcome]int{{Webhook, Done}: 1, {Exec, Done}: 1})
	})
	ran, err := os.ReadFile(out)
	if want := keys[1] + " web ALARM \n"; err != nil || string(ran) != want {
		t.Errorf("the command wrote %q, %v, want %q", ran, err, want)
	}
	var kept struct{ Output string }
	if err := json.Unmarshal(command.Baseline, &kept); err != nil || kept.Output != "said\n" {
		t.Errorf("kept output %q, %v", kept.Output, err)
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, "exec")); err != nil || len(left) > 0 {
		t.Errorf("marks left behind: %v, %v", left, err)
	}
	if got, want := s.history(keys[0]), []string{rc.URL + "/...: done: HTTP 200: POST " + rc.URL + "/..."}; !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
}

func wantMessage(t *testing.T, rc *receiver, r Row, id string) {
	t.Helper()
	got := rc.all()
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	mac := hmac.New(sha256.New, []byte("hush"))
	mac.Write([]byte(got[0].Body))
	want := received{"POST", "/hook?token=T0", r.Key, "sha256=" + hex.EncodeToString(mac.Sum(nil)), "application/json", got[0].Body}
	if got[0] != want {
		t.Errorf("request %+v, want %+v", got[0], want)
	}
	wantBody := `{"alarm_name":"web","alarm_id":"` + id + `","severity":"low","previous":"insufficient data","current":"alarm",` +
		`"reason":"it was set","reason_data":{},` +
		`"cfnwatch":{"key":"` + r.Key + `","project":"p1","alarm":"web","revision":1,"transition":1,"at":"AT","target":"","rung":""}}`
	at := r.At.UTC().Format(time.RFC3339Nano)
	if body := strings.Replace(got[0].Body, at, "AT", 1); body != wantBody {
		t.Errorf("body\n%s\nwant\n%s", body, wantBody)
	}
}
