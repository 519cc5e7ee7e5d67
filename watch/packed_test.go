package watch

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"
)

func packedSamples() []packed {
	w := &window{}
	w.add(29_000_000, Stat{1, 3.5, 3.5, 3.5})
	w.add(29_000_000, Stat{2, 3, 1, 2})
	w.add(29_000_007, Stat{1, -1, -1, -1})
	w.add(29_000_009, Stat{1, 1, 0, 3})
	return []packed{
		{width: 2 * time.Second, usual: time.Minute, instance: "i-1", window: w},
		{width: time.Second, usual: 1234 * time.Millisecond},
		{},
	}
}

func TestPackedWindowIsTheSame(t *testing.T) {
	for _, p := range packedSamples() {
		got, err := unpack(p.append(nil))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("unpack = %+v, %v; want %+v", got, err, p)
		}
	}
}

func TestDamagedWindowIsRefused(t *testing.T) {
	whole := packedSamples()[0].append(nil)
	for i := range whole {
		if _, err := unpack(whole[:i]); err == nil {
			t.Errorf("the first %d bytes are taken", i)
		}
	}
	if _, err := unpack(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("a byte too many is taken")
	}
	newer := bytes.Clone(whole)
	newer[0] = packedVersion + 1
	if _, err := unpack(newer); err == nil {
		t.Error("a newer version is taken")
	}
	bad := packed{window: &window{}}
	bad.window.add(1, Stat{1, math.NaN(), math.NaN(), math.NaN()})
	if _, err := unpack(bad.append(nil)); err == nil {
		t.Error("what is no number is taken")
	}
}

// Whatever is taken says the same when it is packed again.
func FuzzUnpack(f *testing.F) {
	for _, p := range packedSamples() {
		f.Add(p.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := unpack(b)
		if err != nil {
			return
		}
		again, err := unpack(p.append(nil))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("unpack = %+v, packed again %+v, %v", p, again, err)
		}
	})
}
