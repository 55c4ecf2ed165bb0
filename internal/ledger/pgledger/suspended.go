package pgledger

import "slices"

// AllSuspended is ledger.Ledger's.
func (s *Store) AllSuspended() []string {
	var all []string
	for server, is := range s.mirror.current().suspended {
		if is {
			all = append(all, server)
		}
	}
	slices.Sort(all)
	return all
}
