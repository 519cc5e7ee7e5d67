//go:build race

package outbox_test

// each is how far apart the writes are at which a server is killed: SQLite is
// slow under the race detector.
const each = 3

// histories is how many TestRandomHistories plays.
const histories = 20
