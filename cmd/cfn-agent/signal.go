package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/signal"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

const signalLog = "/var/log/cfn-signal.log"

type signalOptions struct {
	connection
	success, reason, data, id, exitCode, exit string
	handle                                    string
	ignoreComplete, verbose                   bool
}

func newSignalCommand(e *env) *cobra.Command {
	var o signalOptions
	c := &cobra.Command{
		Use:   "signal [URL]",
		Short: "Signal a wait condition of a stack",
		Long: `Tell Heat that this machine is ready, or failed: by the pre-signed URL of a wait
condition handle, by the handle's signal attribute, or by the name of a resource
that takes signals.

Exit status: 0 Heat took the signal, 1 it did not, 2 bad option.`,
		Example: "  cfn-agent signal --exit-code $? --reason \"web server set up\" \"$WAIT_URL\"\n" +
			"  cfn-agent signal --success false --reason \"no disk\" --stack mystack --resource WaitHandle",
		Args: oneArg("URL"),
		RunE: func(c *cobra.Command, args []string) error { return runSignal(c.Context(), e, c, o, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.exitCode, "exit-code", "e", "", "exit status of what was done: 0 is success, any other failure")
	f.StringVarP(&o.success, "success", "s", "true", "true for success, anything else for failure")
	f.StringVarP(&o.reason, "reason", "r", "", "why (default \"Configuration Complete\", or \"Configuration failed.\")")
	f.StringVarP(&o.data, "data", "d", "", "data for the stack; @FILE is read from a file, - from standard input\n(default \"Application has completed configuration.\")")
	f.StringVarP(&o.id, "id", "i", "", "unique id of the signal (default: the instance's uuid, else its host name)")
	f.StringVar(&o.handle, "handle", "", "the signal attribute of an OS::Heat::WaitConditionHandle, as JSON, instead of a URL")
	f.BoolVar(&o.ignoreComplete, "ignore-complete", false, "count a stack that can no longer be signalled as signalled")
	f.StringVar(&o.exit, "exit", "", "as --exit-code")
	f.Lookup("exit").Hidden = true
	// -s and -r are --success and --reason here, as in heat-cfntools.
	o.add(c, shorthands{insecure: "k"})
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	markHeat(f, "success", "reason", "data", "id", "exit-code", "exit", "insecure")
	return c
}

func runSignal(ctx context.Context, e *env, c *cobra.Command, o signalOptions, args []string) error {
	o.hideSecrets(e)
	e.hide(append(queries(args), o.handle)...)
	l := e.openLogs(c.Root().Name(), signalLog, o.verbose)
	defer l.Close()
	request, err := o.request(e, c, l, args)
	if err != nil {
		return err
	}
	changed := c.Flags().Changed
	if changed("exit") {
		l.Warn("--exit is deprecated: use --exit-code")
		if o.exitCode == "" {
			o.exitCode = o.exit
		}
	}
	status, warning := signal.Status(o.success, changed("success"), o.exitCode, changed("exit-code") || changed("exit"))
	if warning != "" {
		l.Warn(warning)
	}
	request.Signal = signal.Default(status)
	if changed("reason") {
		request.Signal.Reason = o.reason
	}
	if changed("data") {
		if request.Signal.Data, err = readData(e, o.data); err != nil {
			return err
		}
	}
	request.Signal.UniqueID = o.id
	return o.send(ctx, e, l, request)
}

// request is the way to who waits: one of a URL, a handle and a resource.
func (o *signalOptions) request(e *env, c *cobra.Command, l *logs, args []string) (signal.Request, error) {
	var r signal.Request
	named := o.stack != "" || o.resource != ""
	switch {
	case len(args) == 1 && (named || o.handle != "") || named && o.handle != "":
		return r, usageError(c, "a URL, --handle and --stack with --resource exclude each other")
	case len(args) == 1:
		r.URL = args[0]
		return r, nil
	case o.handle != "":
		r.Handle = o.handle
		return r, nil
	case o.stack == "" && o.resource == "":
		return r, missingError(c, "the URL to signal is missing")
	case o.stack == "":
		return r, missingError(c, "--stack is missing")
	case o.resource == "":
		return r, missingError(c, "--resource is missing")
	}
	api, err := o.api(e, l)
	r.Resource = api
	return r, err
}

func (o *signalOptions) send(ctx context.Context, e *env, l *logs, r signal.Request) error {
	sender := signal.Sender{Retry: o.policy(), IgnoreComplete: o.ignoreComplete, Log: l.Logger}
	var err error
	if sender.HTTP, err = o.httpClient(e); err != nil {
		return err
	}
	if sender.Credentials, err = o.credentials(e, l); err != nil && !errors.Is(err, cfnapi.ErrNoCredentials) {
		return err
	}
	if r.Signal.UniqueID == "" {
		r.Signal.UniqueID = e.instanceID(ctx, l)
	}
	if err := hinted(sender.Send(ctx, r)); err != nil {
		l.file.Error("not signalled", "status", r.Signal.Status, "id", r.Signal.UniqueID, "err", err)
		return err
	}
	l.Info("signalled", "status", r.Signal.Status, "id", r.Signal.UniqueID)
	_, err = fmt.Fprintf(e.stdout, "signalled %s as %s\n", r.Signal.Status, r.Signal.UniqueID)
	return err
}

// instanceID is how this guest names itself to those who count guests.
func (e *env) instanceID(ctx context.Context, l *logs) string {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost"
	}
	return signal.DefaultID(ctx, nova.Client{Root: e.root, Log: l.Logger}, hostname)
}

// queries are those of URLs: of a pre-signed one, its signature and what was
// signed.
func queries(urls []string) []string {
	var all []string
	for _, u := range urls {
		_, query, _ := strings.Cut(u, "?")
		all = append(all, query)
	}
	return all
}

// readData is the text of --data, of a file, or of standard input, which may
// not be larger than what Heat takes.
func readData(e *env, data string) (string, error) {
	path, ok := strings.CutPrefix(data, "@")
	file := e.stdin
	switch {
	case ok:
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("--data @%s: there is no such file", path)
		}
		if err != nil {
			return "", fmt.Errorf("--data: %w", err)
		}
		defer f.Close()
		file = f
	case data != "-":
		return data, nil
	}
	b, err := io.ReadAll(io.LimitReader(file, signal.BodyLimit+1))
	if err == nil && len(b) > signal.BodyLimit {
		err = fmt.Errorf("it has more than %d bytes, which is what Heat takes at most: send less", signal.BodyLimit)
	}
	if err != nil {
		return "", fmt.Errorf("--data %s: %w", data, err)
	}
	return string(b), nil
}

// tell signals the outcome of a run of cfn-init where it was asked to. A
// signal that did not arrive is an error: the stack would wait in vain.
func (i *initRun) tell(err error) error {
	if i.o.signal == "" || i.rebooted || i.o.dryRun || i.o.check {
		return nil
	}
	status := signal.Success
	if err != nil {
		status = signal.Failure
	}
	o := signalOptions{connection: i.o.connection}
	r := signal.Request{Signal: signal.Default(status), URL: i.o.signal}
	if err != nil {
		r.Signal.Reason = i.logs.hide(oneLine(err))
	}
	// The run may have ended because its time was over: this has its own.
	if err := o.send(context.Background(), i.e, i.logs, r); err != nil {
		return fmt.Errorf("the outcome could not be signalled: %w", err)
	}
	return nil
}
