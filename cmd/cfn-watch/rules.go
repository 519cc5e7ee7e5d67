package main

import (
	"context"
	"log/slog"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// ruleFiles are the alarms that the operator defines in files.
type ruleFiles struct {
	dir      string
	optional bool // nobody asked for the folder
	engine   *watch.Engine
	permit   outbox.Permit
	log      *slog.Logger
}

func (r *ruleFiles) apply(context.Context) error { return nil }
