package watch

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// packed is what an alarm was fed, in the form of Kept.Window.
//
//	version, here 1        one byte
//	width                  uvarint, seconds
//	usual interval         uvarint, milliseconds
//	InstanceId             uvarint length, bytes
//	buckets                uvarint count; then of each, by time:
//	  time                 uvarint, from the bucket before
//	  one sample: 0        one byte, and its value as 8 bytes
//	  or more: 1           one byte, and count, sum, min and max likewise
type packed struct {
	width    time.Duration
	usual    time.Duration
	instance string
	window   *window // nil: none
	shift    int64   // added to the time of each bucket as it is packed
}

const packedVersion = 1

var errPacked = errors.New("a window that is damaged, or of a newer version")

func (p packed) append(b []byte) []byte {
	b = append(b, packedVersion)
	b = binary.AppendUvarint(b, uint64(p.width/time.Second))
	b = binary.AppendUvarint(b, uint64(p.usual/time.Millisecond))
	b = binary.AppendUvarint(b, uint64(len(p.instance)))
	b = append(b, p.instance...)
	if p.window == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(p.window.buckets)))
	before := int64(0)
	for _, k := range p.window.buckets {
		at := max(0, int64(k.at)+p.shift)
		b = binary.AppendUvarint(b, uint64(at-before))
		before = at
		if k.set == 0 {
			b = appendFloats(append(b, 0), k.value)
			continue
		}
		s := p.window.stat(k)
		b = appendFloats(append(b, 1), s.Count, s.Sum, s.Min, s.Max)
	}
	return b
}

func appendFloats(b []byte, values ...float64) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// unpack reads what append wrote, and refuses anything else.
func unpack(b []byte) (packed, error) {
	r := reader{b: b}
	var p packed
	if r.byte() != packedVersion {
		return packed{}, errPacked
	}
	p.width = time.Duration(r.uvarint(uint64(24*time.Hour/time.Second))) * time.Second
	p.usual = time.Duration(r.uvarint(math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
	p.instance = string(r.take(int(r.uvarint(math.MaxUint16))))
	count := r.uvarint(uint64(len(b)))
	if count > 0 {
		p.window = &window{}
	}
	at := uint64(0)
	for i := range count {
		step := r.uvarint(math.MaxUint32)
		if at += step; at > math.MaxUint32 || i > 0 && step == 0 || r.bad {
			return packed{}, errPacked
		}
		switch r.byte() {
		case 0:
			v := r.float()
			p.window.add(uint32(at), Stat{1, v, v, v})
		case 1:
			p.window.add(uint32(at), Stat{r.float(), r.float(), r.float(), r.float()})
		default:
			return packed{}, errPacked
		}
	}
	if r.bad || len(r.b) > 0 {
		return packed{}, errPacked
	}
	return p, nil
}

// A reader takes values off bytes. After a bad one all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// float reads a finite number.
func (r *reader) float() float64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(b))
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.bad = true
		return 0
	}
	return v
}
