package metadata

import (
	"strings"
	"testing"
)

func file(t *testing.T, entry string) (File, []*PathError, error) {
	t.Helper()
	c, warnings, err := configOf(t, `{"files": {"/f": `+entry+`}}`)
	if err != nil {
		return File{}, warnings, err
	}
	return c.Files[0], warnings, nil
}

// heat-cfntools crashed on a mode that is a number, which is what YAML makes
// of mode: 000644.
func TestMode(t *testing.T) {
	f := func(value string, want Mode) {
		t.Helper()
		got, _, err := file(t, `{"content": "x", "mode": `+value+`}`)
		if err != nil || got.Mode != want {
			t.Errorf("mode %s = %+v, %v, want %+v", value, got.Mode, err, want)
		}
	}
	bits := func(b uint32) Mode { return Mode{Bits: b, Set: true} }
	link := func(b uint32) Mode { return Mode{Bits: b, Set: true, Symlink: true} }
	f(`"000644"`, bits(0o644))
	f(`"000400"`, bits(0o400))
	f(`"00400"`, bits(0o400))
	f(`"644"`, bits(0o644))
	f(`"0o755"`, bits(0o755))
	f(`"100644"`, bits(0o644))
	f(`"0100755"`, bits(0o755))
	f(`"004755"`, bits(0o4755))
	f(`"120644"`, link(0o644))
	f(`"120000"`, link(0))
	f(`null`, Mode{})
	f(`""`, Mode{})
	// Numbers: as YAML 1.1 read the octal digits, or the digits themselves.
	f(`420`, bits(0o644))
	f(`644`, bits(0o644))
	f(`256`, bits(0o400))
	f(`400`, bits(0o400))
	f(`384`, bits(0o600))
	f(`600`, bits(0o600))
	f(`493`, bits(0o755))
	f(`755`, bits(0o755))
	f(`448`, bits(0o700))
	f(`700`, bits(0o700))
	f(`320`, bits(0o500))
	f(`100644`, bits(0o644))
	f(`33188`, bits(0o644))
	f(`40960`, link(0))
}

func TestModeRefused(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		_, _, err := file(t, `{"content": "x", "mode": `+value+`}`)
		if err == nil || !strings.Contains(err.Error(), `config.files["/f"].mode: `) || !strings.Contains(err.Error(), want) {
			t.Errorf("mode %s = %v, want an error with %q", value, err, want)
		}
	}
	f(`"0688"`, `"0688" is not a mode`)
	f(`"44"`, `is not a mode`)
	f(`"00000644"`, `is not a mode`)
	f(`"rw-r--r--"`, `is not a mode`)
	f(`"060644"`, `is not a mode`) // a block device
	f(`true`, `is a boolean`)
	f(`4.2`, `4.2 is not a mode`)
	f(`-1`, `-1 is not a mode`)
	f(`0`, `the number 0 can be read as mode 000000 or as mode 0`)
	f(`500`, `the number 500 can be read as mode 000764 or as mode 500`)
}

// heat-cfntools wrote content that is not a string as bytes into a text file,
// which failed and left the file empty, and ignored encoding.
func TestContent(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		got, _, err := file(t, entry)
		if err != nil || !got.HasContent || string(got.Content) != want {
			t.Errorf("content of %s = %q, %v, want %q", entry, got.Content, err, want)
		}
	}
	f(`{"content": ""}`, "")
	f(`{"content": "é\n"}`, "é\n")
	f(`{"content": {"b": 1, "a": [1, 2], "c": {}, "d": []}}`,
		"{\n    \"b\": 1,\n    \"a\": [\n        1,\n        2\n    ],\n    \"c\": {},\n    \"d\": []\n}")
	f(`{"content": {"k": "é😀"}}`, "{\n    \"k\": \"\\u00e9\\ud83d\\ude00\"\n}")
	f(`{"content": {}}`, "{}")
	f(`{"content": []}`, "[]")
	f(`{"content": false}`, "false")
	f(`{"content": 0}`, "0")
	f(`{"content": " aGVs\nbG8= ", "encoding": "base64"}`, "hello")
	f(`{"content": "aGVsbG8", "encoding": "base64"}`, "hello")
	f(`{"content": "/target", "mode": "120000"}`, "/target")
}

func TestFileWithoutContent(t *testing.T) {
	for _, entry := range []string{`{}`, `null`, `{"content": null}`, `{"source": "http://h/f"}`} {
		got, _, err := file(t, entry)
		if err != nil || got.HasContent {
			t.Errorf("file %s = %+v, %v, want no content", entry, got, err)
		}
	}
}

func TestFileContext(t *testing.T) {
	got, _, err := file(t, `{"content": "{{a}}", "context": {"a": {"b": [1]}}}`)
	if err != nil || !got.HasContext || got.Context["a"] == nil {
		t.Errorf("context = %+v, %v", got, err)
	}
	got, _, err = file(t, `{"content": "x", "context": {}}`)
	if err != nil || !got.HasContext {
		t.Errorf("an empty context = %+v, %v, want HasContext", got, err)
	}
}

func TestFileRefusals(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		_, _, err := configOf(t, `{"files": `+entry+`}`)
		if err == nil || err.Error() != want {
			t.Errorf("files %s = %v, want %s", entry, err, want)
		}
	}
	f(`{"etc/motd": {"content": "x"}}`, `config.files["etc/motd"]: a file needs an absolute path, such as /etc/motd`)
	f(`{"/etc/": {"content": "x"}}`, `config.files["/etc/"]: a file needs an absolute path, such as /etc/motd`)
	f(`{"/f": {"content": "hunter2!", "encoding": "base64"}}`, `config.files["/f"].content: is not valid base64, which its encoding says it is`)
	f(`{"/f": {"content": "x", "encoding": "rot13"}}`, `config.files["/f"].content: the encoding is unknown: it must be plain or base64`)
	f(`{"/f": {"content": "x", "context": []}}`, `config.files["/f"].context: is a list: it must be an object`)
	f(`{"/f": {"source": {}}}`, `config.files["/f"].source: is an object: it must be a URL`)
	f(`{"/f": {"source": "http://h", "sha256": "abc"}}`, `config.files["/f"].sha256: must be the 64 hexadecimal digits of a SHA-256`)
	f(`{"/f": {"content": "", "mode": "120000"}}`, `config.files["/f"]: a symbolic link (mode 120...) needs the path it points to as its content`)
}

func TestFileWithContentAndSourceTakesContent(t *testing.T) {
	got, warnings, err := file(t, `{"content": "x", "source": "http://h/f"}`)
	if err != nil || got.Source != "" || len(warnings) != 1 {
		t.Errorf("file = %+v, %v, %v, want the content and one warning", got, warnings, err)
	}
}
