package awsquery

import "testing"

func TestRedactCutsWhatOpensAURL(t *testing.T) {
	for in, want := range map[string]string{
		"get https://u:hunter2@h/x: refused":     "get https://[cut]@h/x: refused",
		"git+ssh://token@h/x and http://a:b@c/d": "git+ssh://[cut]@h/x and http://[cut]@c/d",
		"https://h/x?mail=a@b":                   "https://h/x?mail=a@b",
		"http://h/?Signature=abc&b=1":            "http://h/?Signature=[cut]&b=1",
		"http://h/?Signature=abc: refused":       "http://h/?Signature=[cut]: refused",
		"(http://h/?temp_url_sig=abc)":           "(http://h/?temp_url_sig=[cut])",
		"mail a@b, see http://h/":                "mail a@b, see http://h/",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}
