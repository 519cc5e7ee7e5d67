//go:build !race

package outbox_test

const each = 1
