//go:build !race

package admin

// manyAnswers of 1 MiB are more than 64 MiB.
const manyAnswers = 65
