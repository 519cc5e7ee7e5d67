package main

import "runtime"

// growStack makes the main goroutine's stack large enough at once. A stack
// that grows is copied with the help of tables all over the binary, each of
// which brings 64 KiB of it into memory: growing five times on the way to a
// request made a third of a megabyte resident in every run.
//
//go:noinline
func growStack() {
	var frame [20 << 10]byte
	runtime.KeepAlive(&frame)
}
