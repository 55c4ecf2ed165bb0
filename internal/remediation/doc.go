// Package remediation carries one request through to its recorded result. It
// knows no HTTP and no Alertmanager. Remediate, in remediate.go, has the steps in
// their order:
//
//  1. Identify. The request's fence must name a backend of a configured server.
//     Without the whole identity the request is fenced by time as well: what the
//     session does must have begun before the request became true.
//  2. Take the turn. One request at a time deals with a backend. A repeat waits,
//     and then finds the target gone.
//  3. Look. Find the session, check that it is the one that is named, and ask the
//     policy. This is also all that Preview does. Then the mode must permit it, and
//     a person where the rule wants one.
//  4. Begin. The ledger reserves one signal of the budget and makes the intent
//     durable, or refuses. If replicas share it, it also answers that another
//     request has taken this step, and with what became of that, which is the
//     answer of this request too. Then this one writes no line, unless it is a
//     person's, and does not count: the other one does.
//  5. Signal. The statement that signals checks the fence again. It answers that
//     the transaction has gone on to another statement, where the decision was
//     about the one before: then look again, under the same intent.
//  6. Follow the effect. Met tells what the signal met; then watch until the
//     target is gone. That PostgreSQL sent the signal proves nothing.
//  7. Escalate. If the action is cancel-then-terminate and the target has outlived
//     the cancel, steps 3 to 6 follow once more, with the terminate.
//  8. Record. Each signal has an intent and an outcome in the ledger; a request
//     that ends without one is one outcome. The result is counted and logged.
//
// A step that ends the request, or its signal, returns an ending; nil means that
// the request goes on. Every error becomes an ending, and an ending is a refusal,
// a failure, or what was seen to happen.
//
// An order by hand takes the same steps. It names the whole identity, always. What
// is to be done comes from the person instead of rules and severities. The mode does
// not matter, and the ledger does not count its signals. Only such an order may name
// a session that is idle outside a transaction.
//
// What a decision was about is its scope: the statement that was seen, or every
// statement of its transaction. The fence of the signal is narrowed to it once,
// in decide. A request that is fenced by time means, from the first look on, the
// very statement or idle period that was found.
//
// Time limits: the first signal is decided within firstTimeout of the request's
// arrival, so that an unreachable server is reported in time. A signal of another
// replica is waited for no longer than that either; then a repeat is asked for. Once
// the session was found every later step has at least laterTimeout. Grace and
// verify_timeout bound the watching.
//
// A result asks for a repeat when one can help: a server could not be reached, or
// nothing was signalled and a line could not be written. A repeat does no harm,
// because it goes through the same fence.
package remediation
