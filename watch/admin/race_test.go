//go:build race

package admin

// The race detector makes reading JSON ten times as slow.
const manyAnswers = 2
