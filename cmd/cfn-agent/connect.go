package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// A connection is what the options of all tools say of the way to
// heat-api-cfn.
type connection struct {
	stack, resource, region, url         string
	accessKey, secretKey, credentialFile string
	httpProxy, httpsProxy, role          string
	insecure                             bool
	caFile                               string // of a configuration
	retryFor                             duration
}

// add gives a command the options of a connection. Three of them have the
// short forms given, if any: to each tool its letters mean what they meant in
// heat-cfntools. Those named in heat are the ones that heat-cfntools has.
func (o *connection) add(c *cobra.Command, short shorthands, heat ...string) {
	f := c.Flags()
	stack, resource, insecure := short.stack, short.resource, short.insecure
	f.StringVarP(&o.stack, "stack", stack, "", "name or ARN of the stack")
	f.StringVarP(&o.resource, "resource", resource, "", "logical id of the resource")
	f.StringVar(&o.region, "region", "", "region to sign requests for (default heat)")
	f.StringVar(&o.accessKey, "access-key", "", "access key")
	f.StringVar(&o.secretKey, "secret-key", "", "secret key (others on this machine may see it: prefer a file)")
	f.StringVarP(&o.credentialFile, "credential-file", "f", "", "file with AWSAccessKeyId=... and AWSSecretKey=...\n(default "+cfnapi.CredentialsFile+", if there is one)")
	f.StringVarP(&o.url, "url", "u", "", "URL of heat-api-cfn (default: as Heat told the guest)")
	f.StringVar(&o.httpProxy, "http-proxy", "", "proxy for http, [scheme://][user:password@]host:port")
	f.StringVar(&o.httpsProxy, "https-proxy", "", "proxy for https")
	o.retryFor = duration(retry.Default().Total)
	f.Var(&o.retryFor, "retry-for", "how long to try when Heat, or where files come from, does not answer")
	f.BoolVarP(&o.insecure, "insecure", insecure, false, "do not check the server's certificate")
	f.StringVar(&o.role, "role", "", "of AWS: has no meaning here")
	f.Lookup("role").Hidden = true
	markHeat(f, heat...)
}

type shorthands struct{ stack, resource, insecure string }

// policy is the retry policy with the time limit of the options.
func (o *connection) policy() retry.Policy { return o.limit(retry.Default()) }

// limit is a policy with that limit; no time for further tries is one try.
func (o *connection) limit(p retry.Policy) retry.Policy {
	if p.Total = time.Duration(o.retryFor); p.Total == 0 {
		p.Tries = 1
	}
	return p
}

// httpClient is the client of the options, or the one of a test.
func (o *connection) httpClient(e *env) (*http.Client, error) {
	if e.client != nil {
		return e.client, nil
	}
	transport, err := cfnapi.NewTransport(cfnapi.TransportOptions{
		Root: e.root, Insecure: o.insecure, CAOverride: cmp.Or(o.caFile, e.getenv("CA_OVERRIDE")),
		HTTPProxy: o.httpProxy, HTTPSProxy: o.httpsProxy,
	})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport}, nil
}

// credentials finds the key pair, hides it from the logs, and warns of what is
// unsafe about it.
func (o *connection) credentials(e *env, l *logs) (awsquery.Credentials, error) {
	c, err := cfnapi.FindCredentials(cfnapi.CredentialOptions{
		Root: e.root, File: o.credentialFile, AccessKey: o.accessKey, SecretKey: awsquery.Secret(o.secretKey),
	})
	l.keys.Store(sys.NewMask([]string{string(c.SecretKey)}))
	if c.Loose {
		l.Warn("credentials file can be read by others: make its mode 0600", "file", c.File)
	}
	return c.Credentials, err
}

// api is the client for the resource of the options.
func (o *connection) api(e *env, l *logs) (*cfnapi.Client, error) {
	credentials, err := o.credentials(e, l)
	if err != nil {
		return nil, err
	}
	endpoint, err := cfnapi.Endpoint(e.root, o.url)
	if err != nil {
		return nil, err
	}
	client, err := o.httpClient(e)
	if err != nil {
		return nil, err
	}
	return &cfnapi.Client{
		HTTP: client, Endpoint: endpoint, Region: o.region, Credentials: credentials,
		Stack: o.stack, Resource: o.resource, Retry: o.policy(), Log: l.Logger,
	}, nil
}

// cache is where the last metadata is kept.
func (e *env) cache() metadata.Cache {
	dir := metadata.DefaultCacheDir
	if d := e.getenv("HEAT_CFN_INIT_LAST_METADATA_DIR"); d != "" {
		dir = d
	}
	return metadata.Cache{Dir: filepath.Join(e.root, dir)}
}

// load gets the metadata: from Heat when the options name a stack and a
// resource and there are keys, else from what is on the guest. What cannot be
// had from Heat is taken from the guest too, with a warning, as far as trust
// goes. remote says that the document is Heat's.
func (o *connection) load(ctx context.Context, e *env, l *logs, trust fallback) (d metadata.Document, remote bool, err error) {
	local := metadata.Local{Root: e.root, Cache: e.cache(), Resource: o.resource}
	if o.role != "" {
		l.Warn("--role is of AWS and has no meaning here")
	}
	if o.stack != "" && o.resource == "" {
		l.Warn("--stack without --resource: the metadata on this machine is used")
	}
	if o.stack == "" || o.resource == "" {
		d, err = local.Fetch(ctx)
		return d, false, err
	}
	api, err := o.api(e, l)
	if err != nil && !errors.Is(err, cfnapi.ErrNoCredentials) {
		return d, false, err // an option or a file of the user is wrong
	}
	if err == nil {
		if d, err = api.Fetch(ctx); err == nil {
			d.Origin = "stack " + o.stack + ", resource " + o.resource + " at " + awsquery.RedactURL(api.Endpoint)
			return d, true, nil
		}
		err = hinted(err)
	}
	_, refused := errors.AsType[*awsquery.Error](err)
	if trust == never || refused && trust == ifSilent || ctx.Err() != nil {
		return d, false, err
	}
	d, localErr := local.Fetch(ctx)
	if localErr != nil {
		return d, false, fmt.Errorf("%w; and %w", err, localErr)
	}
	l.Warn("degraded: using the metadata on this machine, "+d.Origin, "because", oneLine(err))
	return d, false, nil
}

// A fallback says when the metadata on the machine stand in for Heat's.
type fallback int

const (
	never    fallback = iota
	ifSilent          // Heat does not answer
	always            // also when it refuses: old templates pass keys that are none
)

// hinted adds to an error of TLS what can be done about it.
func hinted(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w (put the certificate of its authority into %s)", err, cfnapi.CAOverrideFile)
	}
	return err
}

// keep saves a document as the last one known. Not being able to is worth a
// warning: the document is used all the same.
func (o *connection) keep(e *env, l *logs, d metadata.Document) {
	if err := e.cache().Save(d, o.resource); err != nil {
		l.Warn("the metadata could not be kept", "err", err)
	}
}

// hideSecrets takes what is secret out of the arguments that others on the
// machine can see.
func (o *connection) hideSecrets(e *env) {
	e.hide(o.secretKey, password(o.httpProxy), password(o.httpsProxy))
}

// password is that of a URL as it is written, not what a parser makes of it;
// rather too much than too little.
func password(address string) string {
	_, rest, found := strings.Cut(address, "://")
	if !found {
		rest = address
	}
	user := rest[:max(0, strings.LastIndex(rest, "@"))] // a password may hold one
	_, password, _ := strings.Cut(user, ":")
	return password
}

// hide calls the env's hider with what there is to hide.
func (e *env) hide(secrets ...string) {
	for _, s := range secrets {
		if e.hideArg != nil && strings.TrimSpace(s) != "" {
			e.hideArg(s)
		}
	}
}
