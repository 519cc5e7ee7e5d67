package sys

import (
	"strings"
	"testing"
)

func TestMaskHidesALineOfASecretOfSeveralLines(t *testing.T) {
	mask := NewMask([]string{"-----BEGIN-----\nfirst-line-of-key\r\n  second-line-of-key\nshort\n"})
	out := &recorder{}
	w := mask.Writer(out)
	// As a program prints it: a line at a time.
	for _, line := range []string{"first-line-of-key\n", "second-line-of-key\n", "short\n"} {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if want := Masked + "\n" + Masked + "\nshort\n"; out.text != want {
		t.Errorf("output = %q, want %q", out.text, want)
	}
}

func TestMaskHidesASecretAsItIsQuoted(t *testing.T) {
	const secret = "pa\"ss\\word\twith &/"
	mask := NewMask([]string{secret})
	for _, form := range []string{
		secret, `pa\"ss\\word\twith &/`, `pa\"ss\\word\twith \u0026/`,
		"pa%22ss%5Cword%09with+%26%2F", "pa%22ss%5Cword%09with%20&%2F",
	} {
		if got, want := mask.String("<"+form+">"), "<"+Masked+">"; got != want {
			t.Errorf("String(%q) = %q, want %q", form, got, want)
		}
	}
	if got := mask.String(strings.Repeat("x", 20)); strings.Contains(got, Masked) {
		t.Errorf("String of no secret = %q", got)
	}
}

// What nobody has called a secret may look like one.
func TestMaskLikely(t *testing.T) {
	for text, want := range map[string]string{
		"nothing to hide: 3 of 4":                      "nothing to hide: 3 of 4",
		"db_password = geheim, port = 1":               "db_password = " + Masked + ", port = 1",
		`{"Token": "ge\"heim", "a": "b"}`:              `{"Token": ` + Masked + `, "a": "b"}`,
		"mysql --password=geheim -u root":              "mysql --password=" + Masked + " -u root",
		"get https://u:geheim@h/p: refused":            "get https://" + Masked + "@h/p: refused",
		"-----BEGIN PRIVATE KEY-----\nabc\n-----END x": "-----BEGIN PRIVATE KEY-----\n" + Masked + "\n-----END x",
	} {
		if got := MaskLikely(text); got != want {
			t.Errorf("MaskLikely(%q) = %q, want %q", text, got, want)
		}
	}
}
