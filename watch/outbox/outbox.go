// Package outbox brings the actions of alarms about: each runs once, or the
// history says why not. An action that a transition wants is a row of the
// store, written with the transition itself. A row's life is
//
//	wanted → claimed → looked → acting → acted → verifying → done
//
// and each arrow is durable before the next step is taken, so that a row that
// a dead process left says how far it had come. A row that was acting is
// looked at first: whether its action has happened is asked of the outside,
// never of memory, and where nobody can tell it is unknown.
//
// Messages (webhooks, Heat's signal URLs, notices to the operator) only tell;
// rough actions touch machines, and pass gates and budgets first.
package outbox
