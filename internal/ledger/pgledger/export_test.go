package pgledger

import "context"

// EndOrphans is what every replica does now and then.
func (s *Store) EndOrphans(ctx context.Context) { s.endOrphans(ctx) }
