// Package querytext reads the SQL text of a session: the first keyword of each
// statement, and what of the text may be shown to people.
//
// It follows PostgreSQL's own lexer (src/backend/parser/scan.l): comments nest,
// a carriage return ends a line comment, a string goes on after a line break,
// dollar quotes and E-strings have rules of their own. One rule cannot be read
// from the text: whether a backslash escapes a quote in a plain string depends
// on the session's standard_conforming_strings, which other sessions cannot
// see. Read therefore returns every possible reading, and Text.Of stops where
// the readings part.
//
// The package judges nothing: what counts as maintenance or as a backup is up
// to the policy.
package querytext
