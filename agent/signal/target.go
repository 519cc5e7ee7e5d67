package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// parseURL reads a URL as shells and templates deliver it: spaces and quotes
// around it do not count.
func parseURL(raw string) (*url.URL, error) {
	s := strings.Trim(raw, " \t\r\n\"'")
	if s == "" {
		return nil, errors.New("the signal URL is empty: was the handle variable empty?")
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the signal URL is not an http or https URL: is it the Ref of a wait condition handle?")
	}
	u.Fragment = ""
	return u, nil
}

// CheckURL says what is wrong with a URL that is to be signalled later.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// route is the last part of heat-api-cfn's path before the ARN, "signal" or
// "waitcondition", either of which a stack may be named too.
func route(u *url.URL) string {
	before, _, ok := strings.Cut(u.Path, "/arn:")
	if !ok {
		return ""
	}
	return before[strings.LastIndex(before, "/")+1:]
}

// toURL plans the delivery to a pre-signed URL, whose kind decides the verb,
// because the signature covers it. The signal attribute of an
// OS::Heat::WaitConditionHandle looks like the Ref of an AWS one, so the body
// of the second is tried where that of the first is rejected.
func (s *Sender) toURL(u *url.URL, sig Signal) *delivery {
	d := &delivery{Sender: s, url: u, method: http.MethodPut, keys: s.Credentials}
	switch {
	case route(u) == "signal":
		d.method, d.bodies = http.MethodPost, [][]byte{sig.details()}
	case u.Query().Has("temp_url_sig"):
		d.bodies = [][]byte{sig.lower()}
	case route(u) == "waitcondition":
		d.bodies = [][]byte{sig.upper(), sig.lower()}
	default: // a pre-signed URL of another service takes what AWS defines
		d.bodies = [][]byte{sig.upper()}
	}
	return d
}

// toResource asks Heat for the resource's type and ARN, and plans the way
// that this type takes. heat-api-cfn has no action SignalResource.
func (s *Sender) toResource(ctx context.Context, c *cfnapi.Client, sig Signal) (*delivery, error) {
	detail, err := c.Describe(ctx)
	if err != nil {
		return nil, err
	}
	d := &delivery{Sender: s, keys: c.Credentials, signed: true}
	where := ""
	switch detail.ResourceType {
	case "AWS::CloudFormation::WaitConditionHandle", "OS::Heat::UpdateWaitConditionHandle":
		where, d.method, d.bodies = "waitcondition/", http.MethodPut, [][]byte{sig.upper()}
	case "OS::Heat::WaitConditionHandle":
		where, d.method, d.bodies = "signal/", http.MethodPost, [][]byte{sig.lower()}
	case "OS::Heat::ScalingPolicy", "AWS::AutoScaling::ScalingPolicy", "OS::Heat::SoftwareDeployment",
		"OS::Heat::StructuredDeployment", "OS::Mistral::Workflow":
		where, d.method, d.bodies = "signal/", http.MethodPost, [][]byte{sig.details()}
	default:
		return nil, fmt.Errorf("resource %s of stack %s: Heat cannot be signalled for %s; use a wait condition handle",
			c.Resource, c.Stack, detail.ResourceType)
	}
	arn := detail.StackID + "/resources/" + awsquery.Escape(c.Resource)
	d.url, err = c.Endpoint.Parse(where + strings.ReplaceAll(awsquery.Escape(arn), "%2F", "/"))
	if err != nil || !strings.HasPrefix(detail.StackID, "arn:") {
		return nil, fmt.Errorf("resource %s of stack %s: the server gives %q for the stack's ARN", c.Resource, c.Stack, detail.StackID)
	}
	d.url.User = nil
	return d, nil
}

// toHandle reads the signal attribute of an OS::Heat::WaitConditionHandle.
// Its form depends on the handle's signal_transport: CFN_SIGNAL and
// TEMPURL_SIGNAL have a URL, TOKEN_SIGNAL a URL of Heat's own API and a token;
// HEAT_SIGNAL and ZAQAR_SIGNAL want a login at Keystone.
func (s *Sender) toHandle(handle string, sig Signal) (*delivery, error) {
	var h struct {
		AlarmURL string          `json:"alarm_url"`
		Endpoint string          `json:"endpoint"`
		Token    awsquery.Secret `json:"token"`
		Username string          `json:"username"`
	}
	if err := json.Unmarshal([]byte(handle), &h); err != nil {
		return nil, errors.New("the handle is not a JSON object: is it the signal attribute of a wait condition handle?")
	}
	if h.AlarmURL == "" {
		h.AlarmURL = h.Endpoint
	}
	if h.AlarmURL == "" && h.Username == "" {
		// So it is for TOKEN_SIGNAL, whose parts are attributes of their own.
		return nil, errors.New(`the handle names no place to signal: for signal_transport TOKEN_SIGNAL give {"endpoint": ..., "token": ...} of its attributes`)
	}
	if h.AlarmURL == "" || h.Username != "" && h.Token == "" {
		return nil, errors.New("the handle wants a login at Keystone: set its signal_transport to CFN_SIGNAL, TOKEN_SIGNAL or TEMPURL_SIGNAL")
	}
	u, err := parseURL(h.AlarmURL)
	if err != nil {
		return nil, err
	}
	d := s.toURL(u, sig)
	if h.Token != "" {
		d.method, d.token = http.MethodPost, h.Token
	}
	d.bodies = [][]byte{sig.lower()} // only this type of handle has the attribute
	return d, nil
}
