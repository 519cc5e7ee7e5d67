package nova

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
)

const metaData = `{"uuid": "7d2b6c5e-0000-4000-8000-000000000001", "name": "web", "hostname": "web.novalocal",
 "availability_zone": "nova", "project_id": "p", "random_seed": "hush-hush", "admin_pass": "hush-hush", "launch_index": 0,
 "meta": {"metering.AutoScalingGroupName": "g", "odd": 7}}`

var want = Instance{
	UUID: "7d2b6c5e-0000-4000-8000-000000000001", Name: "web", Hostname: "web.novalocal", AvailabilityZone: "nova",
	ProjectID: "p", Meta: map[string]string{"metering.AutoScalingGroupName": "g"},
}

// service is a metadata service whose answer and count of requests show.
type service struct {
	*httptest.Server
	status int
	body   string
	n      int
}

func newService(t *testing.T) *service {
	s := &service{status: 200, body: metaData}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.n++
		if r.URL.Path != dataPath {
			t.Errorf("path = %s, want %s", r.URL.Path, dataPath)
		}
		w.WriteHeader(s.status)
		io.WriteString(w, s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

// guest is a client in a root that was booted as boot.
func guest(t *testing.T, s *service, root, boot string) Client {
	t.Helper()
	write(t, filepath.Join(root, bootFile), boot+"\n")
	return Client{URL: s.URL, Root: root, Retry: retry.Policy{Tries: 3}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestInstanceIsKeptForThisBoot(t *testing.T) {
	s, root := newService(t), t.TempDir()
	for range 2 {
		if got, err := guest(t, s, root, "boot-1").Instance(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("Instance = %+v, %v, want %+v", got, err, want)
		}
	}
	if s.n != 1 {
		t.Errorf("%d requests in one boot, want 1", s.n)
	}
	info, err := os.Stat(filepath.Join(root, keptFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept file = %v, %v, want mode 600", info.Mode(), err)
	}
	data, _ := os.ReadFile(filepath.Join(root, keptFile))
	if strings.Contains(string(data), "hush-hush") {
		t.Errorf("kept file holds a secret: %s", data)
	}
}

// heat-cfntools kept the answer for ever below /var/lib: a clone of a
// snapshot signalled with the uuid of its parent.
func TestCloneOfASnapshotIsAnotherInstance(t *testing.T) {
	s, root := newService(t), t.TempDir()
	if _, err := guest(t, s, root, "boot-1").Instance(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.body = strings.Replace(metaData, "0001", "0002", 1)
	got, err := guest(t, s, root, "boot-2").Instance(t.Context())
	if clone := "7d2b6c5e-0000-4000-8000-000000000002"; err != nil || got.UUID != clone {
		t.Errorf("Instance = %q, %v, want %q", got.UUID, err, clone)
	}
}

// heat-cfntools kept any body: an HTML page of a service that was starting
// was the instance's data from then on.
func TestErrorPageIsNotKept(t *testing.T) {
	s, root := newService(t), t.TempDir()
	s.body = "<html>starting</html>"
	c := guest(t, s, root, "boot-1")
	if got, err := c.Instance(t.Context()); err == nil || s.n != 3 {
		t.Errorf("Instance = %+v, %v after %d requests, want an error after 3", got, err, s.n)
	}
	s.body = metaData
	if got, err := c.Instance(t.Context()); err != nil || got.UUID != want.UUID {
		t.Errorf("Instance = %q, %v, want %q", got.UUID, err, want.UUID)
	}
}

func TestDamagedMemoryIsAskedAgain(t *testing.T) {
	s, root := newService(t), t.TempDir()
	c := guest(t, s, root, "boot-1")
	for _, text := range []string{"", "{", "<html>", `{"boot_id":"boot-1","instance":{}}`, `{"boot_id":"boot-1"}`} {
		write(t, filepath.Join(root, keptFile), text)
		if got, err := c.Instance(t.Context()); err != nil || got.UUID != want.UUID {
			t.Errorf("Instance after %q = %q, %v, want %q", text, got.UUID, err, want.UUID)
		}
	}
	if s.n != 5 {
		t.Errorf("%d requests, want 5", s.n)
	}
}

func TestConfigDriveWhereNoServiceAnswers(t *testing.T) {
	s, root := newService(t), t.TempDir()
	s.status = http.StatusNotFound
	c := guest(t, s, root, "boot-1")
	_, err := c.Instance(t.Context())
	for _, part := range []string{"HTTP 404 Not Found", "no config drive is mounted"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Instance = %v, want it to tell %q", err, part)
		}
	}
	if s.n != 1 {
		t.Errorf("%d requests, want 1: a 404 lasts", s.n)
	}
	for _, dir := range drives {
		root := t.TempDir()
		write(t, filepath.Join(root, dir, dataPath), metaData)
		if got, err := guest(t, s, root, "boot-1").Instance(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Instance with %s = %+v, %v, want %+v", dir, got, err, want)
		}
	}
}

func TestServiceThatIsBusyIsAskedAgain(t *testing.T) {
	s, root := newService(t), t.TempDir()
	s.status = http.StatusServiceUnavailable
	if _, err := guest(t, s, root, "b").Instance(t.Context()); err == nil || s.n != 3 {
		t.Errorf("Instance = %v after %d requests, want an error after 3", err, s.n)
	}
}

func TestServiceThatHangs(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-stop }))
	defer s.Close()
	defer close(stop)
	c := Client{URL: s.URL, Root: t.TempDir(), Retry: retry.Policy{Tries: 3, Total: 50 * time.Millisecond}}
	if _, err := c.Instance(t.Context()); err == nil || !strings.Contains(err.Error(), "no time left") {
		t.Errorf("Instance = %v, want it given up in time", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "null", "[]", "<html>", `{"uuid": 7}`, `{"uuid": "x"}`, `{"uuid":"7d2b6c5e-0000-4000-8000-000000000001/../x"}`, `{"meta":{}}`} {
		if got, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(metaData))
	f.Add([]byte(`{"uuid":"7d2b6c5e-0000-4000-8000-000000000001","meta":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := Parse(data)
		if (err == nil) != (i.UUID != "") {
			t.Errorf("Parse = %+v, %v, want a uuid or an error", i, err)
		}
	})
}
