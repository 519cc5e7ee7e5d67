package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// each calls for a list, and returns it or the text of the error.
func each[T any](d *desk, name string, in any) (list []T, problem string) {
	d.t.Helper()
	err := d.Each(d.t.Context(), name, in, func(one json.RawMessage) error {
		var t T
		list = append(list, t)
		return json.Unmarshal(one, &list[len(list)-1])
	})
	if err != nil {
		problem = err.Error()
	}
	return list, problem
}

// pages is a store that knows the largest page that was asked of it.
type pages struct {
	watch.Store
	largest int
}

func (p *pages) Events(ctx context.Context, q watch.EventQuery) ([]watch.Event, string, error) {
	p.largest = max(p.largest, q.Limit)
	return p.Store.Events(ctx, q)
}

// The history is read page by page, and told as a whole.
func TestHistoryIsToldOverPages(t *testing.T) {
	d := newDesk(t)
	const there = 2*historyPage + 10
	var all []watch.Event
	for i := range there {
		all = append(all, watch.Event{At: time.Now(), Kind: watch.Deafness, Summary: fmt.Sprint(i)})
	}
	if err := d.Store.PutEvents(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	pages := &pages{Store: d.Store}
	d.Engine.Store = pages
	for limit, want := range map[int]int{0: 100, 1: 1, historyPage: historyPage, historyPage + 5: historyPage + 5, there + 1: there} {
		got, problem := each[watch.Event](d, "history", HistoryRequest{Limit: limit})
		if problem != "" || len(got) != want {
			t.Errorf("history of at most %d has %d entries, %q, want %d", limit, len(got), problem, want)
			continue
		}
		for i, e := range got {
			if e.Summary != fmt.Sprint(there-1-i) {
				t.Errorf("entry %d of %d is %s", i, want, e.Summary)
				break
			}
		}
	}
	if pages.largest > historyPage {
		t.Errorf("%d entries were held at once, want %d at most", pages.largest, historyPage)
	}
}

// serve answers calls of its own beside those of the desk, and has the client
// ask there.
func (d *desk) serve(mux *http.ServeMux) {
	d.t.Helper()
	d.Socket += "2"
	l, err := Listen(d.Socket)
	if err != nil {
		d.t.Fatal(err)
	}
	h := &http.Server{Handler: mux, ConnContext: withPeer}
	go h.Serve(l)
	d.t.Cleanup(func() { h.Close() })
}

// A list has no size that is too much: that of a site's alarms was cut off at
// 64 MiB, which is some 200,000 of them, and could not be read.
func TestListsAreOfAnySize(t *testing.T) {
	d := newDesk(t)
	mux := http.NewServeMux()
	long := strings.Repeat("f", 1<<20)
	onEach(mux, "alarms", func(_ context.Context, _ string, in AlarmsRequest) iter.Seq2[Alarm, error] {
		return func(yield func(Alarm, error) bool) {
			for i := 0; i < manyAnswers && in.Project != "none" && yield(Alarm{Name: fmt.Sprint(i), File: long}, nil); i++ {
			}
		}
	})
	d.serve(mux)
	n := 0
	err := d.Each(t.Context(), "alarms", AlarmsRequest{}, func(one json.RawMessage) error {
		if n++; len(one) < len(long) {
			t.Errorf("alarm %d has %d bytes", n, len(one))
		}
		return nil
	})
	if err != nil || n != manyAnswers {
		t.Errorf("%d alarms, %v, want %d", n, err, manyAnswers)
	}
	if list, problem := each[Alarm](d, "alarms", AlarmsRequest{Project: "none"}); list != nil || problem != "" {
		t.Errorf("alarms of no project: %v, %q", list, problem)
	}
}

// A list that ends in an error is not taken for a whole one.
func TestListThatIsCutOffIsAnError(t *testing.T) {
	d := newDesk(t)
	mux := http.NewServeMux()
	onEach(mux, "some", func(context.Context, string, Nothing) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) { _ = yield(1, nil) && yield(0, errors.New("the disk is gone")) }
	})
	onEach(mux, "none", func(context.Context, string, Nothing) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) { yield(0, errors.New("the disk is gone")) }
	})
	for name, answer := range map[string]string{"unfinished": "[1", "half": "[1, {", "nothing": ""} { // of somebody else in between
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
	}
	d.serve(mux)
	if _, problem := each[int](d, "none", Nothing{}); problem != "the disk is gone" {
		t.Errorf("an error before all: %q", problem)
	}
	for _, name := range []string{"some", "unfinished", "half", "nothing"} {
		if list, problem := each[any](d, name, Nothing{}); problem == "" {
			t.Errorf("%s: it is taken for a whole list: %v", name, list)
		}
	}
	resp, err := d.raw("some", "{}")
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("half a list ends as a whole answer does")
	}
}
