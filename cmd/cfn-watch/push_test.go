package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// askAPI sends a request, signed at a time, to the API at a URL, and returns the
// text of the answer; an error is that of the way, or a refusal.
func askAPI(ctx context.Context, url string, key awsquery.Credentials, at time.Time, form neturl.Values) (string, error) {
	body := []byte(awsquery.Encode(form))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := awsquery.SignV4(ctx, req, body, key, "", awsquery.CloudWatch, at); err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

// pushTo pushes a value of a metric to an alarm, by a request signed at a time:
// another of the same second is the same to the server.
func pushTo(ctx context.Context, url string, key awsquery.Credentials, at time.Time, alarm, name string) error {
	_, err := askAPI(ctx, url, key, at, metric.Form([]metric.Datapoint{{
		Namespace: "system/linux", Name: name, Unit: "Count", Value: 1, Dimensions: map[string]string{metric.AlarmName: alarm},
	}}))
	return err
}
