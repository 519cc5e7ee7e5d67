package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A tag is Tag of the model.
type tag struct{ Key, Value string }

// Limits of tags: those of the API reference.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// fieldPrefix begins the tags that carry fields of an alarm which CloudWatch
// does not have.
const fieldPrefix = "cfnwatch:"

// fields set those fields. They begin from zero each time: the tags are all
// there is.
var fields = map[string]func(a *watch.Alarm, value string) error{
	"Stack":      func(a *watch.Alarm, v string) error { a.Stack = v; return nil },
	"Ladder":     func(a *watch.Alarm, v string) error { a.Ladder = v; return nil },
	"Target":     func(a *watch.Alarm, v string) error { a.Target = v; return nil },
	"Match":      func(a *watch.Alarm, v string) error { a.Match = watch.Match(v); return nil },
	"Legacy":     func(a *watch.Alarm, v string) error { return parse(&a.Legacy, v, strconv.ParseBool, "true or false") },
	"Range":      func(a *watch.Alarm, v string) error { return parse(&a.Range, v, strconv.Atoi, "a whole number") },
	"Tolerance":  func(a *watch.Alarm, v string) error { return parse(&a.Tolerance, v, duration, "a time such as 90s") },
	"StartAfter": func(a *watch.Alarm, v string) error { return startAfter(a, v) },
	"Repeat":     func(a *watch.Alarm, v string) error { return repeat(a, v) },
}

func parse[T any](to *T, value string, f func(string) (T, error), what string) error {
	v, err := f(value)
	if err != nil {
		return fmt.Errorf("%q is not %s", value, what)
	}
	*to = v
	return nil
}

// duration reads a time such as 90s or 5m; a bare number is seconds.
func duration(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

func startAfter(a *watch.Alarm, v string) error {
	if v == "first-sample" {
		return nil
	}
	return parse(&a.StartAfter, v, duration, "first-sample or a time such as 5m")
}

func repeat(a *watch.Alarm, v string) error {
	if v == "never" {
		return nil
	}
	return parse(&a.Repeat, v, duration, "never or a time of at least 60s")
}

// setFields sets the fields that the alarm's tags carry.
func setFields(a *watch.Alarm) error {
	a.Stack, a.Ladder, a.Target, a.Match, a.Legacy, a.Range = "", "", "", "", false, 0
	a.Tolerance, a.StartAfter, a.Repeat = 0, 0, 0
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		name, ours := strings.CutPrefix(key, fieldPrefix)
		if !ours {
			continue
		}
		set, ok := fields[name]
		if !ok {
			return invalid("Tags: %s is no field; there are %s", key, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := set(a, a.Tags[key]); err != nil {
			return invalid("Tags: %s: %v", key, err)
		}
	}
	return nil
}

// addTags adds to the tags of an alarm.
func addTags(to map[string]string, tags []tag) error {
	for _, t := range tags {
		if !within(t.Key, maxTagKey) || t.Value != "" && !within(t.Value, maxTagValue) {
			return invalid("Tags: a key has 1 to %d characters and a value at most %d", maxTagKey, maxTagValue)
		}
		to[t.Key] = t.Value
	}
	if len(to) > maxTags {
		return invalid("Tags: an alarm has at most %d of them", maxTags)
	}
	return nil
}

type listTagsInput struct{ ResourceARN string }

type listTagsOutput struct{ Tags list[tag] }

type tagResourceInput struct {
	ResourceARN string
	Tags        []tag
}

type untagResourceInput struct {
	ResourceARN string
	TagKeys     []string
}

// empty is the output of an action that has one without members.
type empty struct{}

func (h *Handler) listTags(_ context.Context, c *call, in *listTagsInput) (*listTagsOutput, error) {
	a, err := h.resource(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	tags := list[tag]{}
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		tags = append(tags, tag{key, a.Tags[key]})
	}
	return &listTagsOutput{tags}, nil
}

func (h *Handler) tagResource(ctx context.Context, c *call, in *tagResourceInput) (*empty, error) {
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	return h.retag(ctx, c, in.ResourceARN, func(tags map[string]string) error { return addTags(tags, in.Tags) })
}

func (h *Handler) untagResource(ctx context.Context, c *call, in *untagResourceInput) (*empty, error) {
	if len(in.TagKeys) == 0 {
		return nil, missing("TagKeys")
	}
	return h.retag(ctx, c, in.ResourceARN, func(tags map[string]string) error {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return nil
	})
}

// retag changes the tags of an alarm, and with them the fields they carry.
func (h *Handler) retag(ctx context.Context, c *call, arn string, change func(map[string]string) error) (*empty, error) {
	a, err := h.resource(c, arn)
	if err != nil {
		return nil, err
	}
	if err := mayChange(a); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	maps.Copy(tags, a.Tags)
	if err := change(tags); err != nil {
		return nil, err
	}
	a.Tags = tags
	if _, err := h.define(ctx, c, a); err != nil {
		return nil, err
	}
	return &empty{}, nil
}

// resource is the alarm of an ARN. One of another project is not found, as one
// that is nowhere.
func (h *Handler) resource(c *call, arn string) (watch.Alarm, error) {
	if arn == "" {
		return watch.Alarm{}, missing("ResourceARN")
	}
	project, name, ok := cutARN(arn)
	if !ok {
		return watch.Alarm{}, invalid("ResourceARN is not the ARN of an alarm")
	}
	if project == c.caller.Project {
		if v, ok := h.engine.View(c.arrived, project, name); ok {
			return v.Alarm, nil
		}
	}
	return watch.Alarm{}, &Error{Status: 404, Code: "ResourceNotFoundException", Message: watch.ErrNotFound.Error()}
}
