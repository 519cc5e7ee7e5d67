package awsquery

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// A Secret never shows itself: every way of printing it gives "[secret]".
// string(s) is the one way to its value.
type Secret string

const hidden = "[secret]"

// String returns "[secret]".
func (s Secret) String() string { return hidden }

// GoString returns "[secret]".
func (s Secret) GoString() string { return hidden }

// Format writes "[secret]", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalJSON returns the JSON string "[secret]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// LogValue returns "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Credentials are an EC2-style key pair of Keystone. The zero value is none.
type Credentials struct {
	AccessKey string
	SecretKey Secret
}

// credentialsLimit is far above any real credentials file.
const credentialsLimit = 64 << 10

// LoadCredentials reads a credentials file, such as /etc/cfn/cfn-credentials.
// loose says that group or others have any permission on it, which deserves a
// warning. Errors name the file and never its content.
func LoadCredentials(path string) (c Credentials, loose bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Credentials{}, false, fmt.Errorf("read credentials file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Credentials{}, false, fmt.Errorf("read credentials file: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, credentialsLimit))
	if err != nil {
		return Credentials{}, false, fmt.Errorf("read credentials file: %w", err)
	}
	loose = info.Mode().Perm()&0o077 != 0
	if c, err = ParseCredentials(data); err != nil {
		return Credentials{}, loose, fmt.Errorf("read credentials file %s: %w", path, err)
	}
	return c, loose, nil
}

// ParseCredentials reads the lines AWSAccessKeyId=... and AWSSecretKey=... of
// a credentials file. Spaces around the name and the value, CRLF, a pair of
// quotes around the value and all other lines are ignored; the last line of a
// name wins.
func ParseCredentials(data []byte) (Credentials, error) {
	var c Credentials
	text := strings.TrimPrefix(string(data), "\ufeff")
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(name) {
		case "AWSAccessKeyId":
			c.AccessKey = unquote(value)
		case "AWSSecretKey":
			c.SecretKey = Secret(unquote(value))
		}
	}
	switch {
	case c.AccessKey == "" && c.SecretKey == "":
		return Credentials{}, errors.New("it has neither AWSAccessKeyId= nor AWSSecretKey=")
	case c.AccessKey == "":
		return Credentials{}, errors.New("it has no AWSAccessKeyId=")
	case c.SecretKey == "":
		return Credentials{}, errors.New("it has no AWSSecretKey=")
	}
	return c, nil
}

// unquote trims spaces and one pair of equal quotes around them.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}
