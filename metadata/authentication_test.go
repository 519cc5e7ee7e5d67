package metadata

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAuthentications(t *testing.T) {
	d := parse(t, `{"AWS::CloudFormation::Authentication": {
		"web": {"type": "basic", "username": "u", "password": "p", "uris": "host:80"},
		"bucket": {"type": "s3", "accessKeyId": "A", "secretKey": "S", "buckets": ["b"]},
		"other": {"type": "oauth"}}}`)
	got, warnings, err := d.authentications()
	want := []Authentication{
		{Name: "bucket", Type: AuthS3, AccessKeyID: "A", SecretKey: "S", Buckets: []string{"b"}},
		{Name: "web", Type: AuthBasic, Username: "u", Password: "p", URIs: []string{"host:80"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) || len(warnings) != 1 {
		t.Errorf("Authentications = %+v, %v, %v, want %+v and one warning", got, warnings, err, want)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, `"S"`) || strings.Contains(text, ":S") {
		t.Errorf("a secret shows itself: %s", text)
	}
}

func TestAuthenticationsRefused(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		_, _, err := parse(t, `{"AWS::CloudFormation::Authentication": {"a": `+entry+`}}`).authentications()
		if err == nil || !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), AuthenticationKey+".a") {
			t.Errorf("Authentications of %s = %v, want %s", entry, err, want)
		}
	}
	f(`{"type": "S3", "roleName": "r"}`, "has a roleName, which has no meaning here: give accessKeyId and secretKey")
	f(`{"type": "S3", "accessKeyId": "A"}`, "needs accessKeyId and secretKey")
	f(`{"type": "basic"}`, "needs username and password")
	f(`{"type": "basic", "username": "u", "password": {}}`, "password: is an object: it must be a string")
	f(`"x"`, "is a string: it must be an object")
}

func TestSecrets(t *testing.T) {
	d := parse(t, `{"AWS::CloudFormation::Authentication": {"a": {"type": "basic", "username": "auth-user", "password": "auth-pass", "uris": ["open-host"]}},
		"db": {"MasterPassword": "first-secret", "list_of_tokens": ["second", 3], "plain": "open"},
		"files": {"/etc/cfn/cfn-credentials": {"content": "AWSAccessKeyId=id\nAWSSecretKey = 'third'\n"}}}`)
	got := d.Secrets()
	for _, want := range []string{"auth-user", "auth-pass", "first-secret", "second", "third"} {
		if !slices.Contains(got, want) {
			t.Errorf("Secrets = %q, want %q among them", got, want)
		}
	}
	for _, open := range []string{"open", "open-host", "basic"} {
		if slices.Contains(got, open) {
			t.Errorf("Secrets = %q, %q is none", got, open)
		}
	}
}

func TestSecretsOfCorpus(t *testing.T) {
	found := 0
	for _, path := range corpus(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		secrets := parse(t, string(data)).Secrets()
		if strings.Contains(string(data), "AWSSecretKey=") {
			found++
			if len(secrets) == 0 || len(secrets[0]) != 32 {
				t.Errorf("%s: Secrets = %q, want the secret key", path, secrets)
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d documents hold a secret key, want at least 7", found)
	}
}

// A name that is not there must not silently mean other credentials, as it
// does to aws-cfn-bootstrap.
func TestUnknownAuthenticationIsRefused(t *testing.T) {
	i, err := parse(t, `{"AWS::CloudFormation::Authentication": {"web": {"type": "basic", "username": "u"}},
		"AWS::CloudFormation::Init": {"config": {"files": {"/f": {"source": "http://h/f", "authentication": "wbe"}}}}}`).Init()
	if err != nil {
		t.Fatal(err)
	}
	want := `config.files["/f"].authentication: unknown authentication "wbe": AWS::CloudFormation::Authentication has web`
	if _, err := i.Select(""); err == nil || err.Error() != want {
		t.Errorf("Select = %v, want %s", err, want)
	}
}

func TestSecretsAreNumbersAndWhatIsBelowANameToo(t *testing.T) {
	d := parse(t, `{"numpassword": 987654321012, "secrets": {"db": "nested-secret", "list": ["listed-secret"]},
		"AWS::CloudFormation::Init": {"config": {
			"packages": {"apt": {"keystone": "2:14.0.0-1"}},
			"sources": {"/opt/keys": "https://host/keys.tar.gz"},
			"files": {
				"/etc/keystone.conf": {"content": "plain text", "owner": "keystone"},
				"/etc/x": {"content": {"passwords": {"root": "content-secret"}}, "context": {"tokens": {"a": "context-secret"}}}},
			"commands": {"10_keys": {"command": "make-all-keys", "env": {"DB_PASS": "env-secret"}}}}}}`)
	got := d.Secrets()
	slices.Sort(got)
	want := []string{"987654321012", "content-secret", "context-secret", "env-secret", "listed-secret", "nested-secret"}
	if !slices.Equal(got, want) {
		t.Errorf("Secrets() = %q, want %q: the names of packages, sources and commands are none of secrets", got, want)
	}
}
