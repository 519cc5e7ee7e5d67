package rules

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// A reader reads one file, and gathers what is wrong with it.
type reader struct {
	file  string
	wrong *mistakes
	in    string // the alarm or the case that is read
}

func (r *reader) at(n *yaml.Node) place { return place{r.file, n.Line} }

func (r *reader) mistake(n *yaml.Node, key, format string, args ...any) {
	r.wrong.add(r.at(n), r.in, key, format, args...)
}

// document returns the map that a file is; nil for an empty file, and for one
// that is none.
func (r *reader) document(data []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	var doc, more yaml.Node
	if err == nil {
		err = loader.Load(&doc)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&more); {
	case err == nil:
		r.mistake(&more, "", "a second document begins here: one file is one document")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	return root
}

// syntax tells of an error of the parser, in our form.
func (r *reader) syntax(err error) {
	at, what := place{file: r.file}, err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		at.line, what = load.Mark.Line, load.Message
		if load.ContextMsg != "" {
			what += ", " + load.ContextMsg
		}
	}
	r.wrong.add(at, "", "", "no YAML: %s", what)
}

// A pair is a key of a map and its value.
type pair struct {
	key         string
	name, value *yaml.Node
}

// pairs lists a map, without the keys that are there twice.
func (r *reader) pairs(n *yaml.Node, key, want string) (list []pair) {
	n = followed(n)
	if n.Kind != yaml.MappingNode {
		r.mistake(n, key, "is no map: %s", want)
		return nil
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		text, ok := scalar(name)
		switch line, twice := first[text]; {
		case !ok || name.Tag == "!!merge":
			r.mistake(name, key, "a key must be a plain word")
		case twice:
			r.mistake(name, text, "is there twice, first in line %d", line)
		default:
			first[text] = name.Line
			list = append(list, pair{text, name, value})
		}
	}
	return list
}

// itemLimit is above what any list may have.
const itemLimit = 1000

// items lists a sequence.
func (r *reader) items(n *yaml.Node, key, want string) []*yaml.Node {
	n = followed(n)
	switch {
	case n.Kind != yaml.SequenceNode:
		r.mistake(n, key, "is no list: %s", want)
		return nil
	case len(n.Content) > itemLimit:
		r.mistake(n, key, "has %d entries", len(n.Content))
		return nil
	}
	return n.Content
}

// followed is what an alias stands for.
func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// scalar is the text of a value that is one, whether it is quoted or not.
func scalar(n *yaml.Node) (string, bool) {
	n = followed(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", false
	}
	switch n.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
		return n.Value, true
	}
	return "", false
}

// text takes a value that is a text.
func (r *reader) text(n *yaml.Node, key string) (string, bool) {
	s, ok := scalar(n)
	if ok {
		return s, true
	}
	switch n := followed(n); {
	case n.Kind != yaml.ScalarNode:
		r.mistake(n, key, "is a map or a list, not a single value")
	case n.Tag == "!!null":
		r.mistake(n, key, "has no value")
	default:
		r.mistake(n, key, "%s is not understood here", n.Tag)
	}
	return "", false
}

// whole takes a whole number.
func (r *reader) whole(n *yaml.Node, key string) (int, bool) {
	s, ok := r.text(n, key)
	if !ok {
		return 0, false
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		r.mistake(n, key, "%q is not a whole number", s)
	}
	return v, err == nil
}

// number takes any number.
func (r *reader) number(n *yaml.Node, key string) (float64, bool) {
	s, ok := r.text(n, key)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		r.mistake(n, key, "%q is not a number", s)
	}
	return v, err == nil
}

// yes takes a truth, as YAML 1.1 and 1.2 spell it.
func (r *reader) yes(n *yaml.Node, key string) (bool, bool) {
	s, ok := r.text(n, key)
	if !ok {
		return false, false
	}
	switch s {
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	r.mistake(n, key, "%q is neither true nor false", s)
	return false, false
}

// duration takes a time: a number is seconds, as in CloudFormation, or a text
// such as 90s or 1h30m.
func (r *reader) duration(n *yaml.Node, key, want string) (time.Duration, bool) {
	s, ok := r.text(n, key)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(s)
	if err != nil {
		r.mistake(n, key, "%q is not %s", s, want)
	}
	return d, err == nil
}

func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// asked is the end of a line about an unknown word, with the known one that
// was perhaps meant.
func asked(near string) string {
	if near == "" {
		return ""
	}
	return ": " + near + "?"
}
