package metadata

import (
	"strings"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// Types of Authentication.
const (
	AuthS3    = "s3"
	AuthBasic = "basic"
)

// An Authentication is one entry of AWS::CloudFormation::Authentication: the
// credentials for the URLs of files and sources that name it or that it
// covers.
type Authentication struct {
	Name string
	Type string // AuthS3 or AuthBasic

	AccessKeyID string // AuthS3
	SecretKey   awsquery.Secret
	Buckets     []string
	Endpoint    string // AuthS3: host, or URL, of an S3 service other than AWS; empty: AWS

	Username string // AuthBasic
	Password awsquery.Secret
	URIs     []string // hosts (with port), or beginnings of URLs
}

// authentications returns the entries of AWS::CloudFormation::Authentication
// by name, and as PathErrors what is odd but harmless there. A document
// without that section has none.
func (d Document) authentications() (list []Authentication, warnings []*PathError, err error) {
	raw, _ := d.top(AuthenticationKey)
	entries, err := node{path: AuthenticationKey, raw: raw, warn: &warnings}.sorted("an object of credentials")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		a, err := e.authentication()
		if err != nil {
			return nil, nil, err
		}
		if a.Type == AuthS3 || a.Type == AuthBasic {
			list = append(list, a)
			continue
		}
		e.odd("ignored", "has an unknown type: known are S3 and basic")
	}
	return list, warnings, nil
}

func (m member) authentication() (Authentication, error) {
	a := Authentication{Name: m.key}
	role := false
	text := func(s *string, want string) func(node) error {
		return func(n node) (err error) { *s, err = n.text(want); return }
	}
	secret := func(s *awsquery.Secret) func(node) error {
		return func(n node) error { v, err := n.text("a string"); *s = awsquery.Secret(v); return err }
	}
	texts := func(list *[]string, want string) func(node) error {
		return func(n node) (err error) { *list, err = n.texts(want); return }
	}
	err := m.fields(fields{
		"type":        text(&a.Type, "S3 or basic"),
		"accessKeyId": text(&a.AccessKeyID, "an access key"),
		"secretKey":   secret(&a.SecretKey),
		"buckets":     texts(&a.Buckets, "a list of buckets"),
		"endpoint":    text(&a.Endpoint, "a host or URL"),
		"username":    text(&a.Username, "the name of a user"),
		"password":    secret(&a.Password),
		"uris":        texts(&a.URIs, "a list of hosts or URLs"),
		"roleName":    func(n node) error { role = !n.null(); return nil },
	})
	if err != nil {
		return a, err
	}
	a.Type = strings.ToLower(strings.TrimSpace(a.Type))
	switch {
	case a.Type == AuthS3 && role:
		return a, m.errorf("has a roleName, which has no meaning here: give accessKeyId and secretKey")
	case a.Type == AuthS3 && (a.AccessKeyID == "" || a.SecretKey == ""):
		return a, m.errorf("needs accessKeyId and secretKey")
	case a.Type == AuthBasic && a.Username == "":
		return a, m.errorf("needs username and password")
	}
	return a, nil
}
