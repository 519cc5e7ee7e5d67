// Package mustache renders Mustache templates, as mustache(5) and the core of
// the Mustache specification 1.1 describe them, over values decoded from
// JSON: the context of a file in AWS::CloudFormation::Init.
//
// It is not for Go values in general, and it leaves out what a file on a
// guest has no use for: there are no lambdas, no inheritance, and a partial is
// empty, because there is no place that it could come from. It looks nothing
// up by reflection: a program that does is linked with every method of every
// type in it. A template is outside input, so nesting, output and work are
// bounded.
package mustache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

const (
	maxDepth  = 100      // sections within sections
	maxOutput = 64 << 20 // bytes
	// maxWork bounds what nested lists can multiply without writing a byte:
	// turns of a section, maps looked into, bytes of names. It is about a
	// second's worth.
	maxWork = 16 << 20
)

// Render returns template with its tags replaced from context, which may be
// nil. The values are what encoding/json decodes into an any, with or without
// UseNumber. A number, a list and a map print as JSON writes them; null and a
// missing name print nothing. False, null, 0, "", an empty list and an empty
// map are false in a section, as they are for pystache and chevron, the
// Mustache libraries of AWS's own cfn-init.
//
// An error is one line that begins with the line of the template and quotes
// nothing of it but the name in a tag; the text is then empty.
func Render(template string, context map[string]any) (string, error) {
	nodes, err := parse(template)
	if err != nil {
		return "", err
	}
	r := renderer{
		nodes: nodes,
		stack: []any{context},
		html:  strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;"),
	}
	if err := r.run(0, len(nodes)); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

// Check returns the error of Render that any context would meet: that of the
// template's syntax.
func Check(template string) error {
	_, err := parse(template)
	return err
}

type renderer struct {
	nodes []node
	stack []any // the contexts, outermost first
	html  *strings.Replacer
	out   strings.Builder
	work  int
}

// run renders the nodes from index i up to end.
func (r *renderer) run(i, end int) error {
	for i < end {
		n := r.nodes[i]
		i++
		var err error
		switch n.kind {
		case kindText:
			err = r.write(n, n.text)
		case kindVariable, kindRaw:
			err = r.variable(n)
		case kindSection, kindInverted:
			err = r.section(n, i)
			i = n.end
		}
		if err != nil {
			return err
		}
		if r.work > maxWork {
			return lineError(n.line, "the sections repeat too much")
		}
	}
	return nil
}

func (r *renderer) variable(n node) error {
	text, err := format(r.lookup(n.text))
	if err != nil {
		return lineError(n.line, "print %s: %w", quote(n.text), err)
	}
	if n.kind == kindVariable {
		text = r.html.Replace(text)
	}
	return r.write(n, text)
}

// section renders the nodes from body up to n.end: once for each element of a
// list, once for another true value, or once for a false one if n is inverted.
func (r *renderer) section(n node, body int) error {
	value := r.lookup(n.text)
	if n.kind == kindInverted {
		if truth(value) {
			return nil
		}
		return r.run(body, n.end)
	}
	list, ok := value.([]any)
	if !ok && truth(value) {
		list = []any{value}
	}
	top := len(r.stack)
	r.stack = append(r.stack, nil)
	for _, element := range list {
		r.work++
		r.stack[top] = element
		if err := r.run(body, n.end); err != nil {
			return err
		}
	}
	r.stack = r.stack[:top]
	return nil
}

// lookup returns the value of a name, nil if there is none. The first part of
// a dotted name is sought from the innermost context outwards; the others
// only in what it names.
func (r *renderer) lookup(name string) any {
	if name == "." {
		return r.stack[len(r.stack)-1]
	}
	first, rest, dotted := strings.Cut(name, ".")
	value := r.find(first)
	for dotted {
		r.work++
		first, rest, dotted = strings.Cut(rest, ".")
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[first]
	}
	return value
}

func (r *renderer) find(key string) any {
	for i := len(r.stack) - 1; i >= 0; i-- {
		r.work += 1 + len(key)
		if m, ok := r.stack[i].(map[string]any); ok {
			if value, ok := m[key]; ok {
				return value
			}
		}
	}
	return nil
}

func (r *renderer) write(n node, text string) error {
	if len(text) > maxOutput-r.out.Len() {
		return lineError(n.line, "the output exceeds %d MiB", maxOutput>>20)
	}
	r.out.WriteString(text)
	return nil
}

func truth(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case json.Number:
		f, _ := v.Float64() // out of range is infinite, and true
		return f != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func format(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil // as it was written
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}
