package awsquery

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Services of a version 4 credential scope. Keystone takes any.
const (
	CloudFormation = "cloudformation"
	CloudWatch     = "monitoring"
)

// DefaultRegion is what Heat calls its one region in cfn-boto-cfg.
const DefaultRegion = "heat"

// SignV2 puts signature version 2 (HmacSHA256) into the query of req and sets
// req.Host to what was signed. A signature that the query already holds is
// replaced. now becomes the Timestamp; the zero time leaves it out, and
// Keystone then never calls the request expired. A form in the body is not
// signed: put all parameters into the query. The path goes out as it is.
func SignV2(req *http.Request, c Credentials, now time.Time) {
	params := req.URL.Query()
	for _, name := range []string{"Signature", "Timestamp"} {
		params.Del(name)
	}
	params.Set("AWSAccessKeyId", c.AccessKey)
	params.Set("SignatureMethod", "HmacSHA256")
	params.Set("SignatureVersion", "2")
	if !now.IsZero() {
		params.Set("Timestamp", now.UTC().Format("2006-01-02T15:04:05Z"))
	}
	req.Host = signedHost(req.URL)
	query := Encode(params)
	text := strings.Join([]string{req.Method, req.Host, canonicalPath(req.URL), query}, "\n")
	mac := hmac.New(sha256.New, []byte(c.SecretKey))
	mac.Write([]byte(text))
	req.URL.RawQuery = query + "&Signature=" + Escape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// SignV4 puts signature version 4 into the headers X-Amz-Date and
// Authorization of req and sets req.Host to what was signed. Host, the date
// and a Content-Type are signed, nothing else that a proxy may change. body is
// what req sends. Keystone verifies no presigned form and, for POST, no query:
// a POST must carry its parameters in body. An empty region is DefaultRegion.
func SignV4(ctx context.Context, req *http.Request, body []byte, c Credentials, region, service string, now time.Time) error {
	if region == "" {
		region = DefaultRegion
	}
	req.Host = signedHost(req.URL)
	clone := &http.Request{Method: req.Method, Host: req.Host, Header: http.Header{}}
	if t := req.Header.Get("Content-Type"); t != "" {
		clone.Header.Set("Content-Type", t)
	}
	// The signer takes an opaque URL's path as it stands; its own escaping
	// would turn the colons of an ARN into %3A, and Keystone's does not.
	clone.URL = &url.URL{
		Scheme: req.URL.Scheme, Host: req.Host, RawQuery: req.URL.RawQuery,
		Opaque: "//" + req.Host + canonicalPath(req.URL),
	}
	sum := sha256.Sum256(body)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: string(c.SecretKey)}
	err := signer.SignHTTP(ctx, keys, clone, hex.EncodeToString(sum[:]), service, region, now)
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	for _, name := range []string{"Authorization", "X-Amz-Date"} {
		req.Header.Set(name, clone.Header.Get(name))
	}
	return nil
}

// signedHost is the Host header of a request to u: lower case, without the
// port where it is the scheme's own.
func signedHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	h, port, err := net.SplitHostPort(host)
	if err != nil || (u.Scheme != "http" || port != "80") && (u.Scheme != "https" || port != "443") {
		return host
	}
	if strings.Contains(h, ":") {
		return "[" + h + "]"
	}
	return h
}

// canonicalPath is the path of u as the server sees it and signs it: Heat
// gives Keystone WebOb's request.path, which is the decoded path with all but
// these characters encoded again.
func canonicalPath(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return escape(u.Path, "/~!$&'()*+,;=:@")
}
