package pgledger

// AllSuspended is ledger.Ledger's.
func (s *Store) AllSuspended() []string { return nil }
