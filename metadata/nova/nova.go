// Package nova tells which instance this is: the uuid and the metadata that
// Nova gives it, from the metadata service or a config drive that is already
// mounted, in OpenStack's own format (meta_data.json). What was learned is
// kept for this boot only, since a snapshot's clones are other instances. It
// mounts nothing and knows no EC2 paths.
package nova

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/retry"
)

// DefaultURL is the metadata service as a guest sees it.
const DefaultURL = "http://169.254.169.254"

const (
	dataPath = "/openstack/latest/meta_data.json"
	bootFile = "/proc/sys/kernel/random/boot_id"
	keptFile = "/run/cfn-agent/nova_meta.json"

	timeout   = 3 * time.Second
	sizeLimit = 4 << 20
)

// drives is where a config drive may have been mounted by others.
var drives = [...]string{"/mnt/config", "/media/configdrive"}

// A Client asks for the instance. The zero value asks the real service, with
// no proxy, and looks at the real files.
type Client struct {
	HTTP  *http.Client // nil: without a proxy, which could not reach the service
	URL   string       // empty: DefaultURL
	Root  string       // where the files are; empty: the machine's
	Retry retry.Policy // zero: 3 tries
	Log   *slog.Logger // nil: none
}

// An Instance is what Nova tells of a guest. Meta holds the metadata that the
// template or the user gave the server.
type Instance struct {
	UUID             string            `json:"uuid"`
	Name             string            `json:"name"`
	Hostname         string            `json:"hostname"`
	AvailabilityZone string            `json:"availability_zone"`
	ProjectID        string            `json:"project_id"`
	Meta             map[string]string `json:"meta"`
}

// Instance returns what is known since this boot, else what the service
// says, with 3 seconds a try, else what a config drive holds. The error tells
// why each was of no use.
func (c Client) Instance(ctx context.Context) (Instance, error) {
	boot := c.bootID()
	if i, ok := c.kept(boot); ok {
		return i, nil
	}
	i, err := c.ask(ctx)
	if err != nil {
		var driveErr error
		if i, driveErr = c.drive(); driveErr != nil {
			return Instance{}, fmt.Errorf("ask who this instance is: %w; %w", err, driveErr)
		}
	}
	if err := c.keep(boot, i); err != nil {
		c.log().Debug("instance not kept for this boot", "err", err)
	}
	return i, nil
}

// ask asks the service.
func (c Client) ask(ctx context.Context) (i Instance, err error) {
	policy := c.Retry
	if policy == (retry.Policy{}) {
		policy = retry.Policy{First: time.Second, Factor: 1, Tries: 3}
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	address := c.URL
	if address == "" {
		address = DefaultURL
	}
	err = policy.Do(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
		defer cancel()
		i, err = get(ctx, client, strings.TrimRight(address, "/")+dataPath)
		return err
	})
	return i, err
}

// get asks once. Only a refusal that lasts is an error without retry's mark.
func get(ctx context.Context, client *http.Client, url string) (Instance, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Instance{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("get %s: %w", url, cause)
		}
		return Instance{}, retry.Temporary(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("get %s: HTTP %s", url, resp.Status)
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return Instance{}, err
		}
		return Instance{}, retry.Temporary(err)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, sizeLimit))
	if err != nil {
		return Instance{}, retry.Temporary(fmt.Errorf("get %s: %w", url, err))
	}
	i, err := Parse(data)
	if err != nil {
		return Instance{}, retry.Temporary(fmt.Errorf("get %s: %w", url, err))
	}
	return i, nil
}

// drive reads a mounted config drive.
func (c Client) drive() (Instance, error) {
	for _, dir := range drives {
		path := filepath.Join(c.Root, dir, dataPath)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Instance{}, err
		}
		i, err := Parse(data)
		if err != nil {
			return Instance{}, fmt.Errorf("read %s: %w", path, err)
		}
		return i, nil
	}
	return Instance{}, fmt.Errorf("no config drive is mounted at %s or %s", drives[0], drives[1])
}

// uuid is the form of all ids of Nova.
var uuid = pattern.Lazy{Expr: `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`}

// Parse reads meta_data.json. What is no JSON object with a uuid(), such as a
// page of a proxy, is an error; entries of meta that are no strings are left
// out.
func Parse(data []byte) (Instance, error) {
	var doc struct {
		Instance
		Meta map[string]any `json:"meta"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return Instance{}, errors.New("it is not the JSON of an instance")
	}
	i := doc.Instance
	if !uuid.Regexp().MatchString(i.UUID) {
		return Instance{}, errors.New("it names no instance: uuid is missing or not one")
	}
	i.Meta = map[string]string{}
	for k, v := range doc.Meta {
		if s, ok := v.(string); ok {
			i.Meta[k] = s
		}
	}
	return i, nil
}

func (c Client) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// A memory is the file that keeps the instance for one boot. It holds no more
// than an Instance: meta_data.json may hold passwords and a random seed.
type memory struct {
	BootID   string          `json:"boot_id"`
	Instance json.RawMessage `json:"instance"`
}

func (c Client) bootID() string {
	data, err := os.ReadFile(filepath.Join(c.Root, bootFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (c Client) kept(boot string) (Instance, bool) {
	data, err := os.ReadFile(filepath.Join(c.Root, keptFile))
	if err != nil || boot == "" {
		return Instance{}, false
	}
	var m memory
	if json.Unmarshal(data, &m) != nil || m.BootID != boot {
		return Instance{}, false
	}
	i, err := Parse(m.Instance)
	return i, err == nil
}

func (c Client) keep(boot string, i Instance) error {
	if boot == "" {
		return errors.New("the boot has no id")
	}
	instance, err := json.Marshal(i)
	if err != nil {
		return err
	}
	data, err := json.Marshal(memory{boot, instance})
	if err != nil {
		return err
	}
	path := filepath.Join(c.Root, keptFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, data, atomicfile.KeepOwner(0o600))
}
