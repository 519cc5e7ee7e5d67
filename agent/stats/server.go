package stats

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// Where the address of the alarm server may be, after the option.
const (
	ServerVariable = "CFN_WATCH_URL"
	AgentConfig    = "/etc/cfn/cfn-agent.conf"
	hupConfig      = hooks.DefaultDir + "/cfn-hup.conf"
	configKey      = "watch-url"
	serverFile     = "/var/lib/heat-cfntools/cfn-watch-server"
	botoFile       = "/var/lib/heat-cfntools/cfn-boto-cfg"
	botoKey        = "cloudwatch_region_endpoint"
)

// serverPort is that of an address that is only a host: the one Heat's own
// alarm server had.
const serverPort = "8003"

// ErrNoServer says that no source has an address of an alarm server.
var ErrNoServer = errors.New("no address of an alarm server")

// Server finds the URL of the alarm server: option if it is not blank, else
// environ, the value of CFN_WATCH_URL; else watch-url of cfn-agent.conf, which
// is read where known is blank and not what a daemon read before; then that
// of cfn-hup.conf, below root; else what Heat 9 and older wrote there,
// cfn-watch-server and the cloudwatch_region_endpoint of cfn-boto-cfg. A
// source with an address that cannot be used is an error, not passed over.
// Without any the error is ErrNoServer and lists them: boto, and so
// heat-cfntools, took monitoring.us-east-1.amazonaws.com then, and sent signed
// data of guests there.
func Server(root, option, environ, known string) (*url.URL, error) {
	boto, botoErr := cfnapi.LoadBoto(root)
	scheme := "http"
	if boto.Secure {
		scheme = "https"
	}
	given := func(value string) func() (string, error) { return func() (string, error) { return value, nil } }
	config := func(file string) func() (string, error) {
		return func() (string, error) { return hooks.MainValue(filepath.Join(root, file), configKey) }
	}
	for _, source := range []struct {
		name  string
		value func() (string, error)
	}{
		{"option --url", given(option)},
		{ServerVariable, given(environ)},
		{configKey + " in " + AgentConfig, given(known)},
		{configKey + " in " + AgentConfig, config(AgentConfig)},
		{configKey + " in " + hupConfig, config(hupConfig)},
		{serverFile, func() (string, error) { return readServer(filepath.Join(root, serverFile)) }},
		{botoKey + " in " + botoFile, func() (string, error) {
			if botoErr != nil && !errors.Is(botoErr, fs.ErrNotExist) {
				return "", fmt.Errorf("read %s: %w", botoFile, botoErr)
			}
			return boto.Watch, nil
		}},
	} {
		value, err := source.value()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(value) == "" {
			continue
		}
		u, err := cfnapi.ParseEndpoint(value, scheme, serverPort)
		if err != nil {
			return nil, fmt.Errorf("address of the alarm server: %s: %w", source.name, err)
		}
		return u, nil
	}
	return nil, fmt.Errorf("%w: give --url, or %s, or %s in %s or %s; %s and %s of %s, which Heat 9 and older wrote, are not there",
		ErrNoServer, ServerVariable, configKey, AgentConfig, hupConfig, serverFile, botoKey, botoFile)
}

func readServer(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("address of the alarm server: %w", err)
	}
	return string(data), nil
}
