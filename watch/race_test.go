//go:build race

package watch

// The race detector makes a history six times as slow.
const histories = 1_000
