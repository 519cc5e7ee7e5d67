package files

import (
	"math"
	"strconv"
	"strings"

	"github.com/cbroglie/mustache"
)

// render renders a Mustache template (mustache.5, specification 1.1.2), as
// AWS documents for the context of a file. A partial is empty: there is no
// place that it could come from, and the disk must not be one.
func render(template []byte, context map[string]any) ([]byte, error) {
	t, err := mustache.ParseStringPartials(string(template), &mustache.StaticProvider{})
	if err != nil {
		return nil, err
	}
	t.Escape(strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;").Replace)
	text, err := t.Render(plainValues(context))
	return []byte(text), err
}

// plainValues turns decoded JSON into values that render as they were
// written: the library prints a large number as 1e+06 and null as <nil>.
func plainValues(v any) any {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plainValues(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plainValues(e)
		}
		return m
	}
	return v
}
