package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
)

// sdkProtocol is what the SDK at hand speaks: CBOR since 1.53, Query before.
// The system tests run this file with an old SDK too.
func sdkProtocol() protocol {
	if os.Getenv("SDK_PROTOCOL") == "query" {
		return &queryProtocol{}
	}
	return cborProtocol{}
}

// sdk is a client of Amazon's own making, whose requests speak one protocol.
func (w *world) sdk(t *testing.T, access string) *cloudwatch.Client {
	t.Helper()
	var compressed atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if got, want := fmt.Sprintf("%T", protocolOf(r)), fmt.Sprintf("%T", sdkProtocol()); got != want {
			t.Errorf("the SDK speaks %s, want %s", got, want)
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			compressed.Add(1)
		}
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		if access == "GUEST" && compressed.Load() == 0 {
			t.Error("no push was compressed")
		}
	})
	return cloudwatch.New(cloudwatch.Options{
		BaseEndpoint: aws.String(s.URL + "/v1"), Region: "heat", RetryMaxAttempts: 1,
		Credentials:                 credentials.NewStaticCredentialsProvider(access, secrets[access], ""),
		RequestMinCompressSizeBytes: 10240,
	})
}

// do calls an action of the SDK, which must succeed.
func do[In, Out any](t *testing.T, f func(In) (Out, error), in In) Out {
	t.Helper()
	out, err := f(in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

func TestSDKPushes(t *testing.T) {
	w := newWorld(t, Options{})
	w.heartbeat(t, "a", "web")
	c := w.sdk(t, "GUEST")
	in := &cloudwatch.PutMetricDataInput{Namespace: aws.String("system/linux"), MetricData: []types.MetricDatum{
		{MetricName: aws.String("Heartbeat"), Value: aws.Float64(1), Unit: types.StandardUnitCount, Timestamp: aws.Time(time.Now()),
			Dimensions: []types.Dimension{{Name: aws.String("AlarmName"), Value: aws.String("a")}}},
	}}
	if _, err := c.PutMetricData(t.Context(), in); err != nil || !w.fed(t, "a") {
		t.Fatalf("PutMetricData: %v, fed %v", err, w.fed(t, "a"))
	}
	for i := range 500 {
		in.MetricData = append(in.MetricData, types.MetricDatum{
			MetricName: aws.String(fmt.Sprintf("m%d", i)), Values: []float64{1, 2}, Counts: []float64{3, 4},
			StatisticValues: nil, StorageResolution: aws.Int32(1),
		})
	}
	if _, err := c.PutMetricData(t.Context(), in); err != nil {
		t.Fatalf("a large PutMetricData: %v", err)
	}
	_, err := c.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "AccessDenied" || !strings.Contains(e.ErrorMessage(), "role guest") {
		t.Errorf("DescribeAlarms of a guest: %v, want AccessDenied", err)
	}
}

func TestSDKAlarms(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	c := w.sdk(t, "MEMBER")
	for _, name := range []string{"web-a", "web-b", "db-a"} {
		do(t, func(in *cloudwatch.PutMetricAlarmInput) (*cloudwatch.PutMetricAlarmOutput, error) {
			return c.PutMetricAlarm(ctx, in)
		}, &cloudwatch.PutMetricAlarmInput{
			AlarmName: &name, Namespace: aws.String("n"), MetricName: aws.String("Load"), Statistic: types.StatisticAverage, Period: aws.Int32(60),
			EvaluationPeriods: aws.Int32(2), DatapointsToAlarm: aws.Int32(1), Threshold: aws.Float64(0.5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
			Dimensions: []types.Dimension{{Name: aws.String("d"), Value: aws.String("v")}}, Unit: types.StandardUnitPercent,
			TreatMissingData: aws.String("ignore"), AlarmActions: []string{"https://hooks.example/a"}, ActionsEnabled: aws.Bool(false),
			Tags: []types.Tag{{Key: aws.String("cfnwatch:Stack"), Value: aws.String("web")}},
		})
	}
	pages := cloudwatch.NewDescribeAlarmsPaginator(c, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("web-"), MaxRecords: aws.Int32(1)})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.MetricAlarms {
			names = append(names, *a.AlarmName)
			if *a.Period != 60 || *a.Threshold != 0.5 || a.StateValue != types.StateValueInsufficientData || a.Unit != types.StandardUnitPercent ||
				time.Since(*a.AlarmConfigurationUpdatedTimestamp).Abs() > time.Minute || *a.ActionsEnabled || len(a.AlarmActions) != 1 || len(a.Dimensions) != 1 {
				t.Errorf("alarm %s came back as %+v", *a.AlarmName, a)
			}
		}
	}
	if want := []string{"web-a", "web-b"}; !reflect.DeepEqual(names, want) {
		t.Errorf("alarms %v, want %v", names, want)
	}
	if _, err := c.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("web-a"), StateValue: types.StateValueAlarm, StateReason: aws.String("a drill")}); err != nil {
		t.Fatal(err)
	}
	h, err := c.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: aws.String("web-a"), HistoryItemType: types.HistoryItemTypeStateUpdate, StartDate: aws.Time(time.Now().Add(-time.Hour))})
	if err != nil || len(h.AlarmHistoryItems) != 1 || !strings.Contains(*h.AlarmHistoryItems[0].HistorySummary, "ALARM") || time.Since(*h.AlarmHistoryItems[0].Timestamp).Abs() > time.Minute {
		t.Errorf("history %+v, %v, want one state update", h, err)
	}
	for _, err := range []error{
		second(c.EnableAlarmActions(ctx, &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{"web-a"}})),
		second(c.DisableAlarmActions(ctx, &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"web-b"}})),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	of, err := c.DescribeAlarmsForMetric(ctx, &cloudwatch.DescribeAlarmsForMetricInput{Namespace: aws.String("n"), MetricName: aws.String("Load"),
		Dimensions: []types.Dimension{{Name: aws.String("d"), Value: aws.String("v")}}})
	if err != nil || len(of.MetricAlarms) != 3 || !*of.MetricAlarms[1].ActionsEnabled || of.MetricAlarms[1].StateValue != types.StateValueAlarm {
		t.Errorf("DescribeAlarmsForMetric: %+v, %v, want three, web-a enabled and in ALARM", of, err)
	}
	w.sdkTags(t, c, *of.MetricAlarms[1].AlarmArn)
	if _, err := c.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"web-a", "web-b", "db-a"}}); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func (w *world) sdkTags(t *testing.T, c *cloudwatch.Client, arn string) {
	t.Helper()
	ctx := t.Context()
	if _, err := c.TagResource(ctx, &cloudwatch.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("ops")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &cloudwatch.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"cfnwatch:Stack"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := c.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &arn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "owner" || *tags.Tags[0].Value != "ops" {
		t.Errorf("tags %+v, %v, want owner=ops", tags, err)
	}
	if v, _ := w.engine.View(time.Now(), "p1", "web-a"); v.Stack != "" {
		t.Errorf("stack %q, want it gone with its tag", v.Stack)
	}
}

func TestSDKMetrics(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	c := w.sdk(t, "MEMBER")
	now := time.Now().Truncate(time.Minute)
	dims := []types.Dimension{{Name: aws.String("d"), Value: aws.String("v")}}
	if _, err := c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []types.MetricDatum{
		{MetricName: aws.String("Load"), Dimensions: dims, Timestamp: &now, StatisticValues: &types.StatisticSet{
			SampleCount: aws.Float64(4), Sum: aws.Float64(10), Minimum: aws.Float64(1), Maximum: aws.Float64(4.5)}},
		{MetricName: aws.String("Load"), Dimensions: dims, Timestamp: aws.Time(now.Add(-10 * time.Minute)), Values: []float64{2, 3}, Counts: []float64{1, 2}},
	}}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Namespace: aws.String("n")})
	if err != nil || len(list.Metrics) != 1 || *list.Metrics[0].MetricName != "Load" || *list.Metrics[0].Dimensions[0].Value != "v" {
		t.Errorf("metrics %+v, %v, want Load of d=v", list, err)
	}
	stats, err := c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String("n"), MetricName: aws.String("Load"), Dimensions: dims,
		StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now.Add(time.Minute)), Period: aws.Int32(60), Statistics: []types.Statistic{"Average", "Maximum"}})
	if err != nil || len(stats.Datapoints) != 2 || *stats.Datapoints[1].Average != 2.5 || *stats.Datapoints[1].Maximum != 4.5 || stats.Datapoints[1].Sum != nil || !stats.Datapoints[1].Timestamp.Equal(now) {
		t.Errorf("statistics %+v, %v, want two datapoints", stats, err)
	}
	query := types.MetricDataQuery{Id: aws.String("a"), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: aws.String("n"), MetricName: aws.String("Load"), Dimensions: dims}, Period: aws.Int32(60), Stat: aws.String("Sum")}}
	data := cloudwatch.NewGetMetricDataPaginator(c, &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now.Add(time.Minute)),
		MetricDataQueries: []types.MetricDataQuery{query}, MaxDatapoints: aws.Int32(1), ScanBy: types.ScanByTimestampAscending})
	var values []float64
	for data.HasMorePages() {
		page, err := data.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.MetricDataResults {
			values = append(values, r.Values...)
		}
	}
	if want := []float64{8, 10}; !reflect.DeepEqual(values, want) {
		t.Errorf("GetMetricData, a datapoint a page: %v, want %v", values, want)
	}
}

// Errors come as the types of the model.
func TestSDKErrors(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	c := w.sdk(t, "MEMBER")
	_, err := c.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"none"}})
	if e, ok := errors.AsType[*types.ResourceNotFound](err); !ok || !strings.Contains(e.ErrorMessage(), "none") {
		t.Errorf("DeleteAlarms: %v, want ResourceNotFound", err)
	}
	_, err = c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{NextToken: aws.String("x")})
	if _, ok := errors.AsType[*types.InvalidNextToken](err); !ok {
		t.Errorf("DescribeAlarms: %v, want InvalidNextToken", err)
	}
	_, err = c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String(":n"), MetricData: []types.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}})
	if _, ok := errors.AsType[*types.InvalidParameterValueException](err); !ok {
		t.Errorf("PutMetricData: %v, want InvalidParameterValueException", err)
	}
	_, err = c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []types.MetricDatum{{MetricName: aws.String("m")}}})
	if _, ok := errors.AsType[*types.MissingRequiredParameterException](err); !ok {
		t.Errorf("PutMetricData: %v, want MissingRequiredParameterException", err)
	}
	_, err = c.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: "OK", StateReason: aws.String("r"), StateReasonData: aws.String("{")})
	if _, ok := errors.AsType[*types.InvalidFormatFault](err); !ok {
		t.Errorf("SetAlarmState: %v, want InvalidFormatFault", err)
	}
	_, err = c.PutDashboard(ctx, &cloudwatch.PutDashboardInput{DashboardName: aws.String("d"), DashboardBody: aws.String("{}")})
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "InvalidAction" && e.ErrorCode() != "UnknownOperationException" {
		t.Errorf("PutDashboard: %v, want InvalidAction", err)
	}
}
