package cfnapi

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// CredentialsFile is where a template puts the guest's key pair.
const CredentialsFile = "/etc/cfn/cfn-credentials"

// ErrNoCredentials says that neither an option nor a file gives a key pair.
// Local metadata is what is left then.
var ErrNoCredentials = errors.New("no credentials: give --credential-file, or --access-key and --secret-key, or write " + CredentialsFile)

// CredentialOptions are what the command line says.
type CredentialOptions struct {
	Root      string // where CredentialsFile is looked for
	File      string // opened as it is given
	AccessKey string
	SecretKey awsquery.Secret
}

// Credentials are a key pair and where it comes from.
type Credentials struct {
	awsquery.Credentials
	File  string // empty: the options
	Loose bool   // others than its owner have a permission on File
}

// FindCredentials looks for a key pair: in File, else in both key options,
// else in CredentialsFile. A File that cannot be used is an error, and so is
// a key without its secret; ErrNoCredentials says that there is nothing.
func FindCredentials(o CredentialOptions) (Credentials, error) {
	if o.File != "" {
		return load(o.File)
	}
	switch {
	case o.AccessKey != "" && o.SecretKey != "":
		return Credentials{Credentials: awsquery.Credentials{AccessKey: o.AccessKey, SecretKey: o.SecretKey}}, nil
	case o.AccessKey != "":
		return Credentials{}, errors.New("--access-key needs --secret-key")
	case o.SecretKey != "":
		return Credentials{}, errors.New("--secret-key needs --access-key")
	}
	c, err := load(filepath.Join(o.Root, CredentialsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Credentials{}, ErrNoCredentials
	}
	return c, err
}

func load(path string) (Credentials, error) {
	c, loose, err := awsquery.LoadCredentials(path)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{Credentials: c, File: path, Loose: loose}, nil
}
