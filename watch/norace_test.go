//go:build !race

package watch

const histories = 10_000
