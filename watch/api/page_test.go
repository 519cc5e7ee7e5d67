package api

import "testing"

// A token is good for the action that gave it alone.
func TestTokens(t *testing.T) {
	given := token("ListMetrics", "500")
	if n, err := cutOffset("ListMetrics", given); n != 500 || err != nil {
		t.Errorf("cutOffset of its own = %d, %v, want 500", n, err)
	}
	for name, tt := range map[string]struct{ action, token string }{
		"of another action": {"GetMetrics1", given},
		"no base64":         {"ListMetrics", "%"},
		"cut short":         {"ListMetrics", given[:15]},
		"no number":         {"ListMetrics", token("ListMetrics", "x")},
		"negative":          {"ListMetrics", token("ListMetrics", "-1")},
	} {
		if n, err := cutOffset(tt.action, tt.token); err == nil {
			t.Errorf("cutOffset of a token %s = %d, want an error", name, n)
		}
	}
	if n, err := cutOffset("ListMetrics", token("ListMetrics", "")); n != 0 || err != nil {
		t.Errorf("cutOffset of no token = %d, %v, want the first page", n, err)
	}
}
