package cfnapi

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/ini.v1"
)

// Boto is what Heat's cfn-boto-cfg says of the way to heat-api-cfn.
type Boto struct {
	Secure   bool   // is_secure: https
	Insecure bool   // https_validate_certificates is off
	Host     string // cfn_region_endpoint, mostly without a port
	Watch    string // cloudwatch_region_endpoint, which Heat 10 and newer leave out
}

// LoadBoto reads cfn-boto-cfg below root. Where there is none the error wraps
// fs.ErrNotExist and the zero Boto holds.
func LoadBoto(root string) (Boto, error) {
	data, err := os.ReadFile(filepath.Join(root, botoFile))
	if err != nil {
		return Boto{}, reason(err)
	}
	return ParseBoto(data)
}

// ParseBoto reads the section [Boto], which Python's configparser must accept
// too. is_secure is on for true, yes, on and 1 in any case; certificates are
// checked unless the value is false, no, off or 0.
func ParseBoto(data []byte) (Boto, error) {
	file, err := ini.LoadSources(ini.LoadOptions{
		InsensitiveKeys:          true,
		SkipUnrecognizableLines:  true,
		IgnoreContinuation:       true,
		SpaceBeforeInlineComment: true,
	}, data)
	if err != nil {
		return Boto{}, fmt.Errorf("it is not an INI file: %w", err)
	}
	section, err := file.GetSection("Boto")
	if err != nil {
		return Boto{}, nil
	}
	// Value, not String: a percent sign means nothing here.
	value := func(key string) string {
		if !section.HasKey(key) {
			return ""
		}
		return strings.ToLower(strings.TrimSpace(section.Key(key).Value()))
	}
	return Boto{
		Secure:   slices.Contains([]string{"true", "yes", "on", "1"}, value("is_secure")),
		Insecure: slices.Contains([]string{"false", "no", "off", "0"}, value("https_validate_certificates")),
		Host:     value("cfn_region_endpoint"),
		Watch:    value("cloudwatch_region_endpoint"),
	}, nil
}
