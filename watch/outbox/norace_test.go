//go:build !race

package outbox_test

const each = 1

// histories is how many TestRandomHistories plays.
const histories = 200
