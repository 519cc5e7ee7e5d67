package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// resumed are the options that a run which goes on keeps. The keys of the
// command line are not among them: they would be on the disk.
type resumed struct {
	Stack, Resource, Signal, Report string
	Strict                          bool
	Region                          string
	URL, CredentialFile             string
	HTTPProxy, HTTPSProxy           string
	Insecure                        bool
	RetryFor, CommandTimeout        duration
}

// toResume is what the journal keeps. Paths are made absolute: after a boot
// the working directory is another.
func (o *initOptions) toResume() resumed {
	return resumed{
		Stack: o.stack, Resource: o.resource, Signal: o.signal, Report: absolute(o.report),
		Strict: o.strict, Region: o.region, URL: o.url, CredentialFile: absolute(o.credentialFile),
		HTTPProxy: o.httpProxy, HTTPSProxy: o.httpsProxy, Insecure: o.insecure,
		RetryFor: o.retryFor, CommandTimeout: o.commandTimeout,
	}
}

func absolute(path string) string {
	if path == "" || path == "-" {
		return path
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// resume takes the metadata and options of the run that it goes on with. What
// the command line gives goes before.
func (i *initRun) resume(path string) error {
	j, plan, err := agent.ResumeJournal(path)
	if err != nil {
		return err
	}
	o := i.o
	r := resumed{RetryFor: o.retryFor, CommandTimeout: o.commandTimeout}
	if json.Unmarshal(plan.Settings, &r) != nil {
		return errors.Join(fmt.Errorf("resume from %s: the journal is damaged: start afresh without --resume", path), j.Close(false))
	}
	o.stack, o.resource, o.region, o.configsets = r.Stack, r.Resource, r.Region, plan.ConfigSets
	o.strict, o.insecure = o.strict || r.Strict, o.insecure || r.Insecure
	for to, from := range map[*string]string{
		&o.signal: r.Signal, &o.report: r.Report, &o.url: r.URL, &o.credentialFile: r.CredentialFile,
		&o.httpProxy: r.HTTPProxy, &o.httpsProxy: r.HTTPSProxy,
	} {
		if *to == "" {
			*to = from
		}
	}
	if !o.retryForSet {
		o.retryFor = r.RetryFor
	}
	if !o.commandTimeoutSet {
		o.commandTimeout = r.CommandTimeout
	}
	i.journal = j
	if i.document, err = metadata.Parse(plan.Document); err != nil {
		return errors.Join(err, j.Close(false))
	}
	i.document.Origin = plan.Origin
	return nil
}

// afterBoot sees to it that the run goes on after the next boot.
func (i *initRun) afterBoot() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return agent.InstallResumeUnit(i.system, resumeCommand(program))
}

// resumeCommand is the line of a unit that resumes. A program that was copied
// to the name of a command is that command, and takes no other.
func resumeCommand(program string) string {
	line := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(program) + `"`
	if filepath.Base(program) != "cfn-init" {
		line += " init"
	}
	return line + " --resume"
}
